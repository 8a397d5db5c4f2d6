package export

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Rows are split by six bits at a time. 64 files stay well below the number that
// systems let a process open, and 64 files of a 64 MiB limit are 4 GiB of rows in
// one pass.
const (
	splitBits = 6
	splitWays = 1 << splitBits
)

// bucket is a temporary file of records that share the leading bits of their
// place. The file has no name: it is deleted when it is closed, also by the end
// of the process.
type bucket struct {
	cost      int64  // of its records, once in memory
	low, high uint64 // least and greatest place
	file      *os.File
	out       *bufio.Writer
}

// buckets distributes records over files, which it makes as needed.
type buckets struct {
	dir  string
	skip int // bits of the place that all records have in common
	ways [splitWays]*bucket
	buf  []byte
}

func newBuckets(dir string, depth int) *buckets { return &buckets{dir: dir, skip: depth * splitBits} }

func (s *buckets) add(r record) error {
	way := r.place << s.skip >> (64 - splitBits)
	b := s.ways[way]
	if b == nil {
		file, err := unnamedFile(s.dir)
		if err != nil {
			return fmt.Errorf("making a file for rows beyond the memory budget: %w", err)
		}
		b = &bucket{low: r.place, high: r.place, file: file, out: bufio.NewWriterSize(file, 16<<10)}
		s.ways[way] = b
	}
	b.cost += r.cost()
	b.low, b.high = min(b.low, r.place), max(b.high, r.place)
	s.buf = binary.BigEndian.AppendUint64(s.buf[:0], r.place)
	s.buf = binary.AppendUvarint(s.buf, uint64(len(r.data)))
	if _, err := b.out.Write(s.buf); err != nil {
		return spillError(err)
	}
	if _, err := b.out.Write(r.data); err != nil {
		return spillError(err)
	}
	return nil
}

// unnamedFile creates a file and removes its name. It may contain customers, so
// only its owner may read it, and a process that is killed leaves nothing.
func unnamedFile(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "gateway-rows-") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// finish flushes the buffers and returns the buckets in the order of their
// places. The caller closes them.
func (s *buckets) finish() ([]*bucket, error) {
	var all []*bucket
	for _, b := range s.ways {
		if b == nil {
			continue
		}
		if err := b.out.Flush(); err != nil {
			return nil, spillError(err)
		}
		b.out = nil
		all = append(all, b)
	}
	return all, nil
}

// close closes the files, and so removes them.
func (s *buckets) close() {
	for _, b := range s.ways {
		if b != nil {
			b.close()
		}
	}
}

func (b *bucket) close() {
	if b.file != nil {
		_ = b.file.Close() // a temporary file, and read or given up
		b.file = nil
	}
}

// read calls fn with each record, whose bytes are valid until fn returns, and
// closes the file.
func (b *bucket) read(ctx context.Context, fn func(record) error) error {
	defer b.close()
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading rows back: %w", err)
	}
	in := bufio.NewReaderSize(b.file, 256<<10)
	var place [8]byte
	var data []byte
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := io.ReadFull(in, place[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading rows back: %w", err)
		}
		length, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("reading rows back: %w", err)
		}
		if uint64(cap(data)) < length {
			data = make([]byte, length)
		}
		data = data[:length]
		if _, err := io.ReadFull(in, data); err != nil {
			return fmt.Errorf("reading rows back: %w", err)
		}
		if err := fn(record{binary.BigEndian.Uint64(place[:]), data}); err != nil {
			return err
		}
	}
}

func spillError(err error) error {
	return fmt.Errorf("writing rows beyond the memory budget to a temporary file: %w", err)
}
