package outbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gateway/internal/predict"
)

// Recent returns the newest predictions of a model among those that wait, at
// most limit, out of the look newest ones of whichever model.
func (o *Outbox) Recent(model string, limit, look int) ([]predict.Prediction, error) {
	var found []predict.Prediction
	may := func(key) bool { look--; return look >= 0 && len(found) < limit }
	for _, l := range o.journal.pending() {
		err := l.walk(may, func(p predict.Prediction) (goOn bool) {
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

// walk visits rows of a segment, the newest first: those whose key may be that
// of one that is sought, until visit wants no more. Damaged ones are left out.
func (l look) walk(may func(key) bool, visit func(predict.Prediction) (goOn bool)) error {
	var file *os.File
	defer func() {
		if file != nil {
			_ = file.Close() // it was only read
		}
	}()
	var d decoder
	var buf []byte
	for i := len(l.keys) - 1; i >= 0; i-- {
		k := l.keys[i]
		if !may(k) {
			continue
		}
		var err error
		if file == nil {
			if file, err = os.Open(l.path); errors.Is(err, fs.ErrNotExist) {
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
	if len(buf) == usual { // perhaps a large one
		return readFrame(file, offset, make([]byte, frameHeader+maxRecord))
	}
	return nil, buf, nil
}
