package outbox

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"time"

	"gateway/internal/predict"
)

// recordVersion begins every record. Versions to come may add; this one keeps
// being read.
const recordVersion = 1

var (
	errNewerRecord  = errors.New("the record was made by a newer version of the gateway")
	errBrokenRecord = errors.New("the record breaks off or has a rest")
)

// appendRecord encodes a prediction without allocating. Reasons are an answer's
// decoration and not recorded.
func appendRecord(dst []byte, p *predict.Prediction) []byte {
	dst = append(dst, recordVersion, byte(p.Label))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.Score))
	dst = binary.AppendVarint(dst, p.CreatedAt.UnixMicro())
	dst = binary.AppendVarint(dst, p.Latency.Microseconds())
	for _, text := range [...]string{p.ID, p.CustomerID, p.Model, p.Schema, p.Caller} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(p.Features))), p.Features...)
	return append(binary.AppendUvarint(dst, uint64(len(p.Personal))), p.Personal...)
}

// decoder reads records, and keeps one copy of the names that all of them bear.
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
	if r.byte() != recordVersion {
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
	if r.broken || len(r.rest) > 0 {
		return p, errBrokenRecord
	}
	return p, nil
}

// recordReader takes a record apart. Once it is broken it yields zeros.
type recordReader struct {
	rest   []byte
	broken bool
}

var zeros [8]byte

// take yields the next n bytes, n at most 8 where the record is broken.
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

// key is what memory holds of a row: where it is, and what finds it. It is 12
// bytes, so that the index of a full outbox stays at some three percent of it.
type key struct {
	offset   uint32 // of its frame
	id       uint32 // hash of the prediction's id
	customer uint32 // hash of the customer's id; 0 for an anonymous one
}

// hashSeed may differ from start to start: hashes never leave the memory.
var hashSeed = maphash.MakeSeed()

func hashOf(text string) uint32 { return uint32(maphash.String(hashSeed, text)) | 1 }

func keyOf(id, customer string, offset int) key {
	k := key{offset: uint32(offset), id: hashOf(id)}
	if customer != "" {
		k.customer = hashOf(customer)
	}
	return k
}
