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
	// DropOldest gives up the oldest rows: predictions go on.
	DropOldest Policy = "drop-oldest"
	// Refuse answers the prediction with an error: the ledger has all that was answered.
	Refuse Policy = "refuse"
)

// Sync says what a prediction survives once it is answered.
type Sync string

// The ways of Sync.
const (
	// Always flushes before the answer: a power cut loses nothing.
	Always Sync = "always"
	// Interval flushes once a second: a killed process loses nothing, and a
	// power cut at most that second.
	Interval Sync = "interval"
)

// Options are the settings. The zero value is a sensible outbox.
type Options struct {
	// MaxBytes bounds what waits for the database. Zero: 1 GiB.
	MaxBytes int64
	// Policy is what happens there. Zero: DropOldest.
	Policy Policy
	// Sync is when the disk is told to flush. Zero: Interval.
	Sync Sync
	// Flush makes the database flush the rows it was given. Nil: they are on its
	// disk when Append returns. A database that needs Flush is one in this process:
	// it shares the processor with predictions, so it is drained to slowly.
	Flush func(context.Context) error
	// Gentle is how many rows such a database stores at once without delaying
	// other queries for long. Zero: 16.
	Gentle int
	// Shared says that other outboxes drain to the same database, so that a
	// prediction that is nowhere may be in one of them.
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
	failedAt atomic.Int64  // when rows could not be written last, in microseconds
	running  atomic.Bool   // Run does

	setAside atomic.Int64 // rows since the start
	drain    drain
	refused  string // the file of refused rows that the drainer writes
}

// Open opens the outbox in a folder, or makes one, and reads what an earlier
// process left there. The folder must belong to this process alone. Close ends
// it; Run drains it.
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
	if err := o.journal.open(o.sayFinding); err != nil {
		return nil, fmt.Errorf("outbox %s: %w", dir, err)
	}
	if rows := o.journal.level().rows; rows > 0 {
		log.Info("the outbox has rows of an earlier run; draining them", "rows", rows)
	}
	// A segment of this process keeps the highest number while older ones go.
	if err := o.journal.begin(); err != nil {
		o.noteWrite(err)
	}
	return o, nil
}

// calm is how long writes must have succeeded before the disk is reported as
// writable again: on a full disk a small row may fit where larger ones do not.
const calm = 5 * time.Second

// noteWrite records the result of an attempt to write.
func (o *Outbox) noteWrite(err error) {
	switch {
	case err != nil:
		o.failedAt.Store(time.Now().UnixMicro())
		o.writes.Failed(o.log.Error, err, "cannot write to the outbox; its policy decides whether predictions are refused or not recorded", "policy", string(o.options.Policy))
	case o.writes.Lasts() && time.Since(time.UnixMicro(o.failedAt.Load())) >= calm:
		o.writes.Succeeded(o.log.Info, "the outbox can be written again", "dropped", o.journal.dropped.Load())
	}
}

// Close ends the outbox. What was appended stays on disk, and is drained by the
// next process that opens the folder. Append fails from here on.
func (o *Outbox) Close() error {
	if err := o.journal.close(); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// Append implements predict.Ledger: the predictions are on disk when it
// returns. If the outbox has no room, the policy decides. With Refuse the error
// is of kind Unavailable, and none of the predictions may be answered. With
// DropOldest they may: the rows that were lost are counted and logged.
func (o *Outbox) Append(ctx context.Context, predictions []predict.Prediction) error {
	if len(predictions) == 0 {
		return nil
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

// refuseFor is when a caller who was refused may try again.
const refuseFor = 5 * time.Second

// keepMemory is how large the memory of a batch may be to be kept for the next.
const keepMemory = 1 << 20

func (o *Outbox) giveBack(b *batch) {
	if cap(b.frames) <= keepMemory {
		o.batches.Put(b)
	}
}

// fill encodes predictions. The batch keeps its memory from call to call.
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
// full and being drained, until ctx ends. So a caller with a million rows
// proceeds at the pace of the database and leaves room for single predictions of
// others. While the database is down it returns at once, and the policy decides.
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
	Rows    int       // not drained
	Bytes   int64     // of those
	Oldest  time.Time // when the oldest of those was made; zero if none waits
	Failing time.Time // since when the drain fails; zero if it does not
	// Since the start:
	Dropped  int64 // rows removed at the bound or because the disk was full
	SetAside int64 // rows that the database refused, or that were damaged
	// Damaged segments that wait; once drained they are moved to "damaged".
	Damaged int
	// Files that the start could not read as segments. They are left as they are.
	Unread int
}

// Stats returns the figures of this moment.
func (o *Outbox) Stats() Stats {
	l := o.journal.level()
	s := Stats{Rows: l.rows, Bytes: l.bytes, Dropped: o.journal.dropped.Load(), SetAside: o.setAside.Load(), Damaged: l.damaged, Unread: o.journal.unread,
		Failing: o.drains.Since()}
	if l.oldest != 0 {
		s.Oldest = time.UnixMicro(l.oldest).UTC()
	}
	return s
}

var errDrain = errors.New("the database does not take the ledger's rows; they wait in the outbox")

// Check returns an error while rows cannot be drained or taken in.
func (o *Outbox) Check(context.Context) error {
	switch {
	case o.writes.Lasts():
		return errors.New("the disk of the outbox does not take rows")
	case o.flushes.Lasts():
		return errors.New("the disk of the outbox does not flush rows")
	case o.full.Lasts():
		return errFull
	case o.drains.Lasts():
		return errDrain
	}
	return nil
}

func (o *Outbox) sayFinding(f finding) {
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
