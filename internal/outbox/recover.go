package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// open reads what an earlier process left.
func (j *journal) open(report func(damage)) error {
	j.freed = make(chan struct{})
	j.arrived = make(chan struct{}, 1)
	j.next = 1
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(j.dir, "position")
	var err error
	if j.position, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	text, err := readFile(path, nil)
	if err == nil {
		j.settled = decodePosition(text)
		j.drained = j.settled
		err = j.recover(report)
	}
	if err == nil && len(text) == 0 {
		_, err = j.position.WriteAt(position{}.encode(), 0) // takes its room
	}
	if err != nil {
		return errors.Join(err, j.position.Close())
	}
	return nil
}

// damage is what was wrong with a segment.
type damage struct {
	path  string
	bytes int64
	tail  bool // only its end, which was never acknowledged, and has been cut off
}

func (j *journal) recover(report func(damage)) error {
	entries, err := os.ReadDir(j.dir) // sorted by name, and so by number
	if err != nil {
		return err
	}
	var buf []byte
	var last *segment
	var tail int64
	for _, entry := range entries {
		n := segmentNumber(entry.Name())
		if n == 0 {
			continue
		}
		j.next = max(j.next, n+1)
		path := filepath.Join(j.dir, entry.Name())
		if n < j.settled.segment { // drained, and then killed before it was removed
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		if last != nil && tail > 0 { // only the newest may be torn
			last.damaged = true
			report(damage{path: last.path, bytes: tail})
		}
		var gaps []gap
		if last, gaps, tail, buf, err = readSegment(path, buf); err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
		for _, g := range gaps {
			last.damaged = true
			report(damage{path: path, bytes: int64(g.to - g.from)})
		}
		if n == j.settled.segment {
			for last.drained < len(last.keys) && last.keys[last.drained].offset < j.settled.offset {
				last.drained++
			}
		}
		j.segments = append(j.segments, last)
		j.rows += last.rows()
		j.bytes += last.bytes()
	}
	if tail > 0 && !last.damaged {
		if err := os.Truncate(last.path, last.size); err != nil {
			return err
		}
		report(damage{path: last.path, bytes: tail, tail: true})
	}
	return nil
}
