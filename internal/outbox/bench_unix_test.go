//go:build unix

package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/store"
)

// bankFeatures is what the bank schema stores of a customer.
const bankFeatures = `{"age":34,"job":"technician","marital":"married","education":"university.degree","default":"no",` +
	`"housing":"yes","loan":"no","contact":"cellular","month":"may","day_of_week":"wed","duration":190,"campaign":1,` +
	`"pdays":999,"previous":0,"poutcome":"nonexistent","emp_var_rate":-1.7,"cons_price_idx":94.055,"cons_conf_idx":-39.8,` +
	`"euribor3m":0.715,"nr_employed":4991.6}`

func benchPrediction() predict.Prediction {
	p := newPrediction(1)
	p.ID, p.CustomerID, p.Features = failure.NewID(), "10042", []byte(bankFeatures)
	p.Schema = "7798ece4b83fa6cb7798ece4b83fa6cb7798ece4b83fa6cb7798ece4b83fa6cb"
	return p
}

// BenchmarkAppend is what a request pays.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []Sync{Interval, Always} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("sync=%s/callers=%d", sync, callers), func(b *testing.B) {
				box := setup(b, Options{Sync: sync, MaxBytes: 64 << 20})
				flushes := &countingFile{}
				box.journal.metrics.fsync = flushes
				rows := []predict.Prediction{benchPrediction()}
				ctx := context.Background()
				b.ReportAllocs()
				report := reportCPU(b, 1)
				b.SetParallelism((callers + 1) / 2) // times GOMAXPROCS, 2 where this was measured
				if callers == 1 {
					for b.Loop() {
						box.mustAppend(b, rows...)
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := box.Append(ctx, rows); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				report()
				if n := flushes.n.Load(); sync == Always {
					b.ReportMetric(float64(b.N)/float64(n), "rows/flush")
				}
			})
		}
	}
	b.Run("rows=256", func(b *testing.B) {
		box := setup(b, Options{Sync: Always, MaxBytes: 64 << 20})
		rows := make([]predict.Prediction, 256)
		for i := range rows {
			rows[i] = benchPrediction()
		}
		b.ReportAllocs()
		report := reportCPU(b, len(rows))
		for b.Loop() {
			box.mustAppend(b, rows...)
		}
		report()
	})
}

// forgetful is a database that costs nothing.
type forgetful struct{ predict.Ledger }

func (forgetful) Append(context.Context, []predict.Prediction) error { return nil }

// BenchmarkDrain is a thousand rows on their way through the outbox to nothing,
// and to SQLite.
func BenchmarkDrain(b *testing.B) {
	for _, to := range []string{"nothing", "SQLite"} {
		b.Run("to="+to, func(b *testing.B) {
			box := setup(b, Options{Sync: Interval})
			box.ledger = forgetful{}
			if to == "SQLite" {
				db, err := store.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "gateway.db"))
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = db.Close() })
				if box.ledger, err = db.OpenLine(b.Context(), "bank"); err != nil {
					b.Fatal(err)
				}
			}
			rows := slices.Repeat([]predict.Prediction{benchPrediction()}, maxBatch)
			b.ReportAllocs()
			report := reportCPU(b, maxBatch)
			for b.Loop() {
				for i := range rows {
					rows[i].ID = failure.NewID()
				}
				box.mustAppend(b, rows...)
				box.drain.rows = maxBatch
				box.mustDrain(b)
			}
			report()
		})
	}
}

// BenchmarkBacklog is 50,000 rows that wait while no predictions come, until the database
// has them.
func BenchmarkBacklog(b *testing.B) {
	const rows = 50_000
	for to, open := range map[string]func(testing.TB) *storeLedger{"SQLite": openSQLiteLedger, "PostgreSQL": openPostgresLedger} {
		b.Run("to="+to, func(b *testing.B) {
			box := setup(b, Options{Sync: Interval, Gentle: store.GentleRows})
			ledger := open(b)
			box.ledger, box.options.Flush = ledger, ledger.flush()
			report := reportCPU(b, rows)
			for b.Loop() {
				appendRandom(b, box, rows)
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); box.Run(ctx) }()
				for box.Stats().Rows >= maxBatch { // fewer wait for more
					time.Sleep(time.Millisecond)
				}
				cancel()
				<-ended
			}
			report()
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// appendRandom appends rows of random customers.
func appendRandom(b *testing.B, box *bench, rows int) {
	some := slices.Repeat([]predict.Prediction{benchPrediction()}, 1000)
	for range rows / len(some) {
		for i := range some {
			some[i].ID, some[i].CustomerID = failure.NewID(), fmt.Sprint(rand.IntN(1_000_000))
		}
		box.mustAppend(b, some...)
	}
}

// BenchmarkFind is an outcome for the oldest of many rows that wait.
func BenchmarkFind(b *testing.B) {
	box := setup(b, Options{Sync: Interval})
	rows := make([]predict.Prediction, 256)
	for i := range 200_000 / len(rows) {
		for k := range rows {
			rows[k] = benchPrediction()
			rows[k].CustomerID = fmt.Sprint(i, "-", k)
		}
		box.mustAppend(b, rows...)
	}
	box.ledger = box.db.Store
	outcomes := []predict.Outcome{{CustomerID: "0-0", ObservedAt: noon}}
	b.ReportAllocs()
	for b.Loop() {
		s := newSearch(outcomes)
		for _, l := range box.journal.pending() {
			if err := s.visit(l); err != nil {
				b.Fatal(err)
			}
		}
		if len(s.found) != 1 {
			b.Fatal(len(s.found))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*box.Stats().Rows), "ns/row")
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
	return func() { b.ReportMetric(float64(spent()-before)/float64(b.N*calls), "cpu-ns/row") }
}
