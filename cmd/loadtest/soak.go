package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// soak runs a mixed load with renewals, rotations of secrets and faults of the endpoint. It
// compares the resources of the idle process before and after.
func soak(ctx context.Context, o options, r *report) (err error) {
	var secrets *secretFiles
	s, err := newStage(ctx, o, r, func(dir string) ([]string, string, error) {
		secrets = &secretFiles{dir: dir}
		if err := secrets.rotate(); err != nil {
			return nil, "", err
		}
		return []string{"GATEWAY_ADMIN_SECRET_ID=file:" + secrets.tokens(), "GATEWAY_API_KEYS_SECRET_ID=file:" + secrets.keys(),
			"GATEWAY_SECRET_TTL=5s"}, secrets.token, nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	long := o.soak
	if o.quick {
		long = min(long, 20*time.Second)
	}
	x, err := newMix(ctx, s.oracle)
	if err != nil {
		return err
	}
	x.key.Store(secrets.key)
	w := &weather{stage: s, secrets: secrets, mix: x}

	// All events happen once before, so that everything that is made once exists.
	if _, err := w.load(ctx, o.rate, min(long/4, time.Minute)); err != nil {
		return err
	}
	begin, err := s.gateway.rests(ctx, o.quick)
	if err != nil {
		return err
	}
	w.events = nil
	all, err := w.load(ctx, o.rate, long)
	if err != nil {
		return err
	}
	end, err := s.gateway.rests(ctx, o.quick)
	if err != nil {
		return err
	}
	w.tell(r, all, long, o)
	return tellHeld(r, begin, end, s)
}

// weather are the events during the load.
type weather struct {
	stage   *stage
	secrets *secretFiles
	mix     *mix
	events  []event
}

// event is an event with its time.
type event struct {
	name     string
	from, to time.Duration
	faulty   bool // requests may fail during the event
}

// load runs the mix with one event after the other.
func (w *weather) load(ctx context.Context, perSecond float64, long time.Duration) (records, error) {
	if err := w.stage.endpoint.become(ctx, w.sound()); err != nil {
		return nil, err
	}
	loads, err := w.mix.start(ctx, w.stage.gateway.addr, perSecond)
	if err != nil {
		return nil, err
	}
	for _, load := range loads {
		defer load.close()
	}
	// The pause between two events shows that no requests fail without a fault.
	pause := max(long/100, time.Second)
	now := loads[0].now
	for i := 0; now() < long; i++ {
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
		e := event{from: now()}
		if err := w.happen(ctx, i, &e); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", e.name, err), w.stage.gateway.alive())
		}
		e.to = now()
		w.events = append(w.events, e)
	}
	if err := wait(ctx, pause); err != nil {
		return nil, err
	}
	var all records
	for _, load := range loads {
		of := load.stop()
		w.stage.report.judge(load, of)
		all = append(all, of...)
	}
	return all, nil
}

func (w *weather) sound() behaviour { return behaviour{Latency: 5 * time.Millisecond, Concurrent: 8} }

// happen makes the i-th event happen: in turn a rotation, a renewal and a fault.
func (w *weather) happen(ctx context.Context, i int, e *event) error {
	switch i % 3 {
	case 0:
		e.name = "a rotation of tokens and keys"
		if err := w.secrets.rotate(); err != nil {
			return err
		}
		w.mix.key.Store(w.secrets.key)
		w.stage.gateway.token = w.secrets.token
		return nil
	case 1:
		e.name = "a renewal"
		done, err := w.stage.gateway.renew(ctx)
		if err == nil && done.Status != "succeeded" {
			err = fmt.Errorf("the renewal is %s: %s", done.Status, done.Error)
		}
		return err
	}
	// All faults but the last, which needs a renewal of its own.
	f := faulties[i/3%(len(faulties)-1)]
	e.name, e.faulty = "the endpoint "+f.name, true
	const lasts = 2 * time.Second
	if err := w.stage.endpoint.become(ctx, f.make(w.sound(), lasts)); err != nil {
		return err
	}
	if err := wait(ctx, lasts); err != nil {
		return err
	}
	return w.stage.endpoint.become(ctx, w.sound())
}

// recovery is the time after a fault in which requests may still fail.
const recovery = time.Second

// tell reports the results of the requests during faults and outside of them.
func (w *weather) tell(r *report, all records, long time.Duration, o options) {
	r.head("Soak")
	happened := make(map[string]int)
	var order []string
	for _, e := range w.events {
		if happened[e.name]++; happened[e.name] == 1 {
			order = append(order, e.name)
		}
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%s (%d)", name, happened[name])
	}
	detector := "without"
	if o.race {
		detector = "with"
	}
	r.note("%v of a mixed load, %g requests a second, %s the race detector, with %s. A fault lasts 2 s; requests that were due until one second after a fault are counted separately.", long, o.rate, detector, strings.Join(order, ", "))
	faulty := func(r *record) bool {
		for _, e := range w.events {
			// A request that was in flight when the fault started counts, too.
			if e.faulty && r.end() >= e.from && r.due < e.to+recovery {
				return true
			}
		}
		return false
	}
	var rows [][]string
	var unexpected int
	for i, name := range w.mix.names {
		kind := all.where(func(r *record) bool { return r.kind == uint8(i) })
		as := func(r *record) bool { return int(r.status) == w.mix.status(r) }
		well := kind.where(func(r *record) bool { return !faulty(r) })
		failed := well.where(func(r *record) bool { return !as(r) })
		unexpected += len(failed)
		ill := kind.where(faulty)
		rows = append(rows, []string{name, count(len(kind)), ms(well.quantile(.5)), ms(well.quantile(.99)), failures(failed),
			count(len(ill)), percent(float64(len(ill.where(as))), float64(len(ill))), count(kind.wrong())})
	}
	r.table([]string{"kind", "requests", "p50 ms", "p99 ms", "failed without a fault", "in faults", "of them answered", "wrong"}, rows)
	r.bounds([]bound{
		{"failed without a fault", count(unexpected), "0", unexpected == 0},
		{"answers that were wrong", count(all.wrong()), "0", all.wrong() == 0},
	})
}

// held are the resources of a process.
type held struct {
	usage
	goroutines, heap float64
}

// rests waits until a gateway is idle and returns its resources. Go runs a garbage collection
// after two minutes without one, so it takes that long until the heap has only live objects.
func (g *gateway) rests(ctx context.Context, quick bool) (held, error) {
	const calm, forced = 3 * time.Second, 150 * time.Second
	if err := wait(ctx, calm); err != nil || quick {
		h, holds := g.holds(ctx)
		return h, errors.Join(err, holds)
	}
	since := float64(time.Now().Unix())
	err := until(ctx, "the gateway has collected its garbage at rest", forced, func() (bool, error) {
		metrics, err := g.metrics(ctx)
		if err == nil {
			err = wait(ctx, time.Second)
		}
		return metrics["go_memstats_last_gc_time_seconds"] > since, err
	})
	if err != nil {
		return held{}, err
	}
	return g.holds(ctx)
}

// holds returns the resources of a gateway.
func (g *gateway) holds(ctx context.Context) (h held, err error) {
	metrics, err := g.metrics(ctx)
	if err != nil {
		return h, err
	}
	// The target of the collector is a multiple of the live heap.
	h.goroutines = metrics["go_goroutines"]
	h.heap = metrics["go_memstats_next_gc_bytes"] / (1 + metrics["go_gc_gogc_percent"]/100)
	h.usage, err = use(g.pid)
	return h, err
}

func tellHeld(r *report, begin, end held, s *stage) error {
	r.bounds([]bound{
		{"goroutines", fmt.Sprintf("%.0f to %.0f", begin.goroutines, end.goroutines), "no more", end.goroutines <= 1.1*begin.goroutines+5},
		{"file handles", fmt.Sprintf("%d to %d", begin.files, end.files), "no more", end.files <= begin.files+10},
		{"connections among them", fmt.Sprintf("%d to %d", begin.connections, end.connections), "no more", end.connections <= begin.connections+8},
		{"memory, MiB", mib(begin.rss) + " to " + mib(end.rss), "≤ 1.25", float64(end.rss) <= 1.25*float64(begin.rss)},
		{"alive on the heap, MiB", fmt.Sprintf("%.1f to %.1f", begin.heap/(1<<20), end.heap/(1<<20)), "≤ 1.25", end.heap <= 1.25*begin.heap+(2<<20)},
	})
	if text, err := os.ReadFile(s.gateway.log); err != nil || strings.Contains(string(text), "WARNING: DATA RACE") {
		return errors.Join(err, errors.New("the race detector has reported a race: run again with -keep and read gateway.log"))
	}
	return s.gateway.alive()
}

// secretFiles are files with the secrets of a gateway that are replaced by renaming, as in a
// volume of Kubernetes.
type secretFiles struct{ dir, token, key string }

func (f *secretFiles) tokens() string { return filepath.Join(f.dir, "tokens.json") }
func (f *secretFiles) keys() string   { return filepath.Join(f.dir, "keys.json") }

func (f *secretFiles) rotate() error {
	f.token, f.key = rand.Text(), rand.Text()
	for path, secret := range map[string]any{
		f.tokens(): map[string]any{"tokens": map[string]string{"load": f.token}},
		f.keys():   map[string]any{"keys": map[string]string{"load": f.key}},
	} {
		text, err := json.Marshal(secret)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}
