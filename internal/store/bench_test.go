package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/insights"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// bankFeatures is what the bank schema stores of a customer.
const bankFeatures = `{"age":34,"job":"technician","marital":"married","education":"university.degree","default":"no",` +
	`"housing":"yes","loan":"no","contact":"cellular","month":"may","day_of_week":"wed","duration":190,"campaign":1,` +
	`"pdays":999,"previous":0,"poutcome":"nonexistent","emp_var_rate":-1.7,"cons_price_idx":94.055,"cons_conf_idx":-39.8,` +
	`"euribor3m":0.715,"nr_employed":4991.6}`

func benchPrediction() predict.Prediction {
	p := predictionFor(failure.NewID(), "10042", epoch)
	p.Features = []byte(bankFeatures)
	p.Bins = []byte("4567:4567:4567:4567:")
	p.Model = "bank-1"
	return p
}

func benchCustomers(n int) []predict.Customer {
	customers := make([]predict.Customer, n)
	for i := range customers {
		customers[i] = predict.Customer{ID: fmt.Sprintf("%06d", i), Features: []byte(bankFeatures), Label: ptr(i % 2)}
	}
	return customers
}

// BenchmarkAppend of 16 and 64 rows is mostly rests: see GentleRows.
func BenchmarkAppend(b *testing.B) {
	ctx := context.Background()
	for _, rows := range []int{1, 16, 64, 1024} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			s := openTestSQLite(b)
			batch := make([]predict.Prediction, rows)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					batch[i] = benchPrediction()
				}
				must(b, s.Append(ctx, batch))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}

func BenchmarkRecordOutcomes(b *testing.B) {
	s := openTestSQLite(b)
	put(b, s, benchCustomers(1)...)
	for i := 0; b.Loop(); i++ {
		record(b, s, ofCustomer("000000", i%2, i))
	}
}

func BenchmarkPutCustomers(b *testing.B) {
	customers := benchCustomers(41188)
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known=%v", known), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := openTestSQLite(b)
				if known {
					put(b, s, customers...)
				}
				b.StartTimer()
				put(b, s, customers...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(customers)), "ns/row")
		})
	}
}

func BenchmarkEachCustomer(b *testing.B) {
	s := openTestSQLite(b)
	customers := benchCustomers(41188)
	put(b, s, customers...)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.EachCustomer(context.Background(), func(predict.Customer) error { return nil }))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(customers)), "ns/row")
}

func BenchmarkFeatures(b *testing.B) {
	s := openTestSQLite(b)
	put(b, s, benchCustomers(41188)...)
	for _, n := range []int{1, 256} {
		b.Run(fmt.Sprintf("ids=%d", n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = fmt.Sprintf("%06d", i*100)
			}
			for b.Loop() {
				if found, err := s.Features(context.Background(), ids); err != nil || len(found) != n {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}

func BenchmarkCountCustomers(b *testing.B) {
	s := openTestSQLite(b)
	put(b, s, benchCustomers(41188)...)
	for b.Loop() {
		if _, err := s.CountCustomers(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// reportModels are the models of BenchmarkReports.
type reportModels struct{}

func (reportModels) InsightModels(context.Context) ([]insights.Model, error) {
	return []insights.Model{{Name: "bank-1", Serving: true}}, nil
}

// BenchmarkReports answers quality over ten million predictions: 30 days of hours, and
// 370 days before that, of the bank's 20 features.
func BenchmarkReports(b *testing.B) {
	ctx := context.Background()
	s := openTestSQLite(b)
	now := time.Now().UTC()
	rng := rand.New(rand.NewPCG(1, 1))
	var sums []insights.Sum
	add := func(period insights.Period, start time.Time, rows int64) {
		sum := insights.Sum{Key: insights.Key{Model: "bank-1", Period: period, Start: start}, Rows: rows}
		for f := range 20 {
			for bin := range 14 {
				sum.Features.Add(f, bin, rows/14+rng.Int64N(100))
				for k := range 3 {
					sum.Segments.Add(f, 3*bin+k, rng.Int64N(rows))
				}
			}
		}
		for bin := range 282 {
			sum.Scores.Add(bin%2, bin, rows/282)
			sum.Outcomes.Add(bin%4, bin, rows/282/4)
			sum.Delays.Add(bin%2, bin%100, rows/200)
		}
		sums = append(sums, sum)
	}
	for hour := range 30 * 24 {
		add(insights.Hour, insights.Hour.Start(now).Add(-time.Duration(hour)*time.Hour), 10_000_000/720)
	}
	for day := range 370 {
		add(insights.Day, insights.Day.Start(now).AddDate(0, 0, -35-day), 300_000)
	}
	must(b, s.inWrite(ctx, "sums", func(tx *sql.Tx) error { return s.addSums(ctx, tx, sums) }))
	reports := insights.NewReports(schema.Bank(), s, reportModels{}, insights.Options{Maturity: -1})
	for b.Loop() {
		r, err := reports.Quality(ctx, insights.Query{})
		must(b, err)
		if r.Models[0].Predictions < 9_000_000 {
			b.Fatal(r.Models[0].Predictions)
		}
	}
}
