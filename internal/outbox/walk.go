package outbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gateway/internal/predict"
)

// Recent returns the newest predictions of a model that are in the outbox, at most
// limit. It reads at most look rows, of any model.
func (o *Outbox) Recent(model string, limit, look int) ([]predict.Prediction, error) {
	var found []predict.Prediction
	matches := func(key) bool { look--; return look >= 0 && len(found) < limit }
	for _, rows := range o.journal.pending() {
		err := rows.walk(matches, func(p predict.Prediction) (more bool) {
			if p.Model == model {
				found = append(found, p)
			}
			return look > 0 && len(found) < limit
		})
		if err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
	}
	return found, nil
}

// walk calls visit with the rows whose key matches, newest first, until visit
// returns false. Damaged rows are left out.
func (r pendingRows) walk(matches func(key) bool, visit func(predict.Prediction) (more bool)) error {
	var file *os.File
	defer func() {
		if file != nil {
			_ = file.Close() // it was only read
		}
	}()
	var d decoder
	var buf []byte
	for i := len(r.keys) - 1; i >= 0; i-- {
		k := r.keys[i]
		if !matches(k) {
			continue
		}
		var err error
		if file == nil {
			if file, err = os.Open(r.path); errors.Is(err, fs.ErrNotExist) {
				return nil // drained meanwhile, so the database has its rows
			} else if err != nil {
				return err
			}
		}
		var record []byte
		if record, buf, err = readFrame(file, int64(k.offset), buf); err != nil {
			return err
		}
		p, err := d.decode(record)
		if err != nil {
			continue // the drainer sets it aside
		}
		if !visit(p) {
			return nil
		}
	}
	return nil
}

// readFrame reads the record at an offset; nil if it is damaged. The record is
// in buf, or in a larger one, which is returned.
func readFrame(file *os.File, offset int64, buf []byte) (record, memory []byte, err error) {
	const usual = 4 << 10
	if buf == nil {
		buf = make([]byte, usual)
	}
	n, err := file.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, buf, err
	}
	if record, ok := frameAt(buf[:n]); ok {
		return record, buf, nil
	}
	if len(buf) == usual { // the record may be larger
		return readFrame(file, offset, make([]byte, frameHeader+maxRecord))
	}
	return nil, buf, nil
}
