package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// consolePage is the most that a page of the console may take.
const consolePage = 100 * time.Millisecond

// console fills the ledger, and then runs an open loop of predictions in turns: alone, and
// while an operator has the console open. At the end it times each page.
func console(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.endpoint.become(ctx, behaviour{Latency: 5 * time.Millisecond, PerRow: 2 * time.Microsecond, Concurrent: 4}); err != nil {
		return err
	}
	many, turn, turns := o.ledger, 20*time.Second, 3
	if o.quick {
		many, turn, turns = min(many, 30_000), 4*time.Second, 2
	}
	b, err := s.stream(many)
	if err != nil {
		return err
	}
	if b != (streamed{}) {
		return fmt.Errorf("filling the ledger: %+v", b)
	}
	if err := s.gateway.drained(ctx); err != nil {
		return err
	}
	visitor, err := newVisitor(ctx, s.gateway)
	if err != nil {
		return err
	}
	const perSecond = 500
	var rows [][]string
	var alone, beside []time.Duration
	for range turns {
		for _, open := range []bool{false, true} {
			all, pages, live, err := s.turn(ctx, visitor, open, perSecond, turn)
			if err != nil {
				return err
			}
			name, p99 := "alone", all.quantile(.99)
			if open {
				name, beside = "beside the console", append(beside, p99)
			} else {
				alone = append(alone, p99)
			}
			rows = append(rows, []string{name, count(len(all)), ms(all.quantile(.5)), ms(p99), failures(all.where(notOK)), count(pages), count(live)})
		}
	}
	r.head("Predictions beside the console")
	r.note("Open loop of %d requests a second in turns, with %d predictions in the ledger. The operator reads the newest predictions every two seconds, the overview every five, and another page four times a second; a page of predictions is shown live.", perSecond, many)
	r.table([]string{"single predictions", "requests", "p50 ms", "p99 ms", "not 200", "pages read", "predictions shown live"}, rows)
	slowest, err := visitor.timePages(ctx, r)
	if err != nil {
		return err
	}
	slices.Sort(alone)
	slices.Sort(beside)
	r.bounds([]bound{
		{"p99 beside the console, against the slowest turn alone", times(float64(beside[len(beside)/2]), float64(alone[len(alone)-1])), "≤ 1.1", float64(beside[len(beside)/2]) <= 1.1*float64(alone[len(alone)-1])},
		{"slowest page, ms", ms(slowest), "≤ " + ms(consolePage), slowest <= consolePage},
	})
	return s.gateway.alive()
}

// turn runs an open loop, while the console is open or not. pages is how many pages were read,
// and live how many predictions the live page was told of: those it shows and those it counts.
func (s *stage) turn(ctx context.Context, v *visitor, open bool, perSecond float64, long time.Duration) (all records, pages, live int, err error) {
	load, err := start(ctx, s.through(ctx), 256, perSecond)
	if err != nil {
		return nil, 0, 0, err
	}
	defer load.close()
	const settle = time.Second
	if open {
		pages, live, err = v.browseLive(ctx, settle+long)
	} else {
		err = wait(ctx, settle+long)
	}
	if err != nil {
		return nil, 0, 0, err
	}
	all = load.stop()
	s.report.judge(load, all)
	return all.within(settle, settle+long), pages, live, nil
}

// drained waits until the database has all predictions.
func (g *gateway) drained(ctx context.Context) error {
	return until(ctx, "the database has all predictions", 30*time.Minute, func() (bool, error) {
		if err := g.alive(); err != nil {
			return false, err
		}
		metrics, err := g.metrics(ctx)
		if err != nil {
			return false, err
		}
		return metrics["gateway_outbox_rows"] == 0, wait(ctx, 200*time.Millisecond)
	})
}

// visitor is an operator with a browser.
type visitor struct {
	url    string // of the console
	client *http.Client
	pages  []string // paths below the console
}

// pageLink is a link of the console to a page. Its first group is the folder of a page of one
// thing, if it is one.
var pageLink = regexp.MustCompile(`href="((?:\.\./)*)((renewals|models|predictions)/[^"?#/]+|[a-z]+|\./)"`)

// newVisitor signs in and finds the pages: those of the menu, and one of each kind that they
// lead to.
func newVisitor(ctx context.Context, g *gateway) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &visitor{url: g.url + "/console/", client: &http.Client{Jar: jar}}
	form := url.Values{"token": {g.token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"sign-in", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := v.do(req); err != nil {
		return nil, err
	}
	kinds := make(map[string]bool)
	for at := []string{""}; len(at) > 0; at = at[1:] {
		text, err := v.get(ctx, at[0])
		if err != nil {
			return nil, err
		}
		v.pages = append(v.pages, at[0])
		if kind, _, one := strings.Cut(at[0], "/"); one {
			kinds[kind] = true
			continue
		}
		for _, link := range pageLink.FindAllStringSubmatch(text, -1) {
			path, kind := strings.TrimPrefix(link[2], "./"), link[3]
			if kinds[kind] && kind != "" || slices.Contains(v.pages, path) || slices.Contains(at, path) {
				continue
			}
			if kind != "" {
				kinds[kind] = true
			}
			at = append(at, path)
		}
	}
	return v, nil
}

func (v *visitor) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path, nil)
	if err != nil {
		return "", err
	}
	return v.do(req)
}

func (v *visitor) do(req *http.Request) (string, error) {
	res, err := v.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", req.URL.Path, res.Status)
	}
	return string(text), err
}

// browseLive reads pages for a time, while a page of predictions is shown live.
func (v *visitor) browseLive(ctx context.Context, long time.Duration) (pages, live int, err error) {
	following, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var follower sync.WaitGroup
	follower.Go(func() { live, failed = v.follow(following) })
	pages, err = v.browse(ctx, long)
	stop()
	follower.Wait()
	if err = errors.Join(err, failed); err == nil && live == 0 {
		err = errors.New("the live page was told of no prediction")
	}
	return pages, live, err
}

// follow reads the stream of the live page until ctx ends, and returns how many predictions it
// told of.
func (v *visitor) follow(ctx context.Context) (told int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+"tail", nil)
	if err != nil {
		return 0, err
	}
	res, err := v.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("tail: %s", res.Status)
	}
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if ctx.Err() != nil { // the turn is over
				err = nil
			}
			return told, err
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		var event struct{ Count, Lost int }
		if err := json.Unmarshal(data, &event); err != nil {
			return told, err
		}
		told += event.Count + event.Lost
	}
}

// browse reads pages for a time, as an operator with three tabs does.
func (v *visitor) browse(ctx context.Context, long time.Duration) (pages int, err error) {
	const step = 250 * time.Millisecond
	end := time.Now().Add(long)
	for n := 0; time.Now().Before(end); n++ {
		next := time.Now().Add(step)
		paths := []string{v.pages[n%len(v.pages)]}
		if n%8 == 0 {
			paths = append(paths, "predictions")
		}
		if n%20 == 0 {
			paths = append(paths, "")
		}
		for _, path := range paths {
			if _, err := v.get(ctx, path); err != nil {
				return pages, err
			}
			pages++
		}
		if err := wait(ctx, time.Until(next)); err != nil {
			return pages, err
		}
	}
	return pages, nil
}

// timePages reads each page a number of times, and returns the longest median.
func (v *visitor) timePages(ctx context.Context, r *report) (slowest time.Duration, err error) {
	const reads = 21
	var rows [][]string
	for _, path := range v.pages {
		var took []time.Duration
		size := 0
		for range reads {
			begun := time.Now()
			text, err := v.get(ctx, path)
			if err != nil {
				return 0, err
			}
			took, size = append(took, time.Since(begun)), len(text)
		}
		slices.Sort(took)
		slowest = max(slowest, took[reads/2])
		rows = append(rows, []string{"/console/" + path, ms(took[reads/2]), ms(took[reads-1]), count(size)})
	}
	r.note("Each page read %d times, without other load.", reads)
	r.table([]string{"page", "median ms", "slowest ms", "bytes"}, rows)
	return slowest, nil
}
