package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/outage"
	"gateway/internal/predict"
)

var _ predict.Ledger = (*Outbox)(nil)

// Policy says what happens to a prediction for which the outbox has no room.
type Policy string

// The policies.
const (
	// DropOldest removes the oldest rows: predictions are answered.
	DropOldest Policy = "drop-oldest"
	// Refuse fails the prediction: the ledger has every prediction that was answered.
	Refuse Policy = "refuse"
)

// Sync says when a prediction is flushed to the disk.
type Sync string

// The ways of Sync.
const (
	// Always flushes before the answer: a power cut loses nothing.
	Always Sync = "always"
	// Interval flushes once a second: a killed process loses nothing, and a
	// power cut at most that second.
	Interval Sync = "interval"
	// Database stores predictions in the database before the answer, and nothing on
	// the disk: it is for processes that may be frozen, or lose their disk, once they
	// have answered. A prediction that the database does not take is not answered.
	Database Sync = "database"
)

// Options are the settings. The zero value is a sensible outbox.
type Options struct {
	// MaxBytes bounds what waits for the database. Zero: 1 GiB.
	MaxBytes int64
	// Policy is what happens at the bound. Zero: DropOldest.
	Policy Policy
	// Sync is when rows are flushed to the disk. Zero: Interval.
	Sync Sync
	// Flush makes the database flush the rows it was given. Nil: Append flushes them.
	// A database that needs Flush is in this process. It shares the processor with
	// predictions, so rows are drained to it slowly.
	Flush func(context.Context) error
	// Gentle is how many rows a database in this process stores at once without
	// delaying other queries for long. Zero: 16.
	Gentle int
	// Shared says that other outboxes drain to the same database, so that a
	// prediction that is not found may be in one of them.
	Shared bool
}

func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	o.Policy = cmp.Or(o.Policy, DropOldest)
	o.Sync = cmp.Or(o.Sync, Interval)
	o.Gentle = cmp.Or(o.Gentle, 16)
	return o
}

// MinBytes is the smallest bound that works well: a segment is an eighth of it.
const MinBytes = 1 << 20

// maxSegment is how large a segment becomes.
const maxSegment = 8 << 20

// Outbox is a ledger on local disk before another ledger. It is safe for
// concurrent use.
type Outbox struct {
	options Options
	journal journal
	ledger  predict.Ledger // the one in the database
	log     *slog.Logger
	metrics *metrics
	batches sync.Pool // of *batch

	full     outage.Outage // the bound is reached
	writes   outage.Outage // of rows to the disk
	flushes  outage.Outage // of written rows
	removals outage.Outage // of rows that the database has
	drains   outage.Outage // to the database
	failedAt atomic.Int64  // when a write failed last, in microseconds
	running  atomic.Bool   // Run is running

	setAside atomic.Int64 // rows since the start
	drain    drain
	refused  string // the file of refused rows that the drainer writes
}

// Open opens the outbox in a folder, or makes one, and reads the rows of earlier
// processes. No other process may use the folder. Run drains the outbox; Close
// closes it.
func Open(dir string, ledger predict.Ledger, options Options, log *slog.Logger, reg prometheus.Registerer) (*Outbox, error) {
	options = options.withDefaults()
	o := &Outbox{options: options, ledger: ledger, log: log}
	o.metrics = newMetrics(reg, o)
	o.batches.New = func() any { return new(batch) }
	o.drain = newDrain()
	o.journal = journal{
		dir: dir, limit: options.MaxBytes, segmentSize: min(maxSegment, options.MaxBytes/8),
		flush: options.Sync == Always, dropOldest: options.Policy == DropOldest, metrics: o.metrics, wrote: o.noteWrite,
	}
	if err := o.journal.open(o.reportFinding); err != nil {
		return nil, fmt.Errorf("outbox %s: %w", dir, err)
	}
	if rows := o.journal.level().rows; rows > 0 {
		log.Info("the outbox has rows of an earlier run; draining them", "rows", rows)
	}
	// A new segment has the highest number while older ones are removed.
	if err := o.journal.begin(); err != nil {
		o.noteWrite(err)
	}
	return o, nil
}

// writableAfter is how long no write may fail before the disk is reported as
// writable again: on a full disk a small row may fit where larger ones do not.
const writableAfter = 5 * time.Second

// noteWrite records the result of an attempt to write.
func (o *Outbox) noteWrite(err error) {
	switch {
	case err != nil:
		o.failedAt.Store(time.Now().UnixMicro())
		o.writes.Failed(o.log.Error, err, "cannot write to the outbox; its policy decides whether predictions are refused or not recorded", "policy", string(o.options.Policy))
	case o.writes.Lasts() && time.Since(time.UnixMicro(o.failedAt.Load())) >= writableAfter:
		o.writes.Succeeded(o.log.Info, "the outbox can be written again", "dropped", o.journal.dropped.Load())
	}
}

// Close closes the outbox. Rows that are not drained stay on disk; the next process
// that opens the folder drains them. Append fails after Close.
func (o *Outbox) Close() error {
	if err := o.journal.close(); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// Append implements predict.Ledger: the predictions are on disk when it
// returns, or with Database in the database. If the outbox has no room, the policy decides. With Refuse the error is
// of kind Unavailable, and none of the predictions may be answered. With DropOldest
// all of them may be answered; lost rows are counted and logged.
func (o *Outbox) Append(ctx context.Context, predictions []predict.Prediction) error {
	if len(predictions) == 0 {
		return nil
	}
	if o.options.Sync == Database {
		return o.appendDirectly(ctx, predictions)
	}
	b := o.batches.Get().(*batch)
	defer o.giveBack(b)
	if err := b.fill(predictions); err != nil {
		return err
	}
	if len(predictions) > 1 {
		o.waitForRoom(ctx)
	}
	atLimit := o.journal.atLimit.Load()
	err := o.journal.append(b)
	if errors.Is(err, errFull) || o.journal.atLimit.Load() != atLimit {
		o.noteFull() // the drainer notes when there is room again
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errClosed):
		return fmt.Errorf("outbox: %w", err)
	}
	if o.options.Policy == Refuse {
		o.metrics.refused.Add(float64(len(predictions)))
		return &failure.Error{Kind: failure.Unavailable, RetryAfter: refuseFor, Err: fmt.Errorf("outbox: %w", err),
			Detail: "the ledger has no room for the prediction"}
	}
	o.journal.lost(len(predictions))
	return nil
}

// appendDirectly stores predictions in the database. Any error is of kind Unavailable:
// none of the predictions may be answered.
func (o *Outbox) appendDirectly(ctx context.Context, predictions []predict.Prediction) error {
	err := o.ledger.Append(ctx, predictions)
	if !isRefusal(err) { // a row that the database refuses says nothing about the others
		o.drains.Record(o.log, err, "the database does not take predictions; they are answered with 503", "the database takes predictions again")
	}
	if err == nil {
		return nil
	}
	o.metrics.refused.Add(float64(len(predictions)))
	return &failure.Error{Kind: failure.Unavailable, RetryAfter: refuseFor, Err: fmt.Errorf("ledger: %w", err),
		Detail: "the database does not take the prediction, and GATEWAY_OUTBOX_SYNC=database answers none that it does not have"}
}

// refuseFor is the Retry-After of a refused prediction.
const refuseFor = 5 * time.Second

// keepMemory is the largest buffer, in bytes, that is kept for the next batch.
const keepMemory = 1 << 20

func (o *Outbox) giveBack(b *batch) {
	if cap(b.frames) <= keepMemory {
		o.batches.Put(b)
	}
}

// fill encodes predictions into the batch's buffers, which it reuses.
func (b *batch) fill(predictions []predict.Prediction) error {
	b.frames, b.keys = b.frames[:0], b.keys[:0]
	for i := range predictions {
		p := &predictions[i]
		start := len(b.frames)
		b.frames = appendRecord(beginFrame(b.frames), p)
		if len(b.frames)-start-frameHeader > maxRecord {
			return failure.Errorf(failure.Invalid, "a prediction is larger than the ledger can keep")
		}
		endFrame(b.frames, start)
		b.keys = append(b.keys, keyOf(p.ID, p.CustomerID, start))
	}
	b.oldest = predictions[0].CreatedAt.UnixMicro()
	return nil
}

// waitForRoom blocks a call of many rows while the outbox is more than half
// full and being drained, until ctx ends. So a call of a million rows proceeds at
// the pace of the database and leaves room for single predictions of other callers.
// While the drain fails it returns at once, and the policy decides.
func (o *Outbox) waitForRoom(ctx context.Context) {
	for o.running.Load() && !o.drains.Lasts() {
		l := o.journal.level()
		if float64(l.bytes) <= waitFull*float64(o.options.MaxBytes) {
			return
		}
		check := time.NewTimer(linger) // the drain may have failed meanwhile
		select {
		case <-l.freed:
		case <-check.C:
		case <-ctx.Done():
		}
		check.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// Stats are the figures of an outbox.
type Stats struct {
	Rows    int       // that are not drained
	Bytes   int64     // of these rows
	Oldest  time.Time // when the oldest of these rows was made; zero: there are none
	Failing time.Time // since when the drain fails; zero if it does not
	// Since the start:
	Dropped  int64 // rows removed at the bound or because the disk was full
	SetAside int64 // rows that the database refused, or that were damaged
	// Damaged is the number of damaged segments that are not drained. Drained ones
	// are moved to "damaged".
	Damaged int
	// Unread is the number of files that Open could not read as segments. They are
	// left as they are.
	Unread int
}

// Stats returns the current figures.
func (o *Outbox) Stats() Stats {
	l := o.journal.level()
	s := Stats{Rows: l.rows, Bytes: l.bytes, Dropped: o.journal.dropped.Load(), SetAside: o.setAside.Load(), Damaged: l.damaged, Unread: o.journal.unread,
		Failing: o.drains.Since()}
	if l.oldest != 0 {
		s.Oldest = time.UnixMicro(l.oldest).UTC()
	}
	return s
}

var (
	errDrain  = errors.New("rows of the ledger cannot be stored in the database; they are kept in the outbox")
	errDirect = errors.New("predictions cannot be stored in the database; they are answered with 503")
)

// Check returns an error while rows cannot be appended or drained.
func (o *Outbox) Check(context.Context) error {
	switch {
	case o.writes.Lasts():
		return errors.New("cannot write rows to the disk of the outbox")
	case o.flushes.Lasts():
		return errors.New("cannot flush rows to the disk of the outbox")
	case o.full.Lasts():
		return errFull
	case o.drains.Lasts() && o.options.Sync == Database:
		return errDirect
	case o.drains.Lasts():
		return errDrain
	}
	return nil
}

func (o *Outbox) reportFinding(f finding) {
	switch {
	case f.left != nil:
		o.log.Error("cannot read a file of the outbox as a segment; its rows are not drained and the file is left as it is",
			"file", f.path, "error", f.left)
	case f.tail:
		o.log.Warn("cut off the incomplete end of an outbox segment; its predictions had not been answered",
			"segment", f.path, "bytes", f.bytes)
	default:
		o.metrics.damaged.Inc()
		o.log.Error("an outbox segment is damaged; its intact rows are drained, then it is moved to the folder damaged",
			"segment", f.path, "bytes", f.bytes)
	}
}

// noteFull records that the bound is reached.
func (o *Outbox) noteFull() {
	msg := "the outbox is full; the oldest predictions are dropped until there is room"
	if o.options.Policy == Refuse {
		msg = "the outbox is full; predictions are refused until there is room"
	}
	o.full.Failed(o.log.Error, errFull, msg, "bytes", o.options.MaxBytes)
}

// noteRoom records that the outbox is well below its bound.
func (o *Outbox) noteRoom() {
	o.full.Succeeded(o.log.Info, "the outbox has room again", "dropped", o.journal.dropped.Load())
}

// keepRefused appends a frame to a file in the folder of refused rows and flushes
// it. No other segment has its number, so that it can be moved back as it is.
func (o *Outbox) keepRefused(frame []byte) (path string, err error) {
	file, err := o.openRefused(int64(len(frame)))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if _, err := file.WriteAt(frame, size); err != nil {
		return "", errors.Join(err, file.Truncate(size))
	}
	return file.Name(), file.Sync()
}

// openRefused opens the file that this process made last, if it is still there
// and has room, or makes another one.
func (o *Outbox) openRefused(room int64) (*os.File, error) {
	if info, err := os.Lstat(o.refused); err == nil && info.Mode().IsRegular() && info.Size()+room <= maxSegment {
		return os.OpenFile(o.refused, os.O_RDWR, 0)
	}
	dir := filepath.Join(o.journal.dir, refusedFolder)
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	s, file, err := o.journal.create(dir)
	if err != nil {
		return nil, err
	}
	o.refused = s.path
	return file, nil
}
