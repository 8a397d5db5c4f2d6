package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// largeRows is the number of rows of a large request.
const largeRows = 100

// large sends requests of many rows, and single predictions beside them, with an endpoint whose
// calls take time for each row.
func large(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	does := behaviour{Latency: 2 * time.Millisecond, PerRow: 5 * time.Millisecond, Concurrent: 4}
	if err := s.endpoint.become(ctx, does); err != nil {
		return err
	}
	model, err := s.serving(ctx)
	if err != nil {
		return err
	}
	direct, through := s.rawLists(ctx, model, largeRows), s.lists(ctx, largeRows)
	const perSecond, customers = 20, 4
	learn, long := 8*time.Second, 15*time.Second
	if o.quick {
		learn, long = 4*time.Second, 4*time.Second
	}
	gateway := peer{name: "gateway", proc: s.gateway.process, calls: true}
	var rows [][]string
	measure := func(name string, p peer, t target, conns int, rate float64) (*measured, error) {
		m, err := s.measure(ctx, p.proc, t, conns, rate, learn, long)
		if err != nil {
			return nil, err
		}
		rows = append(rows, []string{name, count(len(m.records)), ms(m.records.quantile(.5)), ms(m.records.quantile(.99)), m.rowsPerCall(p), m.failures()})
		return m, nil
	}
	once, err := measure("a large request, as one call of the runtime", peer{name: "direct", proc: s.endpoint.process, calls: true}, direct, 1, 0)
	if err != nil {
		return err
	}
	cut, err := measure("a large request", gateway, through, 1, 0)
	if err != nil {
		return err
	}
	if _, err := measure("a single prediction", gateway, s.through(ctx), 64, perSecond); err != nil {
		return err
	}
	others, err := start(ctx, through, customers, 0)
	if err != nil {
		return err
	}
	defer others.close()
	beside, err := measure("a single prediction beside large requests", gateway, s.through(ctx), 64, perSecond)
	if err != nil {
		return err
	}
	all := others.stop()
	r.judge(others, all)

	r.head("Large requests")
	r.note("Requests of %d rows, each when the one before has its answer; single predictions, %d a second; and these beside %d customers with such requests, of which %d were answered and %s not. Endpoint: %v a call and %v a row, %d calls at once.",
		largeRows, perSecond, customers, len(all.answered(http.StatusOK)), failures(all.where(notOK)), does.Latency, does.PerRow, does.Concurrent)
	r.table([]string{"what", "requests", "p50 ms", "p99 ms", "rows a call", "not 200"}, rows)
	whole := once.records.quantile(.5)
	against := func(what string, d time.Duration) bound {
		return bound{what, times(float64(d), float64(whole)), "≤ 0.5", 2*d <= whole}
	}
	r.bounds([]bound{
		against("median of a large request, against one call", cut.records.quantile(.5)),
		against("median of a single prediction beside them, against that call", beside.records.quantile(.5)),
	})
	return s.gateway.alive()
}
