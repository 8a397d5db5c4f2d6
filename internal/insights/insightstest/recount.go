// Package insightstest has what tests of insights share.
package insightstest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"gateway/internal/insights"
	"gateway/internal/predict"
)

// Ledger is what is recounted; *store.Line is one.
type Ledger interface {
	PredictionsAfter(ctx context.Context, after string, limit int) ([]predict.Recorded, error)
	Sums(ctx context.Context, model string, from, to time.Time) ([]insights.Sum, error)
}

// CheckSums counts all predictions and outcomes of the ledger, and compares the result
// with its sums, by model and day. It returns the number of predictions and of
// outcomes. Delays are compared by their number, since the ledger does not have the
// time at which an outcome came.
func CheckSums(t testing.TB, l Ledger) (predictions, outcomes int) {
	t.Helper()
	type key struct {
		model string
		day   time.Time
	}
	type counts struct {
		Rows, Delays                         int64
		Features, Scores, Outcomes, Segments string
	}
	text := func(all map[key]*insights.Sum) map[string]counts {
		out := map[string]counts{}
		for k, s := range all {
			c := counts{Rows: s.Rows, Features: trimmed(s.Features), Scores: trimmed(s.Scores),
				Outcomes: trimmed(s.Outcomes), Segments: trimmed(s.Segments)}
			for _, row := range s.Delays {
				for _, n := range row {
					c.Delays += n
				}
			}
			out[fmt.Sprint(k.model, " ", k.day.Format(time.DateOnly))] = c
		}
		return out
	}
	find := func(all map[key]*insights.Sum, model string, at time.Time) *insights.Sum {
		k := key{model, insights.Day.Start(at)}
		if all[k] == nil {
			all[k] = new(insights.Sum)
		}
		return all[k]
	}
	ctx := context.Background()
	counted, stored := map[key]*insights.Sum{}, map[key]*insights.Sum{}
	for after := ""; ; {
		page, err := l.PredictionsAfter(ctx, after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			p := &page[i]
			s := find(counted, p.Model, p.CreatedAt)
			s.CountPrediction(&p.Prediction)
			predictions++
			if p.Outcome != nil {
				s.CountOutcome(insights.Outcome{Prediction: &p.Prediction, Label: *p.Outcome, Received: p.CreatedAt})
				outcomes++
			}
			after = p.ID
		}
	}
	from, to := time.UnixMicro(math.MinInt64/2), time.UnixMicro(math.MaxInt64/2)
	sums, err := l.Sums(ctx, "", from, to)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sums {
		find(stored, sums[i].Key.Model, sums[i].Key.Start).Merge(&sums[i])
	}
	wanted, got := text(counted), text(stored)
	for k := range wanted {
		if got[k] != wanted[k] {
			t.Errorf("%s: the sums differ from the ledger\nledger %+v\nsums   %+v", k, wanted[k], got[k])
		}
	}
	for k := range got {
		if _, ok := wanted[k]; !ok {
			t.Errorf("%s: there are sums of nothing: %+v", k, got[k])
		}
	}
	return predictions, outcomes
}

// trimmed is the text of counts without rows of zeros at the end.
func trimmed(c insights.Counts) string {
	text := c.AppendText(nil)
	for len(text) > 0 && (len(text) == 1 || text[len(text)-2] == ';') {
		text = text[:len(text)-1]
	}
	return string(text)
}
