package artifact

import (
	"encoding/binary"
	"math"
)

// reader reads numbers in little-endian order. After the end it returns zeros and has an
// error.
type reader struct {
	text []byte
	at   int
	file string // named in errors
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = formatf(r.file+" "+format, args...)
	}
}

// next returns the next n bytes, or nil at the end.
func (r *reader) next(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.text)-r.at {
		r.fail("ends too early")
		return nil
	}
	r.at += n
	return r.text[r.at-n : r.at]
}

func (r *reader) u32() uint32 {
	if b := r.next(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) i32() int { return int(int32(r.u32())) }

func (r *reader) f32() float64 { return float64(math.Float32frombits(r.u32())) }

func (r *reader) u64() uint64 {
	if b := r.next(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count reads the number of elements that follow, of at least size bytes each.
func (r *reader) count(size int) int {
	n := r.u64()
	if r.err == nil && n > uint64(len(r.text)-r.at)/uint64(size) {
		r.fail("ends too early")
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// str reads a length and text.
func (r *reader) str() string { return string(r.next(r.count(1))) }

// bits32 returns the bits of x as a float32. A decision may have a cut below or above
// all numbers of a float32, if it tells missing numbers from others.
func bits32(x float64) uint32 {
	return math.Float32bits(float32(min(max(x, -math.MaxFloat32), math.MaxFloat32)))
}

// writer appends numbers in little-endian order.
type writer []byte

func (w *writer) u32(x uint32)  { *w = binary.LittleEndian.AppendUint32(*w, x) }
func (w *writer) i32(x int)     { w.u32(uint32(int32(x))) }
func (w *writer) u64(x uint64)  { *w = binary.LittleEndian.AppendUint64(*w, x) }
func (w *writer) f32(x float64) { w.u32(bits32(x)) }
func (w *writer) zeros(n int)   { *w = append(*w, make([]byte, n)...) }

func (w *writer) str(text string) {
	w.u64(uint64(len(text)))
	*w = append(*w, text...)
}
