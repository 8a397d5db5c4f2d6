package console

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"gateway/internal/predict"
)

const (
	// tailEvery is how often the ledger is read while pages show predictions as they come.
	tailEvery = time.Second
	// tailOverlap is how far each read goes back before the newest prediction that is known,
	// because replicas deliver to the ledger with different delays. What comes later is not
	// shown live.
	tailOverlap = 10 * time.Second
	// maxTailRead bounds the rows of one read.
	maxTailRead = 1000
	// maxTailRows bounds the rows that a page gets in a second. No more can be looked at.
	maxTailRows = 50
	// maxTailBehind bounds the batches that wait for a page whose browser reads slowly.
	maxTailBehind = 4
)

// tail tells pages of new predictions in the ledger, which are those of all replicas. It
// reads the ledger once a second for all pages together, and not at all without pages.
type tail struct {
	// find returns a page of predictions of the ledger, the newest first.
	find func(context.Context, predict.Search) (predict.Found, error)

	mu       sync.Mutex
	running  bool // run is
	watchers map[*tailWatcher]bool
	// known are the predictions that were read, the newest first, as far back as the next
	// read goes. It is nil until a read has succeeded.
	known []*predict.Recorded
	err   error // of the last read
}

// tailFilter says which predictions a page shows. Empty fields stand for all.
type tailFilter struct {
	customer, model string
	since           time.Time
	// after is the id of the newest prediction that the page has. Of those that are known
	// when the page joins, it is told of later ones.
	after string
}

func (f *tailFilter) has(p *predict.Recorded) bool {
	return (f.customer == "" || p.CustomerID == f.customer) && (f.model == "" || p.Model == f.model) && !p.CreatedAt.Before(f.since)
}

// tailBatch is what a page is told.
type tailBatch struct {
	rows []*predict.Recorded // the newest first, at most maxTailRows
	// lost is how many predictions the page should have and does not get. gap says that it
	// is more, because more had come than one read returns.
	lost int
	gap  bool
	// failing says that the ledger cannot be read now.
	failing bool
}

// tailWatcher is one page that shows predictions as they come. The tail's mutex guards it.
type tailWatcher struct {
	filter  tailFilter
	batches chan tailBatch
	lost    int  // not told yet, because batches was full
	gap     bool // not told yet
	failing bool // what was told
}

// join adds a page, which must leave.
func (t *tail) join(filter tailFilter) *tailWatcher {
	w := &tailWatcher{filter: filter, batches: make(chan tailBatch, maxTailBehind)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watchers == nil {
		t.watchers = make(map[*tailWatcher]bool)
	}
	t.watchers[w] = true
	if !t.running {
		t.running, t.known, t.err = true, nil, nil
		go t.run()
	}
	w.tell(laterThan(t.known, filter.after), false, t.err != nil)
	return w
}

func (t *tail) leave(w *tailWatcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watchers, w)
}

// run reads the ledger until no page is left.
func (t *tail) run() {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for t.goesOn() {
		q := predict.Search{From: t.begin(), Limit: maxTailRead}
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		found, err := t.find(ctx, q)
		cancel()
		t.tell(found, err)
		<-tick.C
	}
}

// goesOn reports whether there is a page. Without one, the next page to join starts run.
func (t *tail) goesOn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = len(t.watchers) > 0
	return t.running
}

// begin returns the time from which on the next read looks.
func (t *tail) begin() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) == 0 {
		return time.Now().Add(-tailOverlap)
	}
	return t.known[0].CreatedAt.Add(-tailOverlap)
}

// tell tells the pages what a read has found.
func (t *tail) tell(found predict.Found, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err = err; err != nil {
		for w := range t.watchers {
			w.tell(nil, false, true)
		}
		return
	}
	first := t.known == nil
	fresh := t.add(found.Predictions)
	// All that was read is new, and there was more to read: something lies between.
	gap := found.Next.ID != "" && len(fresh) == len(found.Predictions)
	for w := range t.watchers {
		rows, missed := fresh, gap
		if first {
			rows = laterThan(fresh, w.filter.after)
			missed = gap && len(rows) == len(fresh)
		}
		w.tell(rows, missed, false)
	}
}

// add adds what was read to what is known, and returns what was not known. It forgets what
// the next read cannot return.
func (t *tail) add(read []predict.Recorded) (fresh []*predict.Recorded) {
	ids := make(map[string]bool, len(t.known))
	for _, p := range t.known {
		ids[p.ID] = true
	}
	for i := range read {
		if !ids[read[i].ID] {
			fresh = append(fresh, &read[i])
		}
	}
	all := slices.Concat(fresh, t.known)
	slices.SortFunc(all, func(a, b *predict.Recorded) int { return strings.Compare(b.ID, a.ID) })
	t.known = all[:min(len(all), maxTailRead)]
	return fresh
}

// laterThan returns those of rows, which are the newest first, whose id is later.
func laterThan(rows []*predict.Recorded, id string) []*predict.Recorded {
	n, _ := slices.BinarySearchFunc(rows, id, func(p *predict.Recorded, id string) int { return strings.Compare(id, p.ID) })
	return rows[:n]
}

// tell sends the page those of rows that it shows. If its browser is too far behind, they are
// counted instead.
func (w *tailWatcher) tell(rows []*predict.Recorded, gap, failing bool) {
	b := tailBatch{lost: w.lost, gap: w.gap || gap, failing: failing}
	for _, p := range rows {
		switch {
		case !w.filter.has(p):
		case len(b.rows) < maxTailRows:
			b.rows = append(b.rows, p)
		default:
			b.lost++
		}
	}
	if len(b.rows) == 0 && b.lost == 0 && !b.gap && failing == w.failing {
		return
	}
	select {
	case w.batches <- b:
		w.lost, w.gap, w.failing = 0, false, failing
	default:
		w.lost, w.gap = b.lost+len(b.rows), b.gap
	}
}
