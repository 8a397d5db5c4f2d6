package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gateway/internal/config"
	"gateway/internal/disktest"
	"gateway/internal/gatewaytest"
	"gateway/internal/outbox"
	"gateway/internal/testsize"
)

// TestUnreadAnswersLeaveTheOutboxItsRoom: streams whose answers are not read
// filled the disk once, and predictions that had been answered were lost.
func TestUnreadAnswersLeaveTheOutboxItsRoom(t *testing.T) {
	policies := []outbox.Policy{outbox.DropOldest, outbox.Refuse}
	for _, policy := range policies[:testsize.Of(1, 2)] {
		t.Run(string(policy), func(t *testing.T) {
			g := besieged(t, func(cfg *config.Config, _ *Options) {
				cfg.DataDir = disktest.New(t, 48<<20)
				cfg.Outbox.MaxSize, cfg.Outbox.Policy = 8<<20, string(policy)
				cfg.Limit = config.LimitConfig{Min: 256, Max: 1024}
			})
			hangUp := g.fillSpools(t, 6)
			others := gatewaytest.StartPaced(g.url, 4, 500, false)
			gatewaytest.Eventually(t, "others are answered beside", func() bool { return others.N.Load()+others.Failed.Load() > 1000 })
			answered := others.End()
			if n := others.Failed.Load(); n > 0 {
				t.Errorf("%d predictions of others failed, the first with %s", n, others.First)
			}
			free, size, _ := g.components.dir.Disk()
			if free < 8<<20 {
				t.Errorf("%d bytes of %d are free, and the outbox may need %d", free, size, 8<<20)
			}
			hangUp()
			t.Logf("%d predictions beside unread answers; %d bytes of %d are free", len(answered), free, size)
			g.drained(t)
			if s := g.components.outbox.Stats(); s.Dropped > 0 {
				t.Errorf("%d predictions were dropped", s.Dropped)
			}
			source := filepath.Join(g.cfg.DataDir, "gateway.db")
			if err := g.stop(); err != nil {
				t.Error(err)
			}
			gatewaytest.WantOnce(t, answered, gatewaytest.InLedger(t, "sqlite", source))
		})
	}
}

// fillSpools lets several clients send rows whose answers they do not read, and
// begin again when they are cut off. It returns when the disk has no more to
// spare.
func (g *gatewayUnderTest) fillSpools(t *testing.T, clients int) (hangUp func()) {
	t.Helper()
	var row strings.Builder
	for i := range 40 {
		fmt.Fprintf(&row, `,"u%d":1`, i)
	}
	rows := strings.Repeat("{"+row.String()[1:]+"}\n", 300) // more than a megabyte of answers
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(rows), rows)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				g.sendUnread(ctx, chunk)
			}
		})
	}
	gatewaytest.Eventually(t, "nothing is to spare", func() bool { return g.components.disk.spare() < 1<<20 })
	return func() { cancel(); all.Wait() }
}

// sendUnread sends chunks until ctx ends or it is cut off.
func (g *gatewayUnderTest) sendUnread(ctx context.Context, chunk string) {
	conn, err := smallDialer.DialContext(ctx, "tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	if _, err := fmt.Fprint(conn, streamHead); err != nil {
		return
	}
	for err == nil {
		_, err = fmt.Fprint(conn, chunk)
	}
}
