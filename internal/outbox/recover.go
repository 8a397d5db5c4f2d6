package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gateway/internal/datadir"
)

// The folders beside the segments.
const (
	damagedFolder = "damaged"
	refusedFolder = "refused"
)

// oldPosition is a file in which earlier versions recorded the progress of the
// drain. It could be wrong, so it is not used.
const oldPosition = "position"

// finding is a fault in the folder.
type finding struct {
	path  string
	bytes int64 // number of damaged bytes of a segment
	tail  bool  // they were at its end, had not been acknowledged, and are cut off
	left  error // why the file cannot be read as a segment; it is left as it is
}

var (
	errNoSegment  = errors.New("its name is not that of a segment")
	errNotRegular = errors.New("it is not a regular file")
)

// open reads the segments of earlier processes. All rows are drained: the database
// ignores those that it has. Nothing is removed or skipped by its number.
func (j *journal) open(report func(finding)) error {
	j.freed = make(chan struct{})
	j.arrived = make(chan struct{}, 1)
	j.next = 1
	if err := makeDir(j.dir); err != nil {
		return err
	}
	return j.recover(func(f finding) {
		if f.left != nil {
			j.unread++
		}
		report(f)
	})
}

func (j *journal) recover(report func(finding)) error {
	entries, err := os.ReadDir(j.dir) // sorted by name, and so by number
	if err != nil {
		return err
	}
	var found []string
	for _, entry := range entries {
		name, path := entry.Name(), filepath.Join(j.dir, entry.Name())
		switch {
		case name == oldPosition && !entry.IsDir():
			if err := errors.Join(os.Remove(path), datadir.SyncDir(j.dir)); err != nil {
				return fmt.Errorf("file of an earlier version: %w", err)
			}
		case entry.IsDir() && (name == damagedFolder || name == refusedFolder):
			if err := j.passFolder(path); err != nil {
				report(finding{path: path, left: err})
			}
		case segmentNumber(name) == 0:
			report(finding{path: path, left: errNoSegment})
		default:
			j.pass(name)
			if !entry.Type().IsRegular() {
				report(finding{path: path, left: errNotRegular})
				continue
			}
			found = append(found, path)
		}
	}
	return j.readAll(found, report)
}

// pass makes sure that the number of a file is not used again.
func (j *journal) pass(name string) {
	if len(name) > segmentNameSize {
		name = name[:segmentNameSize] // moveTo may have added a suffix
	}
	j.next = max(j.next, segmentNumber(name)+1)
}

func (j *journal) passFolder(path string) error {
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		j.pass(entry.Name())
	}
	return err
}

// readAll reads segments, the oldest first.
func (j *journal) readAll(paths []string, report func(finding)) error {
	var buf []byte
	var last *segment
	var tail int64
	for _, path := range paths {
		s, gaps, rest, memory, err := readSegment(path, buf)
		buf = memory
		if errors.Is(err, errNewer) {
			return fmt.Errorf("read segment: %w", err)
		} else if err != nil {
			report(finding{path: path, left: err})
			continue
		}
		if tail > 0 { // only the newest may be torn
			last.damaged = true
			report(finding{path: last.path, bytes: tail})
		}
		for _, g := range gaps {
			s.damaged = true
			report(finding{path: path, bytes: int64(g.to - g.from)})
		}
		last, tail = s, rest
		j.segments = append(j.segments, s)
		j.rows += s.rows()
		j.bytes += s.bytes()
	}
	if tail > 0 && !last.damaged {
		if err := os.Truncate(last.path, last.size); err != nil {
			return err
		}
		report(finding{path: last.path, bytes: tail, tail: true})
	}
	return nil
}

// makeDir makes a folder, if there is none, and flushes the folder above it.
func makeDir(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return datadir.SyncDir(filepath.Dir(path))
}
