package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"gateway/internal/insights"
	"gateway/internal/insights/insightstest"
	"gateway/internal/insights/stats"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// countedPrediction returns a prediction with bins, of one of two models, some hours after
// epoch.
func countedPrediction(id string, rng *rand.Rand) predict.Prediction {
	p := newPrediction(id)
	p.Model = []string{"m1", "m2"}[rng.IntN(2)]
	p.Score = rng.Float64()
	p.Label = rng.IntN(2)
	p.CreatedAt = epoch.Add(time.Duration(rng.IntN(5)) * 17 * time.Minute)
	p.Bins = []byte(string([]rune{'0' + rune(rng.IntN(14)), '-', '0' + rune(rng.IntN(150))}))
	return p
}

// mergeAll merges all parts and returns how many they were.
func mergeAll(t testing.TB, s *Line) (merged int) {
	t.Helper()
	for more := true; more; {
		n, rest, err := s.MergeParts(context.Background())
		must(t, err)
		merged, more = merged+n, rest
	}
	return merged
}

func testSums(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("they are those of the ledger, whatever is repeated", func(t *testing.T) {
		t.Parallel()
		s, rng := open(t), rand.New(rand.NewPCG(1, 2))
		var rows []predict.Prediction
		for i := range 300 {
			rows = append(rows, countedPrediction(fmt.Sprintf("%04d", i), rng))
		}
		must(t, s.Append(ctx, rows[:100]))
		must(t, s.Append(ctx, rows[40:41]))           // one again
		must(t, s.Append(ctx, rows[50:250]))          // some again
		must(t, s.Append(ctx, rows))                  // all of these again
		must(t, s.Append(ctx, append(rows, rows...))) // and within one call
		var outcomes []predict.Outcome
		for i := range 120 {
			outcomes = append(outcomes, ofPrediction(rows[rng.IntN(150)].ID, rng.IntN(2), i))
		}
		record(t, s, outcomes...)
		record(t, s, outcomes...)
		for _, o := range outcomes[:20] { // corrected, and one at a time
			o.Label, o.ObservedAt = 1-o.Label, at(1000)
			record(t, s, o)
		}
		insightstest.CheckSums(t, s)
		before := countRows(t, s, "insight_parts")
		merged := mergeAll(t, s)
		if merged != before || merged < 25 {
			t.Errorf("merged %d of %d parts", merged, before)
		}
		want(t, "parts", countRows(t, s, "insight_parts"), 0)
		record(t, s, ofPrediction(rows[200].ID, 1, 2000), ofPrediction(rows[0].ID, 0, 3000)) // beside sums
		insightstest.CheckSums(t, s)
		mergeAll(t, s)
		whole, err := s.Sums(ctx, "m1", epoch.Add(-time.Hour), epoch.Add(48*time.Hour))
		must(t, err)
		quality, err := s.QualitySums(ctx, "m1", epoch.Add(-time.Hour), epoch.Add(48*time.Hour))
		must(t, err)
		slices.SortFunc(whole, func(a, b insights.Sum) int { return a.Key.Compare(b.Key) })
		slices.SortFunc(quality, func(a, b insights.Sum) int { return a.Key.Compare(b.Key) })
		for i, sum := range whole {
			want(t, "sums for quality", quality[i], insights.Sum{Key: sum.Key, Rows: sum.Rows, Scores: sum.Scores, Outcomes: sum.Outcomes}, cmpopts.EquateEmpty())
		}
		delays, err := s.DelaySums(ctx, epoch.Add(-time.Hour), epoch.Add(48*time.Hour))
		must(t, err)
		if len(delays) <= len(whole) || len(delays[0].Delays) == 0 || len(delays[0].Scores) > 0 {
			t.Errorf("%d sums of delays: %+v", len(delays), delays[0])
		}
		predictions, known := insightstest.CheckSums(t, s)
		want(t, "predictions", predictions, 300)
		if known < 50 {
			t.Errorf("%d outcomes", known)
		}
	})
	t.Run("a refused row is not counted, and those beside it are once they are stored", func(t *testing.T) {
		t.Parallel()
		s, rng := open(t), rand.New(rand.NewPCG(3, 4))
		rows := []predict.Prediction{countedPrediction("a", rng), countedPrediction("b", rng), countedPrediction("c", rng)}
		rows[1].Label = 7
		if err := s.Append(ctx, rows); err == nil {
			t.Error("a label of 7 was stored")
		}
		must(t, s.Append(ctx, []predict.Prediction{rows[0], rows[2]}))
		n, _ := insightstest.CheckSums(t, s)
		want(t, "predictions", n, 2)
	})
	t.Run("a delay is counted once, from the prediction to the first outcome", func(t *testing.T) {
		t.Parallel()
		s, rng := open(t), rand.New(rand.NewPCG(5, 6))
		p := countedPrediction("p", rng)
		must(t, s.Append(ctx, []predict.Prediction{p}))
		s.now = func() time.Time { return p.CreatedAt.Add(3 * time.Hour) }
		record(t, s, ofPrediction("p", 1, 10))
		s.now = func() time.Time { return p.CreatedAt.Add(90 * time.Hour) }
		record(t, s, ofPrediction("p", 0, 20))
		sums, err := s.Sums(ctx, p.Model, epoch.Add(-time.Hour), epoch.Add(100*time.Hour))
		must(t, err)
		for i := range sums[1:] {
			sums[0].Merge(&sums[i+1])
		}
		var delays insights.Counts
		delays.Add(1, stats.DelayBin(3*time.Hour), 1)
		want(t, "delays", sums[0].Delays, delays)
	})
	t.Run("minutes become hours and hours days, and late outcomes are added to them", func(t *testing.T) {
		t.Parallel()
		s, rng := open(t), rand.New(rand.NewPCG(10, 11))
		var rows []predict.Prediction
		for i := range 200 {
			p := countedPrediction(fmt.Sprintf("%04d", i), rng)
			p.CreatedAt = epoch.Add(time.Duration(rng.IntN(72)) * time.Hour)
			rows = append(rows, p)
		}
		must(t, s.Append(ctx, rows))
		mergeAll(t, s)
		border := insights.Day.Start(epoch).AddDate(0, 0, 2)
		fold := func() (n int) {
			for {
				folded, err := s.Fold(ctx, insights.Minute, insights.Hour, border)
				if !folded && err == nil {
					folded, err = s.Fold(ctx, insights.Hour, insights.Day, border)
				}
				must(t, err)
				if !folded {
					return n
				}
				n++
			}
		}
		if n := fold(); n < 20 {
			t.Errorf("%d hours and days", n)
		}
		insightstest.CheckSums(t, s)
		for _, p := range rows[:50] {
			record(t, s, ofPrediction(p.ID, rng.IntN(2), 1))
		}
		insightstest.CheckSums(t, s)
		mergeAll(t, s)
		fold()
		insightstest.CheckSums(t, s)
		sums, err := s.Sums(ctx, "m1", epoch.Add(-time.Hour), border)
		must(t, err)
		for _, sum := range sums {
			if sum.Key.Period != insights.Day || sum.Key.Model != "m1" {
				t.Errorf("a sum of %v before the border", sum.Key)
			}
		}
		want(t, "sums before the border", len(sums), 1) // of the day after epoch's
	})
	t.Run("a damaged sum is an error, not a wrong figure", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Append(ctx, []predict.Prediction{newPrediction("p")}))
		_, err := s.write.Exec(`UPDATE insight_parts SET scores = '1,2'`)
		must(t, err)
		if _, err := s.Sums(ctx, "", epoch.Add(-24*time.Hour), epoch.Add(24*time.Hour)); err == nil {
			t.Error("it was read")
		}
	})
	t.Run("writers at once", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var all sync.WaitGroup
		for w := range 6 {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(w), 7))
				for i := range 12 {
					rows := make([]predict.Prediction, 1+rng.IntN(20))
					for k := range rows {
						rows[k] = countedPrediction(fmt.Sprintf("%03d", rng.IntN(400)), rand.New(rand.NewPCG(8, 9)))
					}
					if err := s.Append(ctx, rows); err != nil {
						t.Error(err)
					}
					if _, err := s.RecordOutcomes(ctx, []predict.Outcome{ofPrediction(rows[0].ID, rng.IntN(2), i)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 2 {
			all.Go(func() {
				for range 20 {
					if _, _, err := s.MergeParts(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		insightstest.CheckSums(t, s)
	})
}

// A ledger of before there were sums is counted once, also where a search is repeated
// or outcomes come meanwhile.
func TestMigrateLedgerFromVersion14(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const rows = 300
	fromVersion(t, 14, func(t *testing.T, old *sql.DB) {
		for i := range rows {
			outcome := "NULL, NULL"
			if i%3 == 0 {
				outcome = fmt.Sprintf("%d, %d", i%2, micros(epoch)+5)
			}
			_, err := old.Exec(fmt.Sprintf(`
INSERT INTO predictions (id, created_at, features, score, label, model, schema, latency_us, outcome, outcome_at)
VALUES ('%04d', %d, '{}', %g, %d, 'm', 's', 1, %s)`, i, micros(epoch), float64(i)/rows, i%2, outcome))
			must(t, err)
		}
	}, func(t *testing.T, s *Line) {
		sums, err := s.Sums(ctx, "", epoch.Add(-48*time.Hour), epoch.Add(48*time.Hour))
		must(t, err)
		want(t, "sums at first", len(sums), 0)
		// The outcome of a prediction that is not counted is counted with it, and so is a
		// prediction of this version beside them.
		record(t, s, ofPrediction("0001", 1, 10), ofPrediction("0003", 0, 20))
		must(t, s.Append(ctx, []predict.Prediction{newPrediction("0100.5")}))
		page, err := s.Uncounted(ctx, 100)
		must(t, err)
		want(t, "page", []any{len(page), page[99].ID}, []any{100, "0099"})
		must(t, s.CountUncounted(ctx, page))
		record(t, s, ofPrediction("0002", 1, 10), ofPrediction("0006", 1, 30), ofPrediction("0205", 1, 30))
		must(t, s.CountUncounted(ctx, page)) // by another gateway that has read the same page
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for {
					page, err := s.Uncounted(ctx, 70)
					if err == nil && len(page) > 0 {
						err = s.CountUncounted(ctx, page)
					}
					if err != nil {
						t.Error(err)
					}
					if err != nil || len(page) == 0 {
						return
					}
				}
			})
		}
		all.Wait()
		predictions, outcomes := insightstest.CheckSums(t, s)
		want(t, "counted", []any{predictions, outcomes}, []any{rows + 1, rows/3 + 3})
		if text := plan(t, s, literal(uncountedSQL, s.id, 100)); !strings.Contains(text, "predictions_uncounted") {
			t.Errorf("the search does not use its index: %s", text)
		}
	})
}

func testProfiles(t *testing.T, open opener) {
	ctx := context.Background()
	s := open(t)
	p, h, err := s.Profile(ctx, "m")
	must(t, err)
	if p != nil || h != nil {
		t.Error("there is a profile at first")
	}
	model, p, err := s.NewestProfile(ctx)
	must(t, err)
	if p != nil || model != "" {
		t.Error("there is a newest profile at first")
	}
	r := 0.5
	first := &insights.Profile{Bins: insights.Bins{Schema: "s", Features: []insights.FeatureBins{{Name: "age", Ranges: [][2]float64{{1, 2.5}}}}},
		Rows: 7, Counts: ",,1;", Labelled: 9, Data: "sha", Correlations: []insights.Correlation{{Feature: "age", Correlation: &r}}}
	must(t, s.SaveProfile(ctx, "m", first, modelswap.Fence{}))
	held := &insights.Holdout{Rows: 3, Positives: 1, MeanScore: 0.25, Scores: ";1;", LogOdds: [][]float64{{0, 1.5}}}
	must(t, s.SaveHoldout(ctx, "m", held, modelswap.Fence{}))
	must(t, s.SaveHoldout(ctx, "another", held, modelswap.Fence{})) // made elsewhere
	p, h, err = s.Profile(ctx, "m")
	must(t, err)
	want(t, "profile", p, first)
	want(t, "holdout", h, held)
	s.now = func() time.Time { return time.Now().Add(time.Minute) }
	second := &insights.Profile{Rows: 8}
	must(t, s.SaveProfile(ctx, "n", second, modelswap.Fence{}))
	model, p, err = s.NewestProfile(ctx)
	must(t, err)
	want(t, "newest", []any{model, p.Rows}, []any{"n", int64(8)})
	must(t, s.SaveProfile(ctx, "m", second, modelswap.Fence{})) // the data was converted again
	p, h, err = s.Profile(ctx, "m")
	must(t, err)
	want(t, "again", p.Rows, int64(8))
	if h != nil {
		t.Error("the held-out rows are those of the earlier data")
	}
	must(t, s.InsertRenewal(ctx, newRenewal("r", modelswap.Queued, 0)))
	if err := s.SaveProfile(ctx, "m", first, modelswap.Fence{Renewal: "r", Revision: 99}); !errors.Is(err, modelswap.ErrStale) {
		t.Errorf("another claim saved a profile: %v", err)
	}
	if err := s.SaveHoldout(ctx, "m", held, modelswap.Fence{Renewal: "r", Revision: 99}); !errors.Is(err, modelswap.ErrStale) {
		t.Errorf("another claim saved held-out rows: %v", err)
	}
	must(t, s.SaveProfile(ctx, "m", first, modelswap.Fence{Renewal: "r", Revision: 1}))
	other, err := s.OpenLine(ctx, "other")
	must(t, err)
	if p, _, err := other.Profile(ctx, "m"); p != nil || err != nil {
		t.Errorf("another line has the profile: %v %v", p, err)
	}
}
