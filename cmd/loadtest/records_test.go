package main

import (
	"bytes"
	"testing"
	"time"
)

func TestQuantilesAreExact(t *testing.T) {
	var rs records
	for i := range 1000 {
		rs = append(rs, record{took: time.Duration(999-i) * time.Millisecond, status: 200})
	}
	for q, want := range map[float64]time.Duration{.5: 500 * time.Millisecond, .99: 990 * time.Millisecond, 1: 999 * time.Millisecond} {
		if got := rs.quantile(q); got != want {
			t.Errorf("the quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := records(nil).quantile(.5); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
}

func TestRecoveryIsWhenASecondOfGoodAnswersBegins(t *testing.T) {
	steady := func(bad func(due time.Duration) bool) (rs records) {
		for due := time.Duration(0); due < 5*time.Second; due += 10 * time.Millisecond {
			r := record{due: due, took: 5 * time.Millisecond, status: 200}
			if bad(due) {
				r.status = 503
			}
			rs = append(rs, r)
		}
		return rs
	}
	in := func(from, to time.Duration) func(time.Duration) bool {
		return func(due time.Duration) bool { return due >= from && due < to }
	}
	second := time.Second
	for _, tc := range []struct {
		name string
		rs   records
		want time.Duration
	}{
		{"nothing goes wrong after it", steady(in(0, second)), 0},
		{"half a second more", steady(in(0, 3*second/2)), second / 2},
		{"once more after less than a second", steady(in(3*second/2, 16*second/10)), 6 * second / 10},
		{"to the end", steady(in(0, 5*second)), -1},
		{"too short a time", steady(in(0, 9*second/2)), -1},
		{"slow ones", func() records {
			rs := steady(in(0, 0))
			for i := range rs {
				if rs[i].due < 2*second {
					rs[i].took = second
				}
			}
			return rs
		}(), second},
		{"wrong ones", func() records { rs := steady(in(0, 0)); rs[len(rs)-1].wrong = true; return rs[len(rs)-50:] }(), -1},
	} {
		if got := tc.rs.recovered(second, 10*time.Millisecond); got != tc.want {
			t.Errorf("%s: recovered after %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestAnswersOfEveryFormAreRead(t *testing.T) {
	text := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" +
		"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\nRetry-After: 1\r\nConnection: close\r\n\r\nabc" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-End: yes\r\n\r\n" +
		"HTTP/1.1 204 No Content\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
	in := newReader(bytes.NewReader([]byte(text)))
	for i, want := range []struct {
		status       int
		body         string
		close, retry bool
	}{{200, "{}", false, false}, {503, "abc", true, true}, {200, "abcde", false, false}, {204, "", false, false}} {
		m, err := in.next()
		if err != nil || m.status() != want.status || string(m.body) != want.body || m.close != want.close || m.retry != want.retry {
			t.Errorf("answer %d is %d %q %+v (%v), want %+v", i, m.status(), m.body, m, err, want)
		}
	}
	if m, err := in.next(); err == nil {
		t.Errorf("half an answer was taken for a whole one: %q", m.body)
	}
	for _, bad := range []string{"", "nonsense", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"} {
		if _, err := newReader(bytes.NewReader([]byte(bad))).next(); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestFaultsComeByChance(t *testing.T) {
	var r tally
	r.become(behaviour{Throttle: .25, Reset: .5})
	seen, again, last := make(map[verdict]int), 0, answer
	for range 1000 {
		v, _ := r.call(false, time.Time{})
		seen[v]++
		if v == reset && last == reset {
			again++
		}
		last = v
	}
	if seen[throttle] < 210 || seen[throttle] > 290 || seen[reset] < 450 || seen[reset] > 550 || seen[bad] != 0 {
		t.Errorf("of 1000 calls %v got a fault", seen)
	}
	if again < 200 || again > 300 { // a quarter; in turns it would be none
		t.Errorf("%d resets came right after another one", again)
	}
}
