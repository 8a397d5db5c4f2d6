package export

import (
	"bytes"
	"cmp"
	"encoding/binary"
)

// row is a customer as training data, with what the report counts once the row is
// written.
type row struct {
	id      []byte
	csv     []byte // the line, its end included; begins with the label
	outcome int64
	evidence
	mapped    []int // features whose unlisted category became the unknown one
	defaulted []int // features that took the schema's default
}

// evidence says where a row's values come from.
type evidence struct {
	made       bool   // from a prediction
	imported   int    // label that was imported before an outcome set another; -1: none
	caller     []byte // who reported that outcome; empty: unknown
	labelledAt int64  // when it was received, in microseconds since 1970; 0: unknown
}

// label is the row's label, 0 or 1.
func (r *row) label() int { return int(r.csv[0] - '0') }

// restore replaces the outcome's label with the imported one.
func (r *row) restore() { r.csv[0] = '0' + byte(r.imported) }

// record is the form in which rows are sorted, spilled and compared.
type record struct {
	place uint64 // from hashes
	data  []byte // lengths and texts of id and csv, then outcome, evidence and features
}

// pack appends the row to dst.
func (r *row) pack(dst []byte) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(r.id))), r.id...)
	dst = append(binary.AppendUvarint(dst, uint64(len(r.csv))), r.csv...)
	dst = binary.AppendVarint(dst, r.outcome)
	flags := byte(r.imported+1) << 1
	if r.made {
		flags |= 1
	}
	dst = append(dst, flags)
	dst = append(binary.AppendUvarint(dst, uint64(len(r.caller))), r.caller...)
	dst = binary.AppendVarint(dst, r.labelledAt)
	dst = binary.AppendUvarint(dst, uint64(len(r.mapped)))
	for _, f := range r.mapped {
		dst = binary.AppendUvarint(dst, uint64(f))
	}
	for _, f := range r.defaulted {
		dst = binary.AppendUvarint(dst, uint64(f))
	}
	return dst
}

// unpack reads data that pack wrote. The texts are slices of data; the lists
// reuse the row's own.
func (r *row) unpack(data []byte) {
	r.id, data = cutText(data)
	r.csv, data = cutText(data)
	var n int
	r.outcome, n = binary.Varint(data)
	data = data[n:]
	r.made, r.imported = data[0]&1 == 1, int(data[0]>>1)-1
	r.caller, data = cutText(data[1:])
	r.labelledAt, n = binary.Varint(data)
	data = data[n:]
	mapped, n := binary.Uvarint(data)
	data = data[n:]
	r.mapped, r.defaulted = r.mapped[:0], r.defaulted[:0]
	for ; len(data) > 0; data = data[n:] {
		var f uint64
		f, n = binary.Uvarint(data)
		if mapped > 0 {
			mapped--
			r.mapped = append(r.mapped, int(f))
		} else {
			r.defaulted = append(r.defaulted, int(f))
		}
	}
}

func cutText(data []byte) (text, rest []byte) {
	length, n := binary.Uvarint(data)
	data = data[n:]
	return data[:length:length], data[length:]
}

// compare orders records by place, then by id, then by their bytes, the CSV's
// first. The order is total, so the order of the input has no effect.
func (a record) compare(b record) int {
	if a.place != b.place {
		return cmp.Compare(a.place, b.place)
	}
	idA, restA := cutText(a.data)
	idB, restB := cutText(b.data)
	if c := bytes.Compare(idA, idB); c != 0 {
		return c
	}
	csvA, restA := cutText(restA)
	csvB, restB := cutText(restB)
	if c := bytes.Compare(csvA, csvB); c != 0 {
		return c
	}
	return bytes.Compare(restA, restB)
}

// sameCustomer reports whether two records have the same id.
func (a record) sameCustomer(b record) bool {
	idA, _ := cutText(a.data)
	idB, _ := cutText(b.data)
	return a.place == b.place && bytes.Equal(idA, idB)
}

// cost returns the memory of a record: its bytes, its entry in the list, and the
// spare room of a growing list.
func (a record) cost() int64 { return int64(len(a.data)) + 64 }
