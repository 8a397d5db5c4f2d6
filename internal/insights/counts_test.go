package insights

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/predict"
)

func TestCountsAreKeptAsText(t *testing.T) {
	var c Counts
	c.Add(0, 0, 1)
	c.Add(0, 2, 3)
	c.Add(2, 1, -5)
	c.Add(3, 4, 7)
	c.Add(3, 4, -7)
	const text = "1,,3;;,-5;;"
	if got := string(c.AppendText(nil)); got != text {
		t.Fatalf("the text is %q, want %q", got, text)
	}
	again, err := ParseCounts(text)
	if err != nil {
		t.Fatal(err)
	}
	for row := range 5 {
		for column := range 6 {
			if again.At(row, column) != c.At(row, column) {
				t.Errorf("%d, %d: got %d, want %d", row, column, again.At(row, column), c.At(row, column))
			}
		}
	}
	again.Add(0, 7, 9) // has not the memory of the next row
	if again.At(2, 1) != -5 {
		t.Error("a row grew into the next")
	}
}

func TestDamagedCountsAreRefused(t *testing.T) {
	for _, text := range []string{"1", "1,2", "1;2", "-;x", "--1;", "1-;", "1.5;", "99999999999999999999;", " 1;"} {
		if c, err := ParseCounts(text); err == nil {
			t.Errorf("%q became %v", text, c)
		}
	}
}

func FuzzParseCounts(f *testing.F) {
	f.Add("1,,3;;,-5;;")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCounts(text)
		if err != nil {
			return
		}
		once := c.AppendText(nil)
		again, err := ParseCounts(string(once))
		if err != nil || !bytes.Equal(again.AppendText(nil), once) {
			t.Errorf("%q became %q", once, again.AppendText(nil))
		}
	})
}

// The sum of parts does not depend on how they are divided.
func TestMergingIsAdding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var whole, merged Counts
	parts := make([]Counts, 5)
	for range 500 {
		row, column, n := rng.IntN(6), rng.IntN(40), rng.Int64N(9)-3
		whole.Add(row, column, n)
		parts[rng.IntN(len(parts))].Add(row, column, n)
	}
	for _, p := range parts {
		merged.Merge(p)
	}
	if diff := cmp.Diff(string(whole.AppendText(nil)), string(merged.AppendText(nil))); diff != "" {
		t.Error(diff)
	}
}

// A sum that is used again counts as a new one does, whatever it had counted.
func TestResetLeavesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var used Counts
	for range 200 {
		used.Reset()
		var fresh Counts
		for range rng.IntN(40) {
			row, column, n := rng.IntN(6), rng.IntN(1+rng.IntN(300)), rng.Int64N(5)-2
			used.Add(row, column, n)
			fresh.Add(row, column, n)
		}
		for row := range 6 {
			for column := range 300 {
				if used.At(row, column) != fresh.At(row, column) {
					t.Fatalf("row %d, column %d: %d, want %d", row, column, used.At(row, column), fresh.At(row, column))
				}
			}
		}
		if again, err := ParseCounts(string(used.AppendText(nil))); err != nil || len(again) != len(used) {
			t.Fatal(again, err)
		}
	}
}

// TestPredictionsAreCountedInTheirBins counts bins of one byte and of several, and features
// that are not counted, against the bins as runes.
func TestPredictionsAreCountedInTheirBins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s Sum
	var want Counts
	for n := range 500 {
		most := []int{20, 300}[n%2]
		var bins []byte
		for feature := range 30 {
			bin := r.IntN(most+1) - 1
			if bin < 0 {
				bins = append(bins, notCounted)
				continue
			}
			bins = utf8.AppendRune(bins, firstBin+rune(bin))
			want.Add(feature, bin, 1)
		}
		s.CountPrediction(&predict.Prediction{Score: 0.5, Bins: bins})
	}
	if got, want := string(s.Features.AppendText(nil)), string(want.AppendText(nil)); got != want {
		t.Errorf("counted\n%s\nwant\n%s", got, want)
	}
}
