package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"gateway/internal/schema"
)

// batch sends a million rows in one request and checks the answer to each row, beside a load
// of single predictions.
func batch(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.endpoint.become(ctx, behaviour{Latency: 5 * time.Millisecond, PerRow: 20 * time.Microsecond, Concurrent: 4}); err != nil {
		return err
	}
	many, alone := 1_000_000, 15*time.Second
	if o.quick {
		many, alone = 30_000, 3*time.Second
	}
	memory := watch(ctx, s.gateway.pid)
	defer memory.stop()
	const perSecond = 200
	load, err := start(ctx, s.through(ctx), 256, perSecond)
	if err != nil {
		return err
	}
	defer load.close()
	if err := wait(ctx, time.Second+alone); err != nil {
		return err
	}
	from := load.now()
	b, err := s.stream(many)
	if err != nil {
		return err
	}
	to := load.now()
	if err := wait(ctx, 3*time.Second); err != nil {
		return err
	}
	all := load.stop()
	grown := memory.stop()
	r.judge(load, all)
	r.wrong += b.Wrong

	r.head("A large batch")
	r.note("Open loop of %d requests a second, beside %d rows of NDJSON in one request, whose answers are checked: %.0f rows a second, %d without a prediction, %d wrong. Endpoint: 5 ms a call and 20 µs a row, 4 calls at once.",
		perSecond, many, float64(many)/(to-from).Seconds(), b.Failed, b.Wrong)
	if b.Broken != "" {
		r.note("**The batch failed**: %s", b.Broken)
	}
	shift := load.began.Sub(memory.began)
	var rows [][]string
	first := all.within(time.Second, from)
	for _, phase := range []struct {
		name     string
		from, to time.Duration
	}{{"alone", time.Second, from}, {"beside the batch", from, to}, {"a second after it", to + time.Second, to + 3*time.Second}} {
		rs := all.within(phase.from, phase.to)
		rows = append(rows, []string{phase.name, count(len(rs)), ms(rs.quantile(.5)), ms(rs.quantile(.99)), times(float64(rs.quantile(.99)), float64(first.quantile(.99))),
			failures(rs.where(notOK)), mib(grown.most(phase.from+shift, phase.to+shift))})
	}
	r.table([]string{"single predictions", "requests", "p50 ms", "p99 ms", "× alone", "not 200", "most memory MiB"}, rows)
	beside := all.within(from, to).quantile(.99)
	usual := first.quantile(.99)
	r.bounds([]bound{
		{"rows answered and right", count(many - b.Failed - b.Wrong), count(many), b == (streamed{})},
		{"p99 beside the batch, against alone", times(float64(beside), float64(usual)), "≤ 2", beside <= 2*usual},
	})
	return s.gateway.alive()
}

// streamed is the result of a batch.
type streamed struct {
	Wrong, Failed int
	Broken        string // why the batch ended early; empty: it did not
}

// stream starts a process that sends rows and checks the answers. The process represents
// another machine. It has the lowest priority, so that it does not delay the client that
// measures.
func (s *stage) stream(rows int) (r streamed, err error) {
	where, err := json.Marshal(s.endpoint.places)
	if err != nil {
		return r, err
	}
	_, line, err := s.play("batch", s.gateway.url, strconv.Itoa(rows), string(where))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(line), &r)
}

// playBatch is the process "batch". Its arguments are the URL of the gateway, the number of
// rows and the addresses of the endpoint. It writes its result to out.
func playBatch(ctx context.Context, out io.Writer, args []string) error {
	if len(args) != 3 {
		return errors.New("batch: want three arguments: a URL, a number of rows and the addresses of the endpoint")
	}
	many, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	e := &endpoint{}
	if err := json.Unmarshal([]byte(args[2]), &e.places); err != nil {
		return err
	}
	if err := lower(os.Getpid()); err != nil {
		return err
	}
	o := oracle{read: e.artifact}
	if o.rows, err = rowsOf(schema.Bank()); err != nil {
		return err
	}
	var r streamed
	if err := r.send(ctx, &o, args[0], many); err != nil {
		r.Broken = err.Error()
	}
	return json.NewEncoder(out).Encode(r)
}

// send sends rows and checks the answers, in order.
func (r *streamed) send(ctx context.Context, o *oracle, url string, many int) error {
	body, out := io.Pipe()
	go func() {
		buffer := bufio.NewWriterSize(out, 64<<10)
		for n := range many {
			row := &o.rows[n%len(o.rows)]
			if _, err := fmt.Fprintf(buffer, "{\"customer_id\":%q,\"features\":%s}\n", row.id, row.features); err != nil {
				return // the reader returns the reason
			}
		}
		_ = out.CloseWithError(buffer.Flush())
	}()
	defer body.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/predict/batch", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return fmt.Errorf("the batch was refused: %s: %s", res.Status, text)
	}
	lines := bufio.NewScanner(res.Body)
	n := 0
	for ; lines.Scan(); n++ {
		if _, bad := member(lines.Bytes(), `{"error":`, '}'); bad {
			r.Failed++
			continue
		}
		if !o.right(ctx, n, lines.Bytes()) {
			r.Wrong++
		}
	}
	switch end := res.Trailer.Get("X-Stream-End"); {
	case lines.Err() != nil:
		return fmt.Errorf("the answer to the batch ended after %d of %d rows: %w", n, many, lines.Err())
	case n != many || end != "complete":
		return fmt.Errorf("the batch has %d answers to %d rows and ends with %q", n, many, end)
	}
	return nil
}
