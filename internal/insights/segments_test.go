package insights_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"gateway/internal/insights"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

const plansYAML = `
name: plans
id: id
label: {name: bought, positive: [1], negative: [0]}
features:
  - {name: plan, type: category, values: [free, pro, team]}
  - {name: visits, type: integer, min: 0, default: 3}
  - {name: region, type: category, values: [north, south]}
  - {name: income, type: number, personal: true}
`

// segmentsOf predicts n customers, of whom all answer, whose label follows their score,
// or with turned the opposite of their score where the plan is pro.
func segmentsOf(t *testing.T, n int, turned bool, o insights.Options) *insights.ModelQuality {
	t.Helper()
	plans, err := schema.Parse("plans.yaml", []byte(plansYAML))
	if err != nil {
		t.Fatal(err)
	}
	s := newSimulation(t, 6)
	s.memory.Profiles = map[string]*insights.Profile{"m": {Bins: insights.Bins{Schema: plans.Fingerprint(), Features: []insights.FeatureBins{
		{Name: "plan", Values: []string{"free", "pro", "team"}},
		{Name: "visits", Ranges: [][2]float64{{0, 3}, {4, 9}}, Default: 4},
		{Name: "region", Values: []string{"north", "south"}},
		{Name: "income", Personal: true},
	}}}}
	// The bins of each feature follow each other; those of values begin at "4", "3" is a
	// default and "-" is not counted.
	free, pro, team := "4", "5", "6"
	for i := range n {
		plan := []string{free, pro, team}[i%3]
		visits := []string{"3", "4", "5"}[s.rng.IntN(3)]
		region := []string{"4", "5"}[s.rng.IntN(2)]
		score := 1 / (1 + math.Exp(1-2*s.rng.NormFloat64()))
		p := &predict.Prediction{Model: "m", CreatedAt: epoch.Add(time.Duration(i) * 100 * time.Millisecond), Score: score, Bins: []byte(plan + visits + region + "-")}
		s.memory.Predict(p)
		chance := score
		if turned && plan == pro {
			chance = 1 - score
		}
		label := 0
		if s.rng.Float64() < chance {
			label = 1
		}
		s.memory.Report(insights.Outcome{Prediction: p, Label: label, Received: p.CreatedAt.Add(time.Hour)})
	}
	now := epoch.Add(10 * 24 * time.Hour)
	r := insights.NewReportsAt(plans, s.memory, models{{Name: "m", Serving: true}}, o, func() time.Time { return now })
	report, err := r.Quality(context.Background(), insights.Query{Segments: true})
	if err != nil {
		t.Fatal(err)
	}
	return &report.Models[0]
}

// Labels that are turned round for the customers of one plan: that plan is named first,
// what was measured falls, and what was estimated stays.
func TestTheSegmentThatChangedIsNamed(t *testing.T) {
	const n = 30_000 // so that p-values are 0
	set := insights.Options{Maturity: 24 * time.Hour}
	before, after := segmentsOf(t, n, false, set), segmentsOf(t, n, true, set)
	for _, v := range before.Segments.Values {
		if v.Differs {
			t.Errorf("%s %s differs, and nothing has changed: %+v", v.Feature, v.Label, v)
		}
	}
	rows := map[string]int64{}
	labels := map[string]bool{}
	for _, v := range after.Segments.Values {
		rows[v.Feature] += v.Outcomes
		labels[v.Feature+" "+v.Label] = true
		if v.Feature == "plan" && v.Label != "pro" && v.Differs {
			t.Errorf("%s differs: %+v", v.Label, v)
		}
	}
	if rows["plan"] != n || rows["visits"] != n || rows["region"] != n || rows["income"] != 0 {
		t.Errorf("outcomes by feature are %v, want all %d of each but the personal one", rows, n)
	}
	if !labels["visits 0 to 3"] || !labels["visits 4 to 9"] || len(labels) != 7 {
		t.Errorf("got the values %v", labels)
	}
	first := after.Segments.Values[0]
	if first.Feature != "plan" || first.Label != "pro" || !first.Differs || first.Outcomes != n/3 || first.Low > first.PositiveRate || first.PositiveRate < first.MeanScore+.1 {
		t.Errorf("the first is %+v", first)
	}
	if d := *after.Estimated.AUC - *before.Estimated.AUC; math.Abs(d) > 1e-9 || after.AUC.High > before.AUC.Low {
		t.Errorf("estimated AUC %.4f and %.4f, measured %+v and %+v", *before.Estimated.AUC, *after.Estimated.AUC, before.AUC, after.AUC)
	}
}

func TestSegmentsAreUnavailable(t *testing.T) {
	no := 0
	m := segmentsOf(t, 100, false, insights.Options{Maturity: 24 * time.Hour, Default: &no})
	if !strings.Contains(m.Segments.Unavailable, "GATEWAY_OUTCOME_DEFAULT") || len(m.Segments.Values) > 0 {
		t.Errorf("with a default got %+v", m.Segments)
	}
	if m = segmentsOf(t, 100, false, insights.Options{Maturity: 20 * 24 * time.Hour}); len(m.Segments.Values) > 0 || m.Segments.Unavailable != "" {
		t.Errorf("before they are mature got %+v", m.Segments)
	}
	s := newSimulation(t, 7)
	s.day(10)
	r := insights.NewReportsAt(schema.Bank(), s.memory, models{{Name: "m", Serving: true}}, insights.Options{}, func() time.Time { return s.now })
	for model, want := range map[string]bool{"": true, "m": true} {
		report, err := r.Quality(context.Background(), insights.Query{Model: model, Segments: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Models[0].Segments; (got != nil) != want || !strings.Contains(got.Unavailable, "no bins") {
			t.Errorf("model %q: got %+v", model, got)
		}
	}
	report, err := r.Quality(context.Background(), insights.Query{})
	if err != nil || report.Models[0].Segments != nil {
		t.Errorf("not asked for: got %+v (%v)", report.Models[0].Segments, err)
	}
}
