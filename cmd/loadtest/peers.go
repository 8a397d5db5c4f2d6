package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// peer is a server that is measured in turn with others.
type peer struct {
	name   string
	target target
	proc   *process
	calls  bool // it calls the runtime
}

// peers compares the cost of the gateway with that of servers that do less, and measures its
// throughput with endpoints of a small capacity.
func peers(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	all, err := s.peers(ctx)
	if err != nil {
		return err
	}
	warm, long := time.Second, 4*time.Second
	many := []int{1, 64, 256}
	rates := []float64{500, 2000}
	if o.quick {
		warm, long, many, rates = 500*time.Millisecond, 1500*time.Millisecond, []int{64}, []float64{500}
	}
	r.head("Beside peers")
	closed, err := s.closedLoop(ctx, all, many, warm, long)
	if err != nil {
		return err
	}
	open, err := s.openLoop(ctx, all, rates, warm, long)
	if err != nil {
		return err
	}
	held := slices.Concat(closed, open)
	for _, e := range smalls { // the slow one last, because what the gateway learns with it does not fit the others
		bounds, err := s.smallEndpoint(ctx, e, all, many, warm, long)
		if err != nil {
			return err
		}
		held = append(held, bounds...)
	}
	r.bounds(held)
	return s.gateway.alive()
}

func (s *stage) peers(ctx context.Context) ([]peer, error) {
	model, err := s.serving(ctx)
	if err != nil {
		return nil, err
	}
	invocations := s.oracle.invocations()
	raw := target{addr: s.endpoint.Runtime,
		request: func(n int) []byte { return invocations[n%len(invocations)] },
		right: func(n int, m *message) bool {
			return m.status() == 200 && s.oracle.raw(ctx, model, n, m.body)
		}}
	proxied, bare := raw, s.through(ctx)
	proxyProcess, addr, err := s.play("proxy", s.endpoint.Runtime)
	if err != nil {
		return nil, err
	}
	proxied.addr = addr
	floorProcess, addr, err := s.play("floor")
	if err != nil {
		return nil, err
	}
	bare.addr, bare.right = addr, nil
	if err := errors.Join(s.pin(proxyProcess), s.pin(floorProcess)); err != nil {
		return nil, err
	}
	return []peer{
		{"direct", raw, s.endpoint.process, true},
		{"bare chi", bare, floorProcess, false},
		{"ReverseProxy", proxied, proxyProcess, true},
		{"gateway", s.through(ctx), s.gateway.process, true},
	}, nil
}

func (s *stage) closedLoop(ctx context.Context, all []peer, many []int, warm, long time.Duration) (held []bound, err error) {
	if err := s.endpoint.become(ctx, behaviour{}); err != nil {
		return nil, err
	}
	s.report.note("Closed loop, endpoint without latency. Processor time is that of the process named; × is against bare chi.")
	var rows [][]string
	for _, conns := range many {
		var floor, proxied *measured
		for _, p := range all {
			m, err := s.measure(ctx, p.proc, p.target, conns, 0, warm, long)
			if err != nil {
				return nil, err
			}
			switch p.name {
			case "bare chi":
				floor = m
			case "ReverseProxy":
				proxied = m
			case "gateway":
				held = append(held, m.besidePeers(conns, floor, proxied))
			}
			cost := "–"
			if floor != nil {
				cost = times(float64(m.perRequest()), float64(floor.perRequest()))
			}
			rows = append(rows, []string{p.name, count(conns), rate(m.perSecond()), us(m.perRequest()), cost,
				ms(m.records.quantile(.5)), ms(m.records.quantile(.99)), m.rowsPerCall(p), m.failures()})
		}
	}
	s.report.table([]string{"peer", "connections", "requests/s", "µs CPU a request", "×", "p50 ms", "p99 ms", "rows a call", "not 200"}, rows)
	return held, nil
}

// besidePeers returns the bounds of a closed loop: for one connection the throughput of the
// proxy, for many a cost close to that of HTTP itself.
func (m *measured) besidePeers(conns int, floor, proxied *measured) bound {
	if conns == 1 {
		return bound{"1 connection: requests/s, against ReverseProxy", times(m.perSecond(), proxied.perSecond()), "≥ 1", m.perSecond() >= proxied.perSecond()}
	}
	most := 1.6
	if conns > 64 {
		most = 1.5
	}
	cost := float64(m.perRequest()) / float64(floor.perRequest())
	return bound{fmt.Sprintf("%d connections: CPU a request, against bare chi", conns), fmt.Sprintf("%.2f", cost), fmt.Sprintf("≤ %.1f", most), cost <= most}
}

// small is an endpoint with few concurrent calls.
type small struct {
	name  string
	does  behaviour
	most  int                     // maximum of connections
	learn time.Duration           // time to warm up a gateway, as a multiple of the usual one
	least func(conns int) float64 // minimum throughput, as a multiple of direct
}

var smalls = []small{
	{"small endpoint", behaviour{Latency: 5 * time.Millisecond, Concurrent: 4}, 256, 1, func(conns int) float64 {
		if conns > 64 {
			return 40
		}
		return 12
	}},
	// Batching gains nearly nothing here and should cost nothing. Learning takes long,
	// because calls do and because what was learned before does not fit.
	{"slow rows", behaviour{Latency: 2 * time.Millisecond, PerRow: 5 * time.Millisecond, Concurrent: 8}, 64, 8, func(int) float64 { return 1 }},
}

func (s *stage) smallEndpoint(ctx context.Context, e small, all []peer, many []int, warm, long time.Duration) (held []bound, err error) {
	if err := s.endpoint.become(ctx, e.does); err != nil {
		return nil, err
	}
	s.report.note("Closed loop, %s: %v a call and %v a row, %d calls at once. × is against direct.", e.name, e.does.Latency, e.does.PerRow, e.does.Concurrent)
	var rows [][]string
	for _, conns := range many {
		if conns == 1 || conns > e.most {
			continue
		}
		var direct *measured
		for _, p := range all {
			if !p.calls {
				continue
			}
			warm := warm
			if p.name == "gateway" {
				warm *= e.learn
			}
			m, err := s.measure(ctx, p.proc, p.target, conns, 0, warm, long)
			if err != nil {
				return nil, err
			}
			if direct == nil {
				direct = m
			}
			if p.name == "gateway" {
				least := e.least(conns)
				held = append(held, bound{fmt.Sprintf("%s, %d connections: requests/s, against direct", e.name, conns),
					times(m.perSecond(), direct.perSecond()), fmt.Sprintf("≥ %g", least), m.perSecond() >= least*direct.perSecond()})
			}
			rows = append(rows, []string{p.name, count(conns), rate(m.perSecond()), times(m.perSecond(), direct.perSecond()),
				us(m.perRequest()), ms(m.records.quantile(.5)), ms(m.records.quantile(.99)), m.rowsPerCall(p), m.failures()})
		}
	}
	s.report.table([]string{"peer", "connections", "requests/s", "×", "µs CPU a request", "p50 ms", "p99 ms", "rows a call", "not 200"}, rows)
	return held, nil
}

func (s *stage) openLoop(ctx context.Context, all []peer, rates []float64, warm, long time.Duration) (held []bound, err error) {
	if err := s.endpoint.become(ctx, behaviour{Latency: 5 * time.Millisecond}); err != nil {
		return nil, err
	}
	s.report.note("Open loop, endpoint 5 ms. Above: what is added to direct.")
	var rows [][]string
	for _, perSecond := range rates {
		var p50, p99 time.Duration
		for _, p := range all {
			if !p.calls {
				continue
			}
			m, err := s.measure(ctx, p.proc, p.target, 256, perSecond, warm, long)
			if err != nil {
				return nil, err
			}
			half, most := m.records.quantile(.5), m.records.quantile(.99)
			if p.name == "direct" {
				p50, p99 = half, most
			}
			if p.name == "gateway" {
				held = append(held, aboveDirect(perSecond, half-p50, most-p99)...)
			}
			rows = append(rows, []string{p.name, rate(perSecond), ms(half), ms(most), ms(half - p50), ms(most - p99),
				us(m.perRequest()), m.rowsPerCall(p), m.failures()})
		}
	}
	s.report.table([]string{"peer", "requests/s", "p50 ms", "p99 ms", "p50 above", "p99 above", "µs CPU a request", "rows a call", "not 200"}, rows)
	return held, nil
}

// aboveDirect returns the bounds of the time that a gateway adds to a request.
func aboveDirect(perSecond float64, p50, p99 time.Duration) []bound {
	half, most := 120*time.Microsecond, 200*time.Microsecond
	if perSecond > 500 {
		half, most = 200*time.Microsecond, time.Millisecond
	}
	what := fmt.Sprintf("%.0f requests/s: added to direct, ", perSecond)
	return []bound{
		{what + "p50", ms(p50) + " ms", "≤ " + ms(half) + " ms", p50 <= half},
		{what + "p99", ms(p99) + " ms", "≤ " + ms(most) + " ms", p99 <= most},
	}
}

// rowsPerCall returns the mean number of customers' rows in a call, without probes.
func (m *measured) rowsPerCall(p peer) string {
	if !p.calls || m.seen.Calls == 0 {
		return "–"
	}
	rows := m.seen.Rows
	if p.name == "gateway" {
		rows -= m.seen.Calls
	}
	return fmt.Sprintf("%.1f", float64(rows)/float64(m.seen.Calls))
}

// failures describes the failed requests of the window.
func (m *measured) failures() string { return failures(m.records.where(notOK)) }
