package outbox

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"time"

	"gateway/internal/predict"
)

// recordVersion begins every record. A later version of the gateway may write
// another one, and must read these. Records of version withoutBins have no bins.
const (
	recordVersion = 2
	withoutBins   = 1
)

var (
	errNewerRecord  = errors.New("the record was made by a newer version of the gateway")
	errBrokenRecord = errors.New("the record is too short or too long")
)

// appendRecord encodes a prediction without allocating. Reasons are not recorded.
func appendRecord(dst []byte, p *predict.Prediction) []byte {
	dst = append(dst, recordVersion, byte(p.Label))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.Score))
	dst = binary.AppendVarint(dst, p.CreatedAt.UnixMicro())
	dst = binary.AppendVarint(dst, p.Latency.Microseconds())
	for _, text := range [...]string{p.ID, p.CustomerID, p.Model, p.Schema, p.Caller} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(p.Features))), p.Features...)
	dst = append(binary.AppendUvarint(dst, uint64(len(p.Personal))), p.Personal...)
	return append(binary.AppendUvarint(dst, uint64(len(p.Bins))), p.Bins...)
}

// decoder decodes records. It interns names that occur in many of them.
type decoder struct{ names map[string]string }

func (d *decoder) name(text []byte) string {
	if known, ok := d.names[string(text)]; ok {
		return known
	}
	if d.names == nil || len(d.names) > 1000 {
		d.names = make(map[string]string)
	}
	name := string(text)
	d.names[name] = name
	return name
}

// decode is the inverse of appendRecord. The prediction shares no memory with
// the record.
func (d *decoder) decode(record []byte) (predict.Prediction, error) {
	var p predict.Prediction
	r := recordReader{rest: record}
	version := r.byte()
	if version != recordVersion && version != withoutBins {
		return p, errNewerRecord
	}
	p.Label = int(r.byte())
	p.Score = math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
	p.CreatedAt = time.UnixMicro(r.varint()).UTC()
	p.Latency = time.Duration(r.varint()) * time.Microsecond
	p.ID, p.CustomerID = string(r.text()), string(r.text())
	p.Model, p.Schema, p.Caller = d.name(r.text()), d.name(r.text()), d.name(r.text())
	p.Features = append([]byte(nil), r.text()...)
	p.Personal = append([]byte(nil), r.text()...)
	if version != withoutBins {
		p.Bins = append([]byte(nil), r.text()...)
	}
	if r.broken || len(r.rest) > 0 {
		return p, errBrokenRecord
	}
	return p, nil
}

// recordReader reads the fields of a record. After an error it returns zeros.
type recordReader struct {
	rest   []byte
	broken bool
}

var zeros [8]byte

// take returns the next n bytes; at most 8 zeros if the record is too short.
func (r *recordReader) take(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.broken = nil, true
		return zeros[:min(n, len(zeros))]
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *recordReader) byte() byte { return r.take(1)[0] }

func (r *recordReader) varint() int64 {
	x, n := binary.Varint(r.rest)
	if n <= 0 {
		r.rest, r.broken = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *recordReader) text() []byte {
	length, n := binary.Uvarint(r.rest)
	if n <= 0 || length > uint64(len(r.rest)-n) {
		r.rest, r.broken = nil, true
		return nil
	}
	r.rest = r.rest[n:]
	return r.take(int(length))
}

// key is the index entry of a row. It has 12 bytes, so that the index takes about
// three percent of the size of the outbox.
type key struct {
	offset   uint32 // of its frame
	id       uint32 // hash of the prediction's id
	customer uint32 // hash of the customer's id; 0 for an anonymous one
}

// hashSeed differs from process to process: hashes are in memory only.
var hashSeed = maphash.MakeSeed()

func hashOf(text string) uint32 { return uint32(maphash.String(hashSeed, text)) | 1 }

func keyOf(id, customer string, offset int) key {
	k := key{offset: uint32(offset), id: hashOf(id)}
	if customer != "" {
		k.customer = hashOf(customer)
	}
	return k
}
