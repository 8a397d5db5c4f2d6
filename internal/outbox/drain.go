package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

const (
	// linger is how long rows gather before a batch is drained, unless there
	// are enough for a full batch.
	linger, lingerInside = 100 * time.Millisecond, 500 * time.Millisecond
	// recheck is how often a resting drainer computes its rest anew.
	recheck = 20 * time.Millisecond
	// minBatch is how many rows are stored at once after a failure. Each success
	// doubles that, up to maxBatch, so that a database that has just recovered is not
	// overloaded with the backlog.
	minBatch, maxBatch = 64, 1024
	// A database in this process gets Options.Gentle rows at once while the outbox
	// has room and predictions come, fullerBatch when it is half full or none come, and
	// beyond half up to fullBatch.
	// On one processor all requests wait while such a batch is stored.
	fullerBatch, fullBatch = 128, 512
	batchBytes             = 4 << 20
	// storeTimeout is how long the database may take for a batch.
	storeTimeout = 10 * time.Second
	// After a failure the drain pauses, after each further one for twice as long.
	minPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	// minShare is how much of the drainer's time is work while the outbox has
	// room. Where the database is in this process it is minShareInside, and
	// fullerShareInside when the outbox is half full.
	minShare, minShareInside, fullerShareInside = 0.5, 0.03, 0.25
	// maxRestInside is the longest rest with such a database, so that the ledger
	// is not too far behind on a slow processor.
	maxRestInside = 50 * time.Millisecond
	// quietAfter is how long no predictions are appended before a backlog is drained to
	// such a database without rests. At 500 random calls a second fewer than one gap in a
	// hundred is as long.
	quietAfter = 10 * time.Millisecond
	// waitFull is how full the outbox is when calls of many rows wait for the drain.
	waitFull = 0.5
	// suspectNext is how many rows after a failing one are tried, to find out whether
	// that row or the database is at fault.
	suspectNext = 4
	// flushEvery is how often rows are flushed with Sync Interval, and how often
	// drained segments are removed.
	flushEvery = time.Second
)

// drain is the state of the drainer. Only the drainer touches it.
type drain struct {
	rows    int           // of the next batch
	pause   time.Duration // after the next failure
	arrived time.Time     // when a row came into the empty outbox
	took    time.Duration // by the last batch
	ended   time.Time     // when the last batch ended
	failed  bool          // whether the last batch failed
	writes  int           // of the journal, when they were counted last
	wrote   time.Time     // when that number was new
	buf     []byte
	decoder decoder
	taken   []predict.Prediction // the rows of the chunk in use
}

func newDrain() drain { return drain{rows: minBatch, pause: minPause} }

// Run drains the outbox until ctx ends.
//
// It stores one batch at a time and then rests for as long as the batch took,
// so that draining takes at most half of the database's time. Above three
// eighths of the bound the rests become shorter, above a half there are none.
//
// If the database is in this process, a rest is thirty times as long as a batch,
// at most maxRestInside: predictions have priority, and the outbox buffers them
// in a peak. Above three eighths the rests become shorter. At a half, where calls
// of many rows begin to wait for room, draining takes a quarter of the time, so
// these calls wait and single predictions do not. If the outbox fills even so,
// there are no rests above five eighths, and batches are large, which costs less
// for each row. There are none either while rows wait and no predictions come, as
// after a large call.
func (o *Outbox) Run(ctx context.Context) {
	o.running.Store(true)
	defer o.running.Store(false)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	wait := time.NewTimer(0) // until the next batch
	defer wait.Stop()
	waiting := true // wait is running; false: there was nothing to drain
	for {
		arrived := o.journal.arrived
		if waiting {
			arrived = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			o.tick(ctx)
		case <-arrived:
			o.drain.arrived = time.Now()
			wait.Reset(recheck)
			waiting = true
		case <-wait.C:
			if rest := o.rest(); rest > 0 {
				wait.Reset(o.untilCheck(rest))
				continue
			}
			start := time.Now()
			n, err := o.store(ctx, o.batchRows())
			o.drain.ended, o.drain.took, o.drain.failed = time.Now(), time.Since(start), err != nil
			switch {
			case err != nil:
				wait.Reset(o.failed(ctx, err))
			case n == 0:
				waiting = false
			default:
				wait.Reset(o.untilCheck(o.rest()))
			}
		}
	}
}

// rest returns the time until the next batch, by the share of the time that
// draining may take. A batch that is not full also waits for more rows.
func (o *Outbox) rest() time.Duration {
	d := &o.drain
	if d.failed || o.quiet() && o.isBacklog() {
		return 0
	}
	share := o.share(o.filled())
	rest := time.Duration(float64(d.took) * (1/share - 1))
	if o.inside() {
		rest = min(rest, maxRestInside)
	}
	since := time.Since(d.ended)
	if !o.isBacklog() && share < 1 {
		rest = max(rest, o.linger())
		since = min(since, time.Since(d.arrived))
	}
	return rest - since
}

// untilCheck is how long to wait before the rest is computed anew: meanwhile the
// outbox may fill, or predictions may cease to come.
func (o *Outbox) untilCheck(rest time.Duration) time.Duration {
	if o.inside() && o.isBacklog() {
		return min(rest, quietAfter)
	}
	return min(rest, recheck)
}

// isBacklog reports whether there are enough rows for a batch.
func (o *Outbox) isBacklog() bool { return o.journal.level().rows >= o.batchRows() }

// quiet reports whether no predictions come that a database in this process would
// delay.
func (o *Outbox) quiet() bool {
	d := &o.drain
	if n := o.journal.level().writes; n != d.writes {
		d.writes, d.wrote = n, time.Now()
	}
	return o.inside() && time.Since(d.wrote) >= quietAfter
}

// inside reports whether the database is in this process.
func (o *Outbox) inside() bool { return o.options.Flush != nil }

func (o *Outbox) linger() time.Duration {
	if o.inside() {
		return lingerInside
	}
	return linger
}

// batchRows is how many rows the next batch may have.
func (o *Outbox) batchRows() int {
	if !o.inside() {
		return o.drain.rows
	}
	low := o.options.Gentle
	if runtime.GOMAXPROCS(0) > 1 && o.quiet() {
		low = fullerBatch // another processor serves a request that comes now
	}
	return min(o.drain.rows, int(ramp(o.filled(), float64(low), fullerBatch, fullBatch)))
}

// filled is how full the outbox is, from 0 to 1.
func (o *Outbox) filled() float64 {
	return float64(o.journal.level().bytes) / float64(o.options.MaxBytes)
}

// share is how much of the drainer's time is work, given how full the outbox
// is.
func (o *Outbox) share(full float64) float64 {
	if o.inside() {
		return ramp(full, minShareInside, fullerShareInside, 1)
	}
	return ramp(full, minShare, 1, 1)
}

// ramp is linear in full, the fraction of the outbox that is used: low up to 3/8,
// fuller at 1/2, high from 5/8 on.
func ramp(full, low, fuller, high float64) float64 {
	between := func(from, till float64) float64 { return min(1, max(0, full-from)/(till-from)) }
	return low + (fuller-low)*between(0.375, waitFull) + (high-fuller)*between(waitFull, 0.625)
}

// tick flushes and removes what is due. Run calls it every second.
func (o *Outbox) tick(ctx context.Context) {
	if o.options.Sync == Interval {
		if flushed, err := o.journal.flushNow(); flushed || err != nil {
			o.flushes.Record(o.log, err, "cannot flush the outbox; a power cut would lose the rows that the database does not have; trying again",
				"rows of the outbox are flushed again")
		}
	}
	o.reclaim(ctx)
}

// Drain drains without rests until the outbox is empty or ctx ends. Run must have
// ended.
func (o *Outbox) Drain(ctx context.Context) error {
	err := o.drainAll(ctx)
	if err == nil || !o.inside() { // a failing database in this process cannot flush
		o.reclaim(ctx)
	}
	return err
}

func (o *Outbox) drainAll(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := o.store(ctx, o.drain.rows)
		if err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
	return ctx.Err()
}

// reclaim removes drained rows from the disk and logs when that fails.
func (o *Outbox) reclaim(ctx context.Context) {
	if !o.journal.hasDrained() {
		return
	}
	o.removals.Record(o.log, o.removeDrained(ctx), "cannot remove drained rows from the outbox; they are kept; trying again",
		"drained rows are removed from the outbox again")
}

func (o *Outbox) removeDrained(ctx context.Context) error {
	if o.inside() {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		if err := o.options.Flush(ctx); err != nil {
			return err
		}
	}
	return o.journal.removeDrained()
}

// store drains one batch of at most rows rows, and returns how many it had.
func (o *Outbox) store(ctx context.Context, rows int) (int, error) {
	d := &o.drain
	c, buf, err := o.journal.nextChunk(rows, batchBytes, d.buf)
	d.buf = buf
	n := len(c.records)
	if n == 0 || err != nil {
		return 0, err
	}
	d.taken = d.taken[:0]
	for i, record := range c.records {
		p, err := d.decoder.decode(record)
		if err != nil {
			// A row without an id takes its place, which put sets aside.
			p = predict.Prediction{}
			if record == nil && o.journal.markDamaged(&c) {
				o.reportFinding(finding{path: c.segment.path, bytes: c.length(i)})
			}
		}
		d.taken = append(d.taken, p)
	}
	start := time.Now()
	if err := o.put(ctx, &c, d.taken); err != nil {
		if err = o.suspect(ctx, &c, err); err != nil {
			if c.segment != nil {
				o.journal.release(&c)
			}
			return 0, err
		}
	}
	o.metrics.drainSeconds.Observe(time.Since(start).Seconds())
	o.recovered()
	return n, nil
}

// put stores rows, which are the first of the chunk. If the database refuses some
// of them, it finds these by bisection and sets them aside.
func (o *Outbox) put(ctx context.Context, c *chunk, rows []predict.Prediction) error {
	if len(rows) == 1 && rows[0].ID == "" {
		return o.putAside(c, rows[0], errBrokenRecord)
	}
	err := o.tryRows(ctx, rows)
	switch {
	case err == nil:
		o.metrics.drained.Add(float64(len(rows)))
		o.journal.done(c, len(rows), rows[len(rows)-1].CreatedAt.UnixMicro())
		return nil
	case !isRefusal(err):
		return err
	case len(rows) == 1:
		return o.putAside(c, rows[0], err)
	}
	half := len(rows) / 2
	if err := o.put(ctx, c, rows[:half]); err != nil {
		return err
	}
	return o.put(ctx, c, rows[half:])
}

func (o *Outbox) tryRows(ctx context.Context, rows []predict.Prediction) error {
	for i := range rows {
		if rows[i].ID == "" {
			return errBrokenRecord
		}
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return o.ledger.Append(ctx, rows)
}

// isRefusal reports whether err means that a row is at fault, not the database.
func isRefusal(err error) bool {
	var e *failure.Error
	return errors.Is(err, errBrokenRecord) || errors.As(err, &e) && (e.Kind == failure.Invalid || e.Kind == failure.Conflict)
}

// putAside moves the first row of the chunk to the refused rows, so that it does
// not block the rows after it.
func (o *Outbox) putAside(c *chunk, p predict.Prediction, why error) error {
	record := c.records[0]
	path := "" // a damaged row stays in its segment, which is kept
	if record != nil {
		frame := append(beginFrame(nil), record...)
		endFrame(frame, 0)
		var err error
		if path, err = o.keepRefused(frame); err != nil {
			return err
		}
	}
	o.setAside.Add(1)
	o.metrics.setAside.Inc()
	o.log.Error("cannot store a row of the outbox; it was set aside", "prediction", p.ID, "kept_in", path, "error", why)
	o.journal.done(c, 1, p.CreatedAt.UnixMicro())
	return nil
}

// suspect handles a failure that does not say that a row is at fault. A row may be
// at fault all the same, if its error is not classified. Batches shrink with every
// failure until the first row is tried alone. If the database then stores the next
// few rows and again fails for the first, that row is set aside. Otherwise the
// database is at fault, and suspect returns the failure.
func (o *Outbox) suspect(ctx context.Context, c *chunk, failure error) error {
	d := &o.drain
	if d.rows > 1 || ctx.Err() != nil {
		return failure
	}
	first := d.taken[:1]
	o.journal.release(c)
	var err error
	if *c, d.buf, err = o.journal.nextChunk(1+suspectNext, batchBytes, d.buf); err != nil || len(c.records) < 2 {
		return errors.Join(failure, err)
	}
	var next []predict.Prediction
	for _, record := range c.records[1:] {
		if p, err := d.decoder.decode(record); err == nil {
			next = append(next, p)
		}
	}
	for i := range next {
		if o.tryRows(ctx, next[i:i+1]) != nil {
			return failure
		}
	}
	if len(next) == 0 {
		return failure
	}
	if err := o.tryRows(ctx, first); err != nil {
		if err := o.putAside(c, first[0], err); err != nil {
			return err
		}
	}
	o.journal.release(c) // the rows after it are stored once more, as usual
	return nil
}

// failed records a failure and returns how long to pause.
func (o *Outbox) failed(ctx context.Context, err error) time.Duration {
	d := &o.drain
	if ctx.Err() != nil {
		return 0 // the drainer is stopping
	}
	o.metrics.drainFailures.Inc()
	l := o.journal.level()
	o.drains.Failed(o.log.Error, err, "cannot drain the outbox to the database; predictions are still recorded in it; trying again", "rows", l.rows, "bytes", l.bytes)
	d.rows = max(1, min(d.rows, minBatch)/2)
	pause := d.pause
	d.pause = min(2*d.pause, maxPause)
	// Jitter: gateways that share a database do not retry at the same moment.
	return pause/2 + rand.N(pause/2)
}

// recovered records a success.
func (o *Outbox) recovered() {
	d := &o.drain
	d.pause = minPause
	d.rows = min(2*max(d.rows, minBatch/2), maxBatch)
	l := o.journal.level()
	o.drains.Succeeded(o.log.Info, "the outbox is drained again", "rows", l.rows, "bytes", l.bytes)
	if l.bytes < o.options.MaxBytes/10*9 {
		o.noteRoom()
	}
}
