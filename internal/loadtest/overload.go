package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// overload offers four times what the endpoint can do. A load that the endpoint
// can do goes on before, during and after it, and tells how that feels to those
// who were there before.
func overload(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	small := behaviour{Latency: 20 * time.Millisecond, Concurrent: 4}
	if err := s.endpoint.become(ctx, small); err != nil {
		return err
	}
	before, long, after := 10*time.Second, time.Minute, 10*time.Second
	if o.quick {
		before, long, after = 4*time.Second, 10*time.Second, 4*time.Second
	}
	full, err := s.measure(ctx, s.gateway.process, s.through(ctx), 64, 0, before/2, before)
	if err != nil {
		return err
	}
	capacity := float64(len(full.records.answered(http.StatusOK))) / full.window.Seconds()

	memory := watch(ctx, s.gateway.pid)
	defer memory.stop()
	const usual, times = 0.75, 4
	base, err := start(ctx, s.through(ctx), 1024, usual*capacity)
	if err != nil {
		return err
	}
	defer base.close()
	if err := wait(ctx, before/2+before); err != nil {
		return err
	}
	flood, err := start(ctx, s.through(ctx), 2048, (times-usual)*capacity)
	if err != nil {
		return err
	}
	defer flood.close()
	if err := wait(ctx, long); err != nil {
		return err
	}
	flooded := flood.stop()
	if err := wait(ctx, after); err != nil {
		return err
	}
	all := base.stop()
	grown := memory.stop()
	r.wrong += all.wrong() + flooded.wrong()
	from := flood.began.Sub(base.began)
	to := from + long
	for i := range flooded {
		flooded[i].due += from
	}
	normal := all.within(before/2, from)
	during := append(all.within(from, to), flooded.within(from, to)...)
	calm := all.within(to+time.Second, to+after)
	r.head("Overload")
	r.note("Endpoint: 20 ms a call of at most 8 rows, 4 calls at once: %.0f rows a second, of which a closed loop of 64 connections gets %.0f through the gateway: its capacity. Then %.0f %% of it in an open loop, and for %v four times as much as it can do.", 4*8/.020, capacity, 100*usual, long)
	var rows [][]string
	for _, phase := range []struct {
		name    string
		records records
		long    time.Duration
	}{{"before", normal, from - before/2}, {"overload", during, to - from}, {"1 s after", calm, after - time.Second}} {
		good := phase.records.answered(http.StatusOK)
		refused := phase.records.answered(http.StatusTooManyRequests, http.StatusServiceUnavailable)
		persec := float64(len(good)) / phase.long.Seconds()
		rows = append(rows, []string{phase.name, rate(float64(len(phase.records)) / phase.long.Seconds()), rate(persec),
			percent(persec, capacity), ms(good.quantile(.5)), ms(good.quantile(.99)), rate(float64(len(refused)) / phase.long.Seconds()),
			ms(refused.quantile(.5)), ms(refused.quantile(.99)), count(len(phase.records) - len(good) - len(refused)), count(phase.records.wrong())})
	}
	r.table([]string{"phase", "offered/s", "answered/s", "of capacity", "p50 ms", "p99 ms", "refused/s", "p50 ms", "p99 ms", "other", "wrong"}, rows)
	good := during.answered(http.StatusOK)
	refused := during.answered(http.StatusTooManyRequests, http.StatusServiceUnavailable)
	goodput := float64(len(good)) / (to - from).Seconds()
	most, least := good.quantile(.99), normal.answered(http.StatusOK).quantile(.99)
	recovery := all.recovered(to, least)
	early := grown.at(from + (to-from)/4 + base.began.Sub(memory.began))
	end := grown.at(to + base.began.Sub(memory.began))
	r.bounds([]bound{
		{"goodput, of capacity", percent(goodput, capacity), "≥ 95 %", goodput >= .95*capacity},
		{"p99 of what is answered, against before", times2(most, least), "≤ 2", most <= 2*least},
		{"p99 of refusals", ms(refused.quantile(.99)) + " ms", "≤ 5 ms", refused.quantile(.99) <= 5*time.Millisecond},
		{"memory at the end, against a quarter of the way", fmt.Sprintf("%s to %s MiB", mib(end.rss), mib(early.rss)), "≤ 1.2", float64(end.rss) <= 1.2*float64(early.rss)},
		{"all is normal again after", seconds(recovery), "≤ 1 s", recovery >= 0 && recovery <= time.Second},
		{"answers that were neither right nor an honest refusal", count(during.wrong()), "0", during.wrong() == 0},
	})
	return s.gateway.alive()
}

// times2 is one duration as a multiple of another.
func times2(a, b time.Duration) string { return times(float64(a), float64(b)) }
