package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gateway/internal/datadir"
)

// magic begins every segment; its last byte is the version of the format.
const magic = "outbox\x00\x01"

var (
	// errNewer means that a newer version of the gateway wrote a segment.
	errNewer    = errors.New("it was written by a newer version of the gateway")
	errTooLarge = errors.New("it is larger than 4 GiB")
)

// segment is one file. The journal's lock guards the fields. Only the leader writes
// the file of the active segment.
type segment struct {
	number  uint64
	path    string
	size    int64 // of the file up to the end of the last whole frame
	keys    []key // of all rows
	drained int   // number of rows, from the first on, that the database has
	taken   int   // number of rows after these that the drainer is storing
	oldest  int64 // when the first row that is not drained was made, in microseconds
	damaged bool  // it is to be moved to the folder damaged instead of removed
	dropped bool  // it was removed before it was drained
}

const (
	segmentSuffix   = ".seg"
	segmentDigits   = 16
	segmentNameSize = segmentDigits + len(segmentSuffix)
	// maxNumber is the highest number of a segment. A file with a higher number, put
	// there by hand, is not read as a segment, so that there is always a next number.
	maxNumber = 9e15
)

var errNumbers = errors.New("the outbox has used up its numbers: give the segment with the highest number a lower one that is free")

func segmentName(number uint64) string {
	return fmt.Sprintf("%0*d%s", segmentDigits, number, segmentSuffix)
}

// segmentNumber is the inverse of segmentName; 0 for another file.
func segmentNumber(name string) uint64 {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != segmentDigits {
		return 0
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || number > maxNumber {
		return 0
	}
	return number
}

// rows is the number of rows that are not drained.
func (s *segment) rows() int { return len(s.keys) - s.drained }

// bytes is the size of the rows that are not drained.
func (s *segment) bytes() int64 {
	if s.drained == len(s.keys) {
		return 0
	}
	return s.size - int64(s.keys[s.drained].offset)
}

// end is where row i ends.
func (s *segment) end(i int) int64 {
	if i+1 < len(s.keys) {
		return int64(s.keys[i+1].offset)
	}
	return s.size
}

// createSegment makes the file of a segment, readable for this user alone, and
// flushes its folder.
func createSegment(dir string, number uint64) (*segment, *os.File, error) {
	path := filepath.Join(dir, segmentName(number))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	_, err = file.WriteString(magic)
	if err == nil {
		err = errors.Join(file.Sync(), datadir.SyncDir(dir))
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return &segment{number: number, path: path, size: int64(len(magic))}, file, nil
}

// readSegment reads a segment of an earlier process. tail is the number of bytes
// after the last whole frame; gaps are the damaged ranges before its end.
func readSegment(path string, buf []byte) (s *segment, gaps []gap, tail int64, _ []byte, err error) {
	data, err := readFile(path, buf)
	if err != nil {
		return nil, nil, 0, buf, err
	}
	s = &segment{number: segmentNumber(filepath.Base(path)), path: path}
	start := min(len(magic), len(data))
	switch begin := string(data[:start]); {
	case begin == magic || strings.HasPrefix(magic, begin):
	case strings.HasPrefix(begin, magic[:len(magic)-1]):
		return nil, nil, 0, data, fmt.Errorf("%s: %w", path, errNewer)
	default:
		gaps = append(gaps, gap{0, start})
	}
	var dec decoder
	end, more := scan(data, start, func(offset int, record []byte) {
		// A record that cannot be decoded is a row too: the drainer sets it aside.
		p, err := dec.decode(record)
		created := p.CreatedAt.UnixMicro()
		if err != nil {
			created = 0
		}
		s.add(keyOf(p.ID, p.CustomerID, offset), created)
	})
	s.size = int64(end)
	return s, append(gaps, more...), int64(len(data) - end), data, nil
}

func (s *segment) add(k key, created int64) {
	if len(s.keys) == s.drained {
		s.oldest = created
	}
	s.keys = append(s.keys, k)
}

// readFile reads a file into buf, or into a larger one.
func readFile(path string, buf []byte) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > math.MaxUint32 {
		return nil, errTooLarge // offsets in keys have 32 bits
	}
	return readRange(path, 0, info.Size(), buf)
}

// readRange reads a part of a file into buf, or into a larger one.
func readRange(path string, from, to int64, buf []byte) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	n := int(to - from)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	if _, err := file.ReadAt(buf[:n], from); err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// moveTo moves a file into a folder beside it, with a suffix if its name is taken
// there. It returns the new path.
func moveTo(path, folder string) (string, error) {
	dir := filepath.Join(filepath.Dir(path), folder)
	if err := makeDir(dir); err != nil {
		return "", err
	}
	to := filepath.Join(dir, filepath.Base(path))
	for i := 1; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = filepath.Join(dir, fmt.Sprintf("%s.%d", filepath.Base(path), i))
	}
	return to, os.Rename(path, to)
}
