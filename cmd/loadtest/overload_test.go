package main

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// overloaded100 is a load of 75 requests a second on an endpoint that can handle 100,
// with 400 a second more between 10 and 20 s. refuse is how long a refusal takes,
// keep how long an answer takes meanwhile.
func overloaded100(refuse, keep time.Duration, goodput int) *surge {
	u := &surge{capacity: 100, before: time.Second, from: 10 * time.Second, to: 20 * time.Second, after: 10 * time.Second,
		memory: history{{0, usage{rss: 100 << 20}}, {15 * time.Second, usage{rss: 110 << 20}}}}
	add := func(rs *records, from, to time.Duration, perSecond int, took time.Duration, status int16) {
		for i := range perSecond * int((to-from)/time.Second) {
			*rs = append(*rs, record{due: from + time.Duration(i)*time.Second/time.Duration(perSecond), took: took, status: status})
		}
	}
	add(&u.usual, 0, u.from, 75, 10*time.Millisecond, 200)
	add(&u.usual, u.from, u.to, 75, refuse, 503)
	add(&u.usual, u.to, u.to+u.after, 75, 10*time.Millisecond, 200)
	u.all = append(u.all, u.usual...)
	add(&u.all, u.from, u.to, goodput, keep, 200)
	add(&u.all, u.from, u.to, 300, refuse, 429)
	return u
}

func TestAnOverloadIsHeldToWhatIsToBeReached(t *testing.T) {
	for _, tc := range []struct {
		name    string
		u       *surge
		missing []string // what is not reached
	}{
		{"as it should be", overloaded100(2*time.Millisecond, 15*time.Millisecond, 98), nil},
		{"slow refusals", overloaded100(7*time.Millisecond, 15*time.Millisecond, 98), []string{"p99 of refusals", "the same from"}},
		{"a slow client", func() *surge {
			u := overloaded100(7*time.Millisecond, 15*time.Millisecond, 98)
			for i := range u.all {
				u.all[i].late = 3 * time.Millisecond
			}
			return u
		}(), []string{"p99 of refusals"}},
		{"answers that waited", overloaded100(2*time.Millisecond, 200*time.Millisecond, 98), []string{"p99 of what is answered"}},
		{"few answers", overloaded100(2*time.Millisecond, 15*time.Millisecond, 90), []string{"goodput"}},
		{"memory", func() *surge {
			u := overloaded100(2*time.Millisecond, 15*time.Millisecond, 98)
			u.memory[1].rss *= 2
			return u
		}(), []string{"memory"}},
		{"no recovery", func() *surge {
			u := overloaded100(2*time.Millisecond, 15*time.Millisecond, 98)
			for i := range u.usual {
				if u.usual[i].due > u.to+time.Second/2 && u.usual[i].due < u.to+3*time.Second/2 {
					u.usual[i].status = 503
				}
			}
			return u
		}(), []string{"all is normal again"}},
		{"a wrong answer", func() *surge {
			u := overloaded100(2*time.Millisecond, 15*time.Millisecond, 98)
			u.all[len(u.all)-1].wrong = true
			return u
		}(), []string{"answers that were neither"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			tc.u.tell(&report{out: &out})
			var missed []string
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, "**no**") {
					missed = append(missed, line)
				}
			}
			if len(missed) != len(tc.missing) {
				t.Errorf("not reached are %q, want %q", missed, tc.missing)
				return
			}
			for i, want := range tc.missing {
				if !strings.HasPrefix(missed[i], "| "+want) {
					t.Errorf("not reached is %q, want %q", missed[i], want)
				}
			}
			if !strings.Contains(out.String(), "| before | 75 | 75 | 75.0 % |") {
				t.Errorf("the table is\n%s", out.String())
			}
		})
	}
}

func TestFailuresSayHow(t *testing.T) {
	rs := records{{status: 503}, {status: 0}, {status: 503}, {status: 504}}
	for _, tc := range []struct {
		rs   records
		want string
	}{{nil, "0"}, {rs[:1], "1: 1 × 503"}, {rs, "4: 1 × lost, 2 × 503, 1 × 504"}} {
		if got := failures(tc.rs); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestAWatcherSeesWhatAProcessUses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the usage of a process is read from /proc, which only Linux has")
	}
	u, err := use(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if u.rss == 0 || u.peak < u.rss || u.files == 0 {
		t.Errorf("this process uses %+v", u)
	}
	h := history{{time.Second, usage{rss: 1}}, {2 * time.Second, usage{rss: 3}}, {3 * time.Second, usage{rss: 2}}}
	if got := h.at(2500 * time.Millisecond).rss; got != 3 {
		t.Errorf("at 2.5 s it is %d, want 3", got)
	}
	if got := h.most(0, 2*time.Second); got != 1 {
		t.Errorf("before 2 s it is at most %d, want 1", got)
	}
}
