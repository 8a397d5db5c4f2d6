package budget_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"gateway/internal/budget"
)

// spendAll returns how many additional calls b allows at once.
func spendAll(b *budget.Budget) (n int) {
	for b.Spend() {
		n++
	}
	return n
}

func TestCallsEarnAdditionalCalls(t *testing.T) {
	tests := []struct {
		name           string
		price, reserve int
		full           bool
		calls, want    int
	}{
		{"empty at first", 10, 5, false, 0, 0},
		{"less than the price", 10, 5, false, 9, 0},
		{"the price of one", 10, 5, false, 10, 1},
		{"the rest stays", 10, 5, false, 19, 1},
		{"no more than the reserve", 10, 5, false, 1000, 5},
		{"one short of the reserve", 10, 5, false, 49, 4},
		{"full at first", 4, 64, true, 0, 64},
		{"full stays full", 4, 64, true, 100, 64},
		{"a price of one", 1, 3, false, 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := budget.New(tt.price, tt.reserve)
			if tt.full {
				b = budget.Full(tt.price, tt.reserve)
			}
			for range tt.calls {
				b.Earn()
			}
			if n := spendAll(b); n != tt.want {
				t.Errorf("%d calls allow %d additional ones, want %d", tt.calls, n, tt.want)
			}
		})
	}
}

func TestWhatIsLeftCounts(t *testing.T) {
	b := budget.New(3, 2)
	for range 4 {
		b.Earn()
	}
	if n := spendAll(b); n != 1 {
		t.Fatalf("4 tokens pay for %d, want 1", n)
	}
	b.Earn() // the second token, with the one that is left
	if b.Spend() {
		t.Error("2 tokens pay the price of 3")
	}
	b.Earn()
	if !b.Spend() {
		t.Error("3 tokens do not pay the price of 3")
	}
	for range 100 {
		b.Earn()
	}
	spendAll(b)
	b.Earn()
	b.Earn()
	if b.Spend() {
		t.Error("a token beyond the reserve was kept")
	}
}

// Each token is counted once, however many goroutines earn and spend.
func TestTheFractionHoldsForManyGoroutines(t *testing.T) {
	const workers, calls, price = 8, 30_000, 7
	b := budget.New(price, workers*calls) // a reserve that is never reached
	var spent atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range calls {
				b.Earn()
				if b.Spend() {
					spent.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := spent.Load() + int64(spendAll(b)); n != workers*calls/price {
		t.Errorf("%d calls allowed %d additional ones, want %d", workers*calls, n, workers*calls/price)
	}
}

func BenchmarkEarn(b *testing.B) {
	budget := budget.New(10, 5)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Earn()
		}
	})
}
