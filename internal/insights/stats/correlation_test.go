package stats

import (
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestNoCorrelation(t *testing.T) {
	nan := math.NaN()
	tests := map[string][][2]float64{
		"no pairs":           nil,
		"one pair":           {{1, 2}},
		"x is constant":      {{0.1, 2}, {0.1, 3}, {0.1, 5}},
		"y is constant":      {{1, 0.3}, {2, 0.3}, {3, 0.3}},
		"one without NaN":    {{1, 2}, {nan, 3}, {4, nan}},
		"an infinite number": {{1, 2}, {math.Inf(1), 3}, {4, 5}},
	}
	for name, pairs := range tests {
		var all, halves, second Correlation
		for i, p := range pairs {
			all.Add(p[0], p[1])
			if i%2 == 0 {
				halves.Add(p[0], p[1])
			} else {
				second.Add(p[0], p[1])
			}
		}
		halves.Merge(second)
		for _, c := range []Correlation{all, halves} {
			if value, ok := c.Value(); ok {
				t.Errorf("%s: the correlation is %v", name, value)
			}
		}
	}
}

func TestCorrelationLeavesOutNaN(t *testing.T) {
	var with, without Correlation
	for i, x := range []float64{1, 5, math.NaN(), 2, 8} {
		y := float64(i * i)
		with.Add(x, y)
		if !math.IsNaN(x) {
			without.Add(x, y)
		}
	}
	a, _ := with.Value()
	b, _ := without.Value()
	if a != b || with.Count() != 4 {
		t.Errorf("%v of %d pairs, want %v", a, with.Count(), b)
	}
}

// These are the correlations that AWS's article finds with Athena's corr.
func TestCorrelationsOfTheArticle(t *testing.T) {
	path := filepath.FromSlash("../../../../shared/data/bank/bank-additional.csv")
	file, err := os.Open(path)
	if err != nil {
		t.Skip("no " + path)
	}
	defer file.Close()
	rows := csv.NewReader(file)
	rows.Comma = ';'
	header, err := rows.Read()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]int{}
	for i, name := range header {
		columns[name] = i
	}
	got := map[string]*Correlation{"age": {}, "duration": {}, "campaign": {}, "telephone": {}}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		y := isTrue(row[columns["y"]] == "yes")
		for name, c := range got {
			x := isTrue(row[columns["contact"]] == name)
			if name != "telephone" {
				if x, err = strconv.ParseFloat(row[columns[name]], 64); err != nil {
					t.Fatal(err)
				}
			}
			c.Add(x, y)
		}
	}
	for name, want := range map[string]float64{"age": 0.029866, "duration": 0.406779, "campaign": -0.068215, "telephone": -0.145001} {
		value, ok := got[name].Value()
		if !ok || math.Abs(value-want) > 5e-7 {
			t.Errorf("%s: %.6f, want %.6f", name, value, want)
		}
		if got[name].Count() != 32845 {
			t.Errorf("%s: %d pairs", name, got[name].Count())
		}
	}
}

func isTrue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
