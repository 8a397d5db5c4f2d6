package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// faulty is a fault of the endpoint that lasts for a while.
type faulty struct {
	name string
	make func(b behaviour, long time.Duration) behaviour
	// swaps makes a renewal run during the fault.
	swaps bool
}

var faulties = []faulty{
	{name: "stalls", make: func(b behaviour, long time.Duration) behaviour {
		b.StallUntil = time.Now().Add(long)
		return b
	}},
	{name: "throttles half", make: func(b behaviour, _ time.Duration) behaviour { b.Throttle = .5; return b }},
	{name: "throttles all", make: func(b behaviour, _ time.Duration) behaviour { b.Throttle = 1; return b }},
	{name: "resets half", make: func(b behaviour, _ time.Duration) behaviour { b.Reset = .5; return b }},
	{name: "half are not numbers", make: func(b behaviour, _ time.Duration) behaviour { b.Bad, b.Nonsense = .5, notANumber; return b }},
	{name: "a score too few", make: func(b behaviour, _ time.Duration) behaviour { b.Bad, b.Nonsense = 1, tooFew; return b }},
	{name: "not JSON", make: func(b behaviour, _ time.Duration) behaviour { b.Bad, b.Nonsense = 1, notJSON; return b }},
	{name: "the container fails", make: func(b behaviour, _ time.Duration) behaviour { b.Bad, b.Nonsense = 1, serverError; return b }},
	{name: "a new model fails", swaps: true, make: func(b behaviour, _ time.Duration) behaviour { b.Bad, b.Nonsense = 1, serverError; return b }},
}

// faults applies each fault under a load within the capacity of the endpoint. It reports the
// answers to callers, the calls of the endpoint, and the time until all was normal again.
func faults(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	before, long, after := 3*time.Second, 10*time.Second, 8*time.Second
	if o.quick {
		before, long, after = time.Second/2, 3*time.Second/2, 5*time.Second/2
	}
	r.head("Faults")
	const perSecond = 300
	r.note("Open loop of %d requests a second; endpoint 5 ms a call, 8 calls at once. Each fault lasts %v. "+
		"Calls are the attempts that reached the endpoint while it lasted and the second after it; again, those that the gateway repeated; "+
		"busiest, the most of them in %v, against the most without a fault. Normal again: from then on for a second all are answered, half of them within twice the usual time or what was the slowest hundredth before.", perSecond, long, window)
	var rows [][]string
	for _, f := range faulties {
		row, err := s.fault(ctx, f, perSecond, before, long, after)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		rows = append(rows, row)
	}
	r.table([]string{"the endpoint", "requests", "200", "429", "502", "503", "504", "lost", "wrong", "p99 ms of 200", "p99 ms of others",
		"calls a request", "again", "busiest", "normal again after"}, rows)
	return s.gateway.alive()
}

func (s *stage) fault(ctx context.Context, f faulty, perSecond float64, before, long, after time.Duration) ([]string, error) {
	sound := behaviour{Latency: 5 * time.Millisecond, Concurrent: 8}
	if err := s.endpoint.become(ctx, sound); err != nil {
		return nil, err
	}
	model, err := s.serving(ctx)
	if err != nil {
		return nil, err
	}
	load, err := start(ctx, s.through(ctx), 2048, perSecond)
	if err != nil {
		return nil, err
	}
	defer load.close()
	if err := wait(ctx, before/2); err != nil { // for connections and slots to settle
		return nil, err
	}
	if _, err := s.endpoint.counts(ctx); err != nil {
		return nil, err
	}
	if err := wait(ctx, before); err != nil {
		return nil, err
	}
	usual, err := s.endpoint.counts(ctx)
	if err != nil {
		return nil, err
	}
	b := f.make(sound, long)
	b.Sound = ""
	var renewed chan error
	if f.swaps {
		b.Sound = model
		renewed = make(chan error, 1)
		go func() {
			_, err := s.gateway.renew(ctx)
			renewed <- err
		}()
	}
	from := load.now()
	if err := s.endpoint.become(ctx, b); err != nil {
		return nil, err
	}
	if err := wait(ctx, long); err != nil {
		return nil, err
	}
	if renewed != nil { // the champion must serve again
		if err := <-renewed; err != nil {
			return nil, err
		}
	}
	if err := s.endpoint.become(ctx, sound); err != nil {
		return nil, err
	}
	to := load.now()
	if err := wait(ctx, time.Second); err != nil {
		return nil, err
	}
	seen, err := s.endpoint.counts(ctx)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, after-time.Second); err != nil {
		return nil, err
	}
	all := load.stop()
	s.report.judge(load, all)
	sane := all.within(before/2, from).answered(http.StatusOK)
	normal := max(2*sane.quantile(.5), sane.quantile(.99))
	during := all.within(from, to)
	asked := all.within(from, to+time.Second)
	by := during.statuses()
	others := during.where(func(r *record) bool { return r.status != http.StatusOK })
	return []string{f.name, count(len(during)), count(by[200]), count(by[429]), count(by[502]), count(by[503]), count(by[504]), count(by[0]),
		count(all.wrong()), ms(during.answered(200).quantile(.99)), ms(others.quantile(.99)),
		fmt.Sprintf("%.2f", float64(seen.Calls)/float64(max(1, len(asked)))), count(seen.Repeats),
		fmt.Sprintf("%d of %d", seen.Peak, usual.Peak), seconds(all.recovered(to, normal))}, nil
}
