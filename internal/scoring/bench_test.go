package scoring_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// instant is a model that answers at once. What it allocates for an answer is
// part of every figure below.
type instant struct{}

func (instant) Score(_ context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	return predict.Scores{Model: "m", Score: make([]float64, len(rows)), Label: make([]int, len(rows))}, nil
}

// naive is the usual batcher: a goroutine collects from a channel until a call
// is full or a timer fires.
type naive struct {
	scorer predict.Scorer
	in     chan naiveRequest
}

type naiveRequest struct {
	rows   []schema.Vector
	answer chan naiveAnswer
}

type naiveAnswer struct {
	scores predict.Scores
	err    error
}

func newNaive(scorer predict.Scorer) *naive {
	n := &naive{scorer: scorer, in: make(chan naiveRequest)}
	go n.collect()
	return n
}

func (n *naive) collect() {
	for first := range n.in {
		rows, waiting := first.rows, []naiveRequest{first}
		timer := time.NewTimer(100 * time.Microsecond)
	gather:
		for len(rows) < 64 {
			select {
			case next, ok := <-n.in:
				if !ok {
					break gather
				}
				rows, waiting = append(rows, next.rows...), append(waiting, next)
			case <-timer.C:
				break gather
			}
		}
		timer.Stop()
		go func() {
			scores, err := n.scorer.Score(context.Background(), rows, false)
			for i, w := range waiting {
				w.answer <- naiveAnswer{predict.Scores{Model: scores.Model, Score: scores.Score[i : i+1], Label: scores.Label[i : i+1]}, err}
			}
		}()
	}
}

func (n *naive) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	r := naiveRequest{rows, make(chan naiveAnswer, 1)}
	n.in <- r
	select {
	case a := <-r.answer:
		return a.scores, a.err
	case <-ctx.Done():
		return predict.Scores{}, ctx.Err()
	}
}

// A request of one row with a deadline before that of calls, as all have in
// the gateway, by how many callers there are at once: the model
// alone, Batch over it, and the naive batcher.
func BenchmarkBatch(b *testing.B) {
	for _, tt := range []struct {
		name string
		make func() (predict.Scorer, func())
	}{
		{"model", func() (predict.Scorer, func()) { return instant{}, func() {} }},
		{"batch", func() (predict.Scorer, func()) {
			s := scoring.NewBatch(instant{}, scoring.BatchOptions{Timeout: 2 * time.Hour}, prometheus.NewRegistry())
			return s, func() { _ = s.Stop(context.Background()) }
		}},
		{"naive", func() (predict.Scorer, func()) {
			n := newNaive(instant{})
			return n, func() { close(n.in) }
		}},
	} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", tt.name, callers), func(b *testing.B) {
				scorer, stop := tt.make()
				defer stop()
				concurrently(b, callers, scorer)
			})
		}
	}
}

// busy is a model whose callers sleep, as in a call over a network, so that
// others meet it in flight.
type busy struct{ instant }

func (s busy) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	time.Sleep(50 * time.Microsecond)
	return s.instant.Score(ctx, rows, explain)
}

// The same where calls overlap.
func BenchmarkBatchShared(b *testing.B) {
	for _, callers := range []int{64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := scoring.NewBatch(busy{}, scoring.BatchOptions{Timeout: 2 * time.Hour}, prometheus.NewRegistry())
			defer func() { _ = s.Stop(context.Background()) }()
			concurrently(b, callers, s)
		})
	}
}

// concurrently shares b.N requests among callers.
func concurrently(b *testing.B, callers int, scorer predict.Scorer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			rows := []schema.Vector{make(schema.Vector, 65)}
			for n := i; n < b.N; n += callers {
				if _, err := scorer.Score(ctx, rows, false); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}
