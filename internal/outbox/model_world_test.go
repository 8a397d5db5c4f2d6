package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/insights/insightstest"
	"gateway/internal/predict"
)

// world is an outbox in a model test, what surrounds it, and the model: what was
// acknowledged, and which of that may be missing from the ledger in the end.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	name    string
	dir     string
	raw     modelLedger
	ledger  *fickleLedger
	box     *Outbox
	options Options
	logs    []*lockedBuffer // of each start
	trace   []string

	serial    int
	poisoning bool
	acked     map[string]bool
	excused   map[string]string   // why a row may be missing
	inFile    map[string][]string // the rows of each segment of this start
	strange   map[string]string   // files that no start may touch, and their text
	durable   map[string][]byte   // what each segment held before it was emptied or removed

	dropped, damaged int // reports of all starts before this one
}

func newWorld(t *testing.T, raw modelLedger, seed uint64) *world {
	dir, err := os.MkdirTemp("", "model-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, rng: newRand(seed), name: episodeName(seed), dir: dir, raw: raw, acked: map[string]bool{},
		excused: map[string]string{}, inFile: map[string][]string{}, strange: map[string]string{}, durable: map[string][]byte{}}
	w.ledger = &fickleLedger{modelLedger: raw, rng: w.rng, stored: map[string]bool{}, poison: map[string]bool{}}
	return w
}

func (w *world) end() {
	if w.box != nil {
		_ = w.box.Close()
	}
	w.raw.clear(w.t)
	if err := os.RemoveAll(w.dir); err != nil {
		w.t.Error(err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Errorf("%v\n%s\n%s", err, w.history(), w.lastLogs())
		w.t.FailNow()
	}
}

// note begins a step.
func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
	if w.power() {
		w.remember()
	}
}

func (w *world) history() string {
	return strings.Join(w.trace[max(0, len(w.trace)-60):], "\n")
}

func (w *world) lastLogs() string {
	var text strings.Builder
	for _, l := range w.logs[max(0, len(w.logs)-3):] {
		text.WriteString("--- start\n" + l.String())
	}
	return text.String()
}

// start opens the outbox with random options, and reads what its folder has.
func (w *world) start() {
	w.t.Helper()
	w.options = Options{
		MaxBytes: 8 << 10 << w.rng.IntN(3),
		Policy:   []Policy{DropOldest, Refuse}[w.rng.IntN(2)],
		Sync:     []Sync{Always, Interval}[w.rng.IntN(2)],
		Gentle:   4,
	}
	if w.raw.flush() != nil {
		w.options.Flush = w.ledger.Flush
	}
	if _, inMemory := w.raw.(*memoryLedger); inMemory {
		w.options.Sync = Always // a power cut may come
	}
	w.inFile = map[string][]string{}
	for _, name := range w.segmentFiles() {
		w.inFile[name] = w.idsIn(filepath.Join(w.dir, name))
	}
	logs := &lockedBuffer{}
	w.logs = append(w.logs, logs)
	box, err := Open(w.dir, w.ledger, w.options, slog.New(slog.NewTextHandler(logs, nil)), prometheus.NewRegistry())
	w.must(err)
	w.box = box
}

// gone adds up what a start reported, when it ends.
func (w *world) gone() {
	w.dropped += int(w.box.journal.dropped.Load())
	logs := w.logs[len(w.logs)-1].String()
	w.damaged += strings.Count(logs, "is damaged") + strings.Count(logs, "incomplete end") + int(w.box.setAside.Load())
	w.box = nil
}

func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := w.ctx()
	defer cancel()
	if w.rng.IntN(4) > 0 {
		_ = w.box.Drain(ctx) // the database may be away
	}
	w.must(w.box.Close())
	w.gone()
}

// kill leaves the files as they are. The process may have written a part of a
// row that it never acknowledged.
func (w *world) kill() {
	w.t.Helper()
	if active := w.box.journal.active; active != nil && w.rng.IntN(3) == 0 {
		frames := new(batch)
		w.must(frames.fill([]predict.Prediction{w.newRow()}))
		part := frames.frames[:1+w.rng.IntN(len(frames.frames))]
		if w.rng.IntN(4) == 0 {
			part = make([]byte, len(part)) // zeros
		}
		_, err := w.box.journal.file.WriteAt(part, active.size)
		w.must(err)
	}
	if file := w.box.journal.file; file != nil {
		w.must(file.Close())
	}
	w.gone()
}

func (w *world) stopAndStart() { w.stop(); w.start() }

func (w *world) killAndStart() { w.kill(); w.start() }

// power says that power cuts are part of the test.
func (w *world) power() bool {
	_, ok := w.raw.(*memoryLedger)
	return ok
}

// powerCut is a kill at which the database loses what it has not flushed, and
// removed segments come back, for their removal was not flushed.
func (w *world) powerCut() {
	w.t.Helper()
	w.kill()
	if w.power() {
		w.raw.(*memoryLedger).losePower()
		for name, data := range w.durable {
			path := filepath.Join(w.dir, name)
			info, err := os.Stat(path)
			emptied := err == nil && info.Size() <= int64(len(magic)) && len(data) > len(magic)
			if (errors.Is(err, os.ErrNotExist) || emptied) && w.rng.IntN(2) == 0 {
				w.must(os.WriteFile(path, data, 0o600))
			}
		}
		w.durable = map[string][]byte{}
	}
	w.start()
}

// remember notes what the segments hold.
func (w *world) remember() {
	for _, name := range w.segmentFiles() {
		data, err := os.ReadFile(filepath.Join(w.dir, name))
		w.must(err)
		if len(data) > len(magic) || w.durable[name] == nil {
			w.durable[name] = data
		}
	}
}

// ctx is short while the database hangs.
func (w *world) ctx() (context.Context, context.CancelFunc) {
	if w.ledger.outage == outageHangs {
		return context.WithTimeout(context.Background(), time.Millisecond)
	}
	return context.WithCancel(context.Background())
}

func (w *world) newRow() predict.Prediction {
	w.serial++
	p := newPrediction(w.serial)
	p.ID = fmt.Sprintf("%s-%06d", w.name, w.serial)
	p.Model = w.name
	p.Features = fmt.Appendf(nil, `{"n":"%s"}`, strings.Repeat("x", w.rng.IntN(100)))
	p.Bins = []byte(string(rune('0' + w.serial%20)))
	return p
}

func (w *world) append(n int) {
	w.t.Helper()
	rows := make([]predict.Prediction, n)
	for i := range rows {
		rows[i] = w.newRow()
		if w.poisoning && w.rng.IntN(10) == 0 {
			w.ledger.poison[rows[i].ID] = true
		}
	}
	j := &w.box.journal
	before := slices.Clone(j.segments)
	dropped := j.dropped.Load()
	written := 0
	if j.active != nil {
		written = len(j.active.keys)
	}
	active := j.active
	err := w.box.Append(context.Background(), rows)
	var e *failure.Error
	if err != nil && (w.options.Policy != Refuse || !errors.As(err, &e) || e.Kind != failure.Unavailable) {
		w.t.Errorf("Append with policy %s: %v", w.options.Policy, err)
	}
	lost := int(j.dropped.Load() - dropped)
	for _, s := range before {
		if !slices.Contains(j.segments, s) {
			w.excuse(w.inFile[filepath.Base(s.path)], "dropped")
		}
	}
	if err != nil {
		return
	}
	ids := make([]string, n)
	for i := range rows {
		ids[i] = rows[i].ID
		w.acked[ids[i]] = true
	}
	if j.active == nil || j.active == active && len(j.active.keys) == written {
		if lost < n {
			w.t.Errorf("%d rows were acknowledged and not written, and %d reported as dropped", n, lost)
		}
		w.excuse(ids, "dropped")
		return
	}
	name := filepath.Base(j.active.path)
	w.inFile[name] = append(w.inFile[name], ids...)
}

func (w *world) excuse(ids []string, why string) {
	for _, id := range ids {
		w.excused[id] = why
	}
}

func (w *world) drainSome() {
	for range 1 + w.rng.IntN(3) {
		ctx, cancel := w.ctx()
		n, err := w.box.store(ctx, min(w.box.batchRows(), 1+w.rng.IntN(16)))
		cancel()
		if err != nil {
			w.box.failed(context.Background(), err)
		}
		if n == 0 {
			return
		}
	}
}

// second is what happens once a second.
func (w *world) second() {
	ctx, cancel := w.ctx()
	defer cancel()
	w.box.tick(ctx)
}

// quiet is a minute without traffic.
func (w *world) quiet() {
	ctx, cancel := w.ctx()
	defer cancel()
	_ = w.box.Drain(ctx) // the database may be away
	w.box.tick(ctx)
}

// moveRefusedBack is what an operator does once the database takes the rows.
func (w *world) moveRefusedBack() { w.moveBack("refused") }

func (w *world) moveDamagedBack() { w.moveBack("damaged") }

func (w *world) moveBack(folder string) {
	w.t.Helper()
	w.stop()
	if w.rng.IntN(2) == 0 {
		clear(w.ledger.poison)
	}
	w.moveFiles(folder)
	w.start()
}

// moveFiles moves all files of a folder into the outbox, each under its own
// name or another one that is free, and returns how many there were.
func (w *world) moveFiles(folder string) int {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, folder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.must(err)
	}
	for _, entry := range entries {
		number := segmentNumber(entry.Name())
		if number == 0 || w.rng.IntN(2) == 0 {
			number = uint64(1 + w.rng.IntN(8))
		}
		for {
			if _, err := os.Lstat(filepath.Join(w.dir, segmentName(number))); errors.Is(err, os.ErrNotExist) {
				break
			}
			number++
		}
		w.must(os.Rename(filepath.Join(w.dir, folder, entry.Name()), filepath.Join(w.dir, segmentName(number))))
		w.note("    %s/%s to %s", folder, entry.Name(), segmentName(number))
	}
	return len(entries)
}

// damageSegment flips a bit in a segment, in the last byte of the magic excepted:
// another version of the format ends the start.
func (w *world) damageSegment() {
	w.t.Helper()
	names := w.segmentFiles()
	if len(names) == 0 {
		return
	}
	path := filepath.Join(w.dir, names[w.rng.IntN(len(names))])
	data, err := os.ReadFile(path)
	w.must(err)
	at := w.rng.IntN(len(data))
	if at == len(magic)-1 {
		return
	}
	scan(data, min(len(magic), len(data)), func(offset int, record []byte) {
		if offset <= at && at < offset+frameHeader+len(record) {
			if p, err := new(decoder).decode(record); err == nil {
				w.excuse([]string{p.ID}, "damaged")
			}
		}
	})
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	w.must(err)
	_, err = file.WriteAt([]byte{data[at] ^ 1<<w.rng.IntN(8)}, int64(at))
	w.must(errors.Join(err, file.Close()))
}

// runOldVersion leaves what a version before this one did: a file that says how
// far the drain is, in a folder that has other segments since.
func (w *world) runOldVersion() {
	w.t.Helper()
	w.kill()
	path := filepath.Join(w.dir, "position")
	w.must(os.RemoveAll(path))
	if w.rng.IntN(4) == 0 {
		w.must(os.Symlink(w.strangeFile("target"), path))
	} else {
		w.must(os.WriteFile(path, positionOf(uint64(w.rng.IntN(20)), uint32(w.rng.IntN(2000))), 0o600))
	}
	w.start()
}

// strangeFile makes a file that no start may change, outside of the outbox.
func (w *world) strangeFile(name string) string {
	outside := w.dir + "-outside"
	w.must(os.MkdirAll(outside, 0o700))
	path := filepath.Join(outside, name)
	w.must(os.WriteFile(path, []byte("not the outbox's"), 0o600))
	w.strange[path] = "not the outbox's"
	w.t.Cleanup(func() { _ = os.RemoveAll(outside) })
	return path
}

// leaveStrangeFiles puts files into the folder that are no segments.
func (w *world) leaveStrangeFiles() {
	w.t.Helper()
	w.stop()
	for _, name := range []string{"notes.txt", segmentName(3) + ".bak", "7.seg", segmentName(0)} {
		path := filepath.Join(w.dir, name)
		w.must(os.WriteFile(path, []byte(name), 0o600))
		w.strange[path] = name
	}
	link := filepath.Join(w.dir, segmentName(uint64(90+w.rng.IntN(5))))
	if _, err := os.Lstat(link); errors.Is(err, os.ErrNotExist) {
		target := w.strangeFile("segment")
		w.must(os.Symlink(target, link))
		w.strange[link] = w.strange[target]
	}
	w.start()
	if !strings.Contains(w.logs[len(w.logs)-1].String(), "notes.txt") {
		w.t.Errorf("the strange files were not reported")
	}
}

// recordOutcome reports an outcome. A prediction that the ledger has is found.
func (w *world) recordOutcome() {
	if w.serial == 0 {
		return
	}
	id := fmt.Sprintf("%s-%06d", w.name, 1+w.rng.IntN(w.serial))
	had := w.ledger.stored[id] && w.acked[id]
	ctx, cancel := w.ctx()
	defer cancel()
	matches, err := w.box.RecordOutcomes(ctx, []predict.Outcome{{PredictionID: id, Label: 1, ObservedAt: noon}})
	if err == nil && had && !w.power() && !matches[0].Found {
		w.t.Errorf("the outcome of %s found nothing, and the ledger has it", id)
	}
}

// segmentFiles are the names of the regular files that are named as segments.
func (w *world) segmentFiles() []string {
	entries, err := os.ReadDir(w.dir)
	w.must(err)
	var names []string
	for _, entry := range entries {
		if segmentNumber(entry.Name()) != 0 && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func (w *world) idsIn(path string) (ids []string) {
	data, err := os.ReadFile(path)
	w.must(err)
	scan(data, min(len(magic), len(data)), func(_ int, record []byte) {
		if p, err := new(decoder).decode(record); err == nil {
			ids = append(ids, p.ID)
		}
	})
	return ids
}

// check lets everything heal, drains all there is, and compares the ledger with
// the model.
func (w *world) check(counts map[string]int) {
	w.t.Helper()
	w.note("check")
	w.ledger.outage = outageNone
	clear(w.ledger.poison)
	for first := true; ; first = false {
		if moved := w.moveAllRefused(); moved == 0 && !first {
			break
		}
	}
	w.quiet()
	w.quiet()
	if got := w.segmentFiles(); len(got) > 1 {
		w.t.Errorf("%s: once all is drained the segments %v are left", w.name, got)
	}
	w.gone()
	found := map[string]int{}
	for _, id := range w.raw.rows(w.t, w.name) {
		found[id]++
	}
	if s, ok := w.raw.(*storeLedger); ok {
		insightstest.CheckSums(w.t, episodeLedger{s, w.name})
	}
	missing := map[string]int{}
	var lost []string
	for id := range w.acked {
		switch why := w.excused[id]; {
		case found[id] > 1:
			w.t.Errorf("%s: %s is in the ledger %d times", w.name, id, found[id])
		case found[id] == 1:
			counts["rows found"]++
		case why != "":
			missing[why]++
			counts["rows "+why]++
		default:
			lost = append(lost, id)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		w.t.Errorf("%s: of %d acknowledged rows %d are lost, and nothing reported them: %v",
			w.name, len(w.acked), len(lost), lost[:min(len(lost), 5)])
	}
	if missing["dropped"] > w.dropped {
		w.t.Errorf("%s: %d rows were dropped, and %d reported", w.name, missing["dropped"], w.dropped)
	}
	if missing["damaged"] > w.damaged {
		w.t.Errorf("%s: %d rows were damaged, and %d places reported", w.name, missing["damaged"], w.damaged)
	}
	for path, want := range w.strange {
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			w.t.Errorf("%s: the strange file %s has %q (%v), want %q", w.name, path, text, err, want)
		}
	}
}

// moveAllRefused stops, moves back what was refused, and drains all.
func (w *world) moveAllRefused() (moved int) {
	w.t.Helper()
	w.stop()
	moved = w.moveFiles("refused")
	w.start()
	w.must(w.box.Drain(context.Background()))
	return moved
}

// What the database does.
const (
	outageNone    = iota
	outageFails   // nothing is stored
	outageHangs   // no answer comes
	outageForgets // rows are stored, and the answer is lost
	outageFlaky   // every second call fails
)

var outages = []int{outageFails, outageHangs, outageForgets, outageFlaky}

// fickleLedger stands before the database, and fails as told.
type fickleLedger struct {
	modelLedger
	rng    *rand.Rand
	outage int
	poison map[string]bool // rows that are refused
	stored map[string]bool
}

func (f *fickleLedger) fault(ctx context.Context) error {
	switch {
	case f.outage == outageFails, f.outage == outageFlaky && f.rng.IntN(2) == 0:
		return errDown
	case f.outage == outageHangs:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (f *fickleLedger) Append(ctx context.Context, rows []predict.Prediction) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	for i := range rows {
		if f.poison[rows[i].ID] {
			return failure.Errorf(failure.Invalid, "a value cannot be stored")
		}
	}
	if err := f.modelLedger.Append(ctx, rows); err != nil {
		return err
	}
	for i := range rows {
		f.stored[rows[i].ID] = true
	}
	if f.outage == outageForgets {
		return errDown
	}
	return nil
}

func (f *fickleLedger) RecordOutcomes(ctx context.Context, outcomes []predict.Outcome) ([]predict.Match, error) {
	if err := f.fault(ctx); err != nil {
		return nil, err
	}
	return f.modelLedger.RecordOutcomes(ctx, outcomes)
}

func (f *fickleLedger) Flush(ctx context.Context) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.flush()(ctx)
}
