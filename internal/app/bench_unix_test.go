//go:build unix

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway"
	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/config"
	"gateway/internal/demo"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// noLedger discards what is recorded.
type noLedger struct{ predict.Ledger }

func (noLedger) Append(context.Context, []predict.Prediction) error { return nil }

// BenchmarkPredict is POST /predict, without the network: what the ledger costs
// is the difference between "without a ledger" and the others. While it runs,
// the outbox is drained to SQLite, which costs time of its own on the same
// processors.
func BenchmarkPredict(b *testing.B) {
	for _, ledger := range []string{"without a ledger", "interval", "always"} {
		b.Run("ledger="+ledger, func(b *testing.B) {
			handler, _ := benchHandler(b, ledger, Options{}, true)
			body, _ := json.Marshal(map[string]any{"features": gatewaytest.Sample()})
			predict := func() {
				r := httptest.NewRequest(http.MethodPost, "/predict", bytes.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Errorf("%d %s", w.Code, w.Body)
				}
			}
			b.Run("callers=1", func(b *testing.B) {
				b.ReportAllocs()
				report := reportCPU(b, 1)
				for b.Loop() {
					predict()
				}
				report()
			})
			b.Run("callers=64", func(b *testing.B) {
				b.ReportAllocs()
				report := reportCPU(b, 1)
				b.SetParallelism(32) // times GOMAXPROCS, 2 where this was measured
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						predict()
					}
				})
				report()
			})
		})
	}
}

// BenchmarkInsights is POST /predict without the network, up to the row in the database,
// in processor time: with insights, without, and by how many per cent the former is more.
// After a turn its rows are stored, 64 in a transaction, and the parts of sums are merged, as
// a gateway does that gets 250 requests a second. Turns of both alternate, and the median of
// the turns counts. They are short, since the processor changes its speed by the second. Run it
// with -benchtime 1x.
func BenchmarkInsights(b *testing.B) {
	const turns, requests = 101, 2500
	customers, err := demo.Customers(schema.Bank(), requests, 2)
	if err != nil {
		b.Fatal(err)
	}
	bodies := make([][]byte, len(customers))
	for i, c := range customers {
		bodies[i] = fmt.Appendf(nil, `{"features":%s}`, c.Features)
	}
	type side struct {
		handler http.Handler
		model   *Model
		outbox  *outbox.Outbox
		spent   []float64 // processor time of a request by turn, in nanoseconds
	}
	var sides [2]side // without, with
	for i := range sides {
		handler, c := benchHandler(b, "interval", Options{withoutInsights: i == 0}, false)
		sides[i] = side{handler: handler, model: c.model, outbox: c.outbox}
	}
	turn := func(s *side) {
		runtime.GC()
		before := processorTime(b)
		for _, body := range bodies {
			r := httptest.NewRequest(http.MethodPost, "/predict", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			if s.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if err := s.outbox.Drain(b.Context()); err != nil {
			b.Fatal(err)
		}
		for more := !s.model.line.CountsNothing; more; {
			var err error
			if _, more, err = s.model.line.MergeParts(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		s.spent = append(s.spent, float64(processorTime(b)-before)/requests)
	}
	for b.Loop() {
		for k := range turns {
			for i := range sides {
				turn(&sides[(i+k)%2])
			}
		}
	}
	var more []float64
	for k := range sides[0].spent {
		more = append(more, 100*(sides[1].spent[k]/sides[0].spent[k]-1))
	}
	for i, name := range []string{"cpu-ns/request-without", "cpu-ns/request-with"} {
		b.ReportMetric(median(sides[i].spent), name)
	}
	b.ReportMetric(median(more), "%-more")
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// benchParts are the parts of a gateway that benchmarks look at.
type benchParts struct {
	*components
	model *Model
}

// benchHandler is a gateway with a model, which drains its outbox and merges the sums of
// insights in the background if keeps is set.
func benchHandler(b *testing.B, ledger string, o Options, keeps bool) (http.Handler, benchParts) {
	b.Helper()
	b.Setenv("GATEWAY_DATA_DIR", b.TempDir())
	b.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
	cfg, err := config.Load()
	if err != nil {
		b.Fatal(err)
	}
	if ledger != "without a ledger" {
		cfg.Outbox.Sync = ledger
	}
	log := slog.New(slog.DiscardHandler)
	o.Log = log
	c := newComponents(cfg, o, func() {})
	if err := c.open(b.Context()); err != nil {
		b.Fatal(err)
	}
	models, err := openModels(b.Context(), c, schema.Bank())
	if err != nil {
		b.Fatal(err)
	}
	m := models[0]
	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { m.engine.Run(ctx) })
	if keeps {
		background.Go(func() { c.outbox.Run(ctx) })
		background.Go(func() { m.keeper.Run(ctx) })
	}
	b.Cleanup(func() {
		cancel()
		background.Wait()
		if err := c.cleanups.run(log); err != nil {
			b.Error(err)
		}
	})
	customers, err := demo.Customers(schema.Bank(), 1500, 1)
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := c.store.PutCustomers(ctx, customers); err != nil {
		b.Fatal(err)
	}
	r, err := m.engine.Trigger(ctx, modelswap.TriggerRequest{Trigger: modelswap.TriggerFirst})
	for err == nil && !r.Status.Final() {
		r, err = m.engine.Renewal(ctx, r.ID)
	}
	if err != nil || r.Status != modelswap.Succeeded {
		b.Fatal(err, r)
	}
	service := m.service
	if ledger == "without a ledger" {
		service = predict.NewService(schema.Bank(), m.scorer, c.store, noLedger{m.line}, log, prometheus.NewRegistry())
	}
	front := edge.New(edge.Deps{Registry: c.registry, Log: log}, edge.Options{MaxInFlight: 10_000})
	handler, _ := api.New(api.Deps{Edge: front, Predict: service, Renewals: m.engine, Importer: m.importer,
		OpenAPI: gateway.OpenAPI, Registry: c.registry, Log: log}, api.Options{})
	return handler, benchParts{c, m}
}

// reportCPU adds what a call costs in processor time, of all threads and in the
// kernel. Unlike the time by the clock it says the same on a busy machine.
func reportCPU(b *testing.B, calls int) (report func()) {
	before := processorTime(b)
	return func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N*calls), "cpu-ns/op") }
}

// processorTime is that of all threads of the process, in nanoseconds.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
