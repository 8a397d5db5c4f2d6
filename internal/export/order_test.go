package export

import (
	"fmt"
	"math"
	"testing"
)

// The hash is part of what is stored: were it to change, every customer of the
// holdout would have been learned from. Expected values were computed with
// another program (sha256sum).
func TestHashesAreTheDocumentedOnes(t *testing.T) {
	// sha256("1") = 6b86b273ff34fce1 9d6b804eff5a3f57…
	if place, held := hashes([]byte("1")); place != 0x6b86b273ff34fce1 || held {
		t.Errorf("got %x, %v", place, held)
	}
	// sha256("5") = ef2d127de37b942b aad06145e54b0c61…
	if place, _ := hashes([]byte("5")); place != 0xef2d127de37b942b {
		t.Errorf("got %x", place)
	}
}

func TestHoldoutIsATenthAndSpreadOverTheOrder(t *testing.T) {
	const n = 100_000
	var all, early int
	for i := range n {
		id := fmt.Sprint("customer-", i)
		place, held := hashes([]byte(id))
		if held != Held(id) {
			t.Fatal("Held differs")
		}
		if held {
			all++
			if place < math.MaxUint64/2 {
				early++
			}
		}
	}
	// Five standard deviations: sqrt(n·0.1·0.9) is 95, sqrt(n·0.1·0.25) is 50.
	if math.Abs(float64(all)-HoldoutFraction*n) > 475 {
		t.Errorf("%d of %d held", all, n)
	}
	if math.Abs(float64(early)-float64(all)/2) > 250 {
		t.Errorf("%d of %d held are in the first half of the order", early, all)
	}
}
