//go:build unix

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
			handler := benchHandler(b, ledger)
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

// benchHandler is a gateway with a model.
func benchHandler(b *testing.B, ledger string) http.Handler {
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
	c := newComponents(cfg, Options{Log: log}, func() {})
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
	background.Go(func() { c.outbox.Run(ctx) })
	background.Go(func() { m.keeper.Run(ctx) })
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
	return handler
}

// reportCPU adds what a call costs in processor time, of all threads and in the
// kernel. Unlike the time by the clock it says the same on a busy machine.
func reportCPU(b *testing.B, calls int) (report func()) {
	spent := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := spent()
	return func() { b.ReportMetric(float64(spent()-before)/float64(b.N*calls), "cpu-ns/op") }
}
