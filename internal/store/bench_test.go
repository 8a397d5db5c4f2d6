package store

import (
	"context"
	"fmt"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/predict"
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
