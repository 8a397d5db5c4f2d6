package main

import (
	"context"
	"sync"
	"time"
)

// watcher records the usage of a process several times a second.
type watcher struct {
	began   time.Time
	stop    func() history
	cancel  context.CancelFunc
	stopped chan struct{}
	seen    history
}

// history are the records of a watcher, oldest first.
type history []moment

type moment struct {
	at time.Duration // since the start of the watcher
	usage
}

func watch(ctx context.Context, pid int) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{began: time.Now(), cancel: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(w.stopped)
		for {
			if u, err := use(pid); err == nil {
				w.seen = append(w.seen, moment{time.Since(w.began), u})
			}
			if wait(ctx, 250*time.Millisecond) != nil {
				return
			}
		}
	}()
	w.stop = sync.OnceValue(func() history {
		w.cancel()
		<-w.stopped
		return w.seen
	})
	return w
}

// at returns the latest record before t.
func (h history) at(t time.Duration) (u usage) {
	for _, m := range h {
		if m.at > t {
			break
		}
		u = m.usage
	}
	return u
}

// most returns the maximum of the memory in an interval.
func (h history) most(from, to time.Duration) (rss int64) {
	for _, m := range h {
		if m.at >= from && m.at < to {
			rss = max(rss, m.rss)
		}
	}
	return rss
}
