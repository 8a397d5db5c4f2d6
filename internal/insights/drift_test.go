package insights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/insights"
	"gateway/internal/insights/insightstest"
	"gateway/internal/insights/stats"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

const driftYAML = `
name: shop
id: id
label: {name: bought, positive: [1], negative: [0]}
features:
  - {name: visits, type: integer, min: 0, max: 1000}
  - {name: plan, type: category, values: [free, pro, team, trial], unknown: free}
  - {name: income, type: number, missing: allow}
  - {name: noise, type: number, default: 0.5}
  - {name: secret, type: number, personal: true}
`

// shop is a model of the schema above with a profile, and a stream of its customers.
type shop struct {
	t       *testing.T
	rng     *rand.Rand
	schema  *schema.Schema
	memory  *insightstest.Memory
	binner  *insights.Binner
	now     time.Time
	visits  float64 // mean
	plan    func() string
	income  func() string
	noNoise bool
}

func newShop(t *testing.T, seed uint64) *shop {
	t.Helper()
	s, err := schema.Parse("shop.yaml", []byte(driftYAML))
	if err != nil {
		t.Fatal(err)
	}
	x := &shop{t: t, rng: rand.New(rand.NewPCG(seed, 5)), schema: s, now: epoch.Add(48 * time.Hour), visits: 100, memory: &insightstest.Memory{}}
	x.plan = func() string {
		if x.rng.IntN(125) == 0 {
			return "trial"
		}
		return []string{"free", "pro", "team"}[x.rng.IntN(3)]
	}
	x.income = func() string { return fmt.Sprint(1000 * x.rng.ExpFloat64()) }
	p := insights.NewProfiler(s)
	var rows []schema.Vector
	var scores, labels []float64
	for i := range 5000 {
		r := x.record()
		label := x.rng.IntN(2)
		row := insights.Row{Train: i%5 > 0, CSV: schema.AppendTrainingCSV(nil, label, s.Encode(r))}
		if err := p.Add(row); err != nil {
			t.Fatal(err)
		}
		if !row.Train {
			rows, scores, labels = append(rows, s.Encode(r)), append(scores, x.score(r)), append(labels, float64(label))
		}
	}
	profile := p.Profile("sha")
	x.memory.Profiles = map[string]*insights.Profile{"m": profile}
	x.memory.Holdouts = map[string]*insights.Holdout{"m": insights.NewHoldout(s, &profile.Bins, rows, scores, labels, .5)}
	x.binner = insights.NewBinner(s, x.memory)
	if err := x.binner.Fill(t.Context(), []predict.Prediction{{Model: "m", Schema: s.Fingerprint(), Features: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *shop) record() schema.Record {
	noise := fmt.Sprintf(`"noise":%v,`, x.rng.Float64())
	if x.noNoise {
		noise = ""
	}
	text := fmt.Sprintf(`{"visits":%d,"plan":%q,"income":%s,%s"secret":%v}`,
		int(max(0, min(1000, x.visits+20*x.rng.NormFloat64()))), x.plan(), x.income(), noise, x.rng.Float64())
	r, err := x.schema.DecodeStored([]byte(text), func(feature int, code string) { x.t.Fatalf("%s: feature %d: %s", text, feature, code) })
	if err != nil {
		x.t.Fatal(err)
	}
	if missing := x.schema.Complete(r, ""); len(missing) > 0 {
		x.t.Fatal(missing)
	}
	return r
}

// score depends on visits alone.
func (x *shop) score(r schema.Record) float64 { return 1 / (1 + math.Exp(-(r.Value(0)-100)/20)) }

func (x *shop) predict(n int) {
	for range n {
		r := x.record()
		p := &predict.Prediction{Model: "m", CreatedAt: x.now.Add(-time.Duration(x.rng.Int64N(int64(24 * time.Hour)))), Score: x.score(r)}
		p.Bins = x.binner.AppendBins(nil, "m", r)
		x.memory.Predict(p)
	}
}

func (x *shop) drift(q insights.Query) *insights.DriftReport {
	x.t.Helper()
	r := insights.NewReportsAt(x.schema, x.memory, models{{Name: "m", Serving: true}, {Name: "adopted"}}, insights.Options{}, func() time.Time { return x.now })
	report, err := r.Drift(context.Background(), q)
	if err != nil {
		x.t.Fatal(err)
	}
	return report
}

func drifted(r *insights.DriftReport) (names []string) {
	for _, f := range r.Features {
		if f.Drifted {
			names = append(names, f.Feature)
		}
	}
	return names
}

func TestDrift(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(x *shop)
		want   []string
		check  func(t *testing.T, f insights.FeatureDrift) // of the first feature
	}{
		"nothing changed": {func(*shop) {}, nil, func(*testing.T, insights.FeatureDrift) {}},
		"a shift of half a standard deviation": {func(x *shop) { x.visits = 110 }, []string{"visits"}, func(t *testing.T, f insights.FeatureDrift) {
			if *f.ShareOfScoreShift < .8 {
				t.Errorf("its share of the score's shift is %v", *f.ShareOfScoreShift)
			}
		}},
		"an unlisted category": {func(x *shop) {
			x.plan = func() string { return []string{"free", "pro", "team", "gold"}[x.rng.IntN(4)] }
		}, []string{"plan"}, func(t *testing.T, f insights.FeatureDrift) {
			if *f.Unseen.Reference != 0 || math.Abs(*f.Unseen.Live-.25) > .05 {
				t.Errorf("unseen %v, %v live", *f.Unseen.Reference, *f.Unseen.Live)
			}
			if !slices.ContainsFunc(f.Bins, func(b insights.DriftBin) bool { return b.Label == "unseen" && *b.Live > .2 }) {
				t.Errorf("no bin of it: %+v", f.Bins)
			}
		}},
		"a little of an unlisted category, beside a rare one": {func(x *shop) {
			plan := x.plan
			x.plan = func() string {
				if x.rng.IntN(50) == 0 {
					return "gold"
				}
				return plan()
			}
		}, []string{"plan"}, func(*testing.T, insights.FeatureDrift) {}},
		"a feature goes missing": {func(x *shop) {
			income := x.income
			x.income = func() string { return []string{"null", income()}[x.rng.IntN(2)] }
		}, []string{"income"}, func(t *testing.T, f insights.FeatureDrift) {
			if *f.Missing.Reference != 0 || math.Abs(*f.Missing.Live-.5) > .05 {
				t.Errorf("missing %v, %v live", *f.Missing.Reference, *f.Missing.Live)
			}
		}},
		"a default takes its place": {func(x *shop) { x.noNoise = true }, []string{"noise"}, func(t *testing.T, f insights.FeatureDrift) {
			if *f.Missing.Live != 1 || slices.ContainsFunc(f.Bins, func(b insights.DriftBin) bool { return b.Label == "missing" }) {
				t.Errorf("missing %v live; bins %+v", *f.Missing.Live, f.Bins)
			}
		}},
		"numbers beyond the training data": {func(x *shop) { x.visits = 900 }, []string{"visits"}, func(t *testing.T, f insights.FeatureDrift) {
			if *f.OutOfRange.Live != 1 || *f.OutOfRange.Reference != 0 {
				t.Errorf("out of range: %v live", *f.OutOfRange.Live)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newShop(t, 1)
			tt.change(x)
			x.predict(1000)
			r := x.drift(insights.Query{})
			if got := drifted(r); strings.Join(got, " ") != strings.Join(tt.want, " ") || r.Alarm != (len(tt.want) > 0) {
				t.Fatalf("%v drifted, want %v; alarm %v", got, tt.want, r.Alarm)
			}
			if r.Reference.Rows != 4000 || r.Window.Rows != 1000 || len(r.Features) != 5 {
				t.Errorf("%+v %+v, %d features", r.Reference, r.Window, len(r.Features))
			}
			tt.check(t, r.Features[0])
			if last := r.Features[4]; last.Feature != "secret" || last.PSI != nil || last.Insufficient == "" || len(last.Bins) > 0 {
				t.Errorf("the personal feature is %+v", last)
			}
			for _, f := range r.Features[:4] {
				var reference, live float64
				for _, b := range f.Bins {
					reference, live = reference+*b.Reference, live+*b.Live
				}
				if math.Abs(reference-1) > 1e-9 || math.Abs(live-1) > 1e-9 {
					t.Errorf("%s: the shares add up to %v and %v", f.Feature, reference, live)
				}
			}
			if r.Score.Mean.Live == nil || math.Abs(*r.Score.Mean.Reference-.5) > .05 || len(r.Score.Bins) < 8 {
				t.Errorf("the score is %+v", r.Score)
			}
		})
	}
}

func TestDriftNeedsRowsAndAProfile(t *testing.T) {
	x := newShop(t, 2)
	x.visits = 500
	x.predict(199)
	r := x.drift(insights.Query{})
	if r.Alarm || r.Features[0].PSI != nil || r.Features[0].Insufficient == "" || r.Score.PSI != nil || r.Features[0].Bins[0].Live == nil {
		t.Errorf("199 rows: %+v", r.Features[0])
	}
	x.predict(1)
	if r := x.drift(insights.Query{}); !r.Alarm {
		t.Error("200 rows raise no alarm")
	}
	x.memory.Predict(&predict.Prediction{Model: "adopted", CreatedAt: x.now.Add(-time.Hour), Score: .5})
	if r := x.drift(insights.Query{Model: "adopted"}); r.Unavailable == "" || r.Alarm || r.Window.Rows != 1 || len(r.Series) != 1 {
		t.Errorf("a model without a profile: %+v", r)
	}
	series := x.drift(insights.Query{From: x.now.Add(-time.Hour), Bucket: insights.Hour}).Series
	if len(series) == 0 || series[0].Rows == 0 {
		t.Fatalf("the series is %+v", series)
	}
	x.predict(1000)
	series = x.drift(insights.Query{From: x.now.Add(-24 * time.Hour), Bucket: insights.Day}).Series
	p := series[len(series)-1]
	if len(p.PSI) == 0 || len(p.PSI) != len(p.Thresholds) || p.ScoreThreshold == nil || *p.ScoreThreshold < stats.MinDriftPSI {
		t.Errorf("a bucket of %d rows is %+v", p.Rows, p)
	}
	for feature, threshold := range p.Thresholds {
		if threshold < stats.MinDriftPSI {
			t.Errorf("the threshold of %s is %g", feature, threshold)
		}
	}
}

// What is asked is compared with the week before: a change that training data does not
// know is found in the week in which it happens, and not in the next one.
func TestDriftAgainstTheWeekBefore(t *testing.T) {
	x := newShop(t, 3)
	x.visits = 120 // other than in training from the start
	day := func() {
		x.now = x.now.Add(24 * time.Hour)
		x.predict(200)
	}
	for range 14 {
		day()
	}
	against := func(q insights.Query) *insights.DriftReport {
		q.Against = insights.AgainstWeek
		return x.drift(q)
	}
	if r := x.drift(insights.Query{}); strings.Join(drifted(r), " ") != "visits" || r.Reference.Against != insights.AgainstTraining || r.Reference.From != nil {
		t.Errorf("%v drifted from the training data; %+v", drifted(r), r.Reference)
	}
	r := against(insights.Query{})
	// The day in which the window begins counts as a whole, and in the window alone.
	if r.Alarm || r.Reference.Against != insights.AgainstWeek || r.Reference.Rows+r.Window.Rows != 14*200 || r.Window.Rows < 7*200 || r.Window.Rows > 8*200 ||
		!r.Reference.To.Equal(r.Window.From) || r.Window.From.Sub(*r.Reference.From) != 7*24*time.Hour {
		t.Errorf("nothing changed: %v drifted, %+v %+v", drifted(r), r.Reference, r.Window)
	}
	x.visits = 100 // as in training
	for range 7 {
		day()
	}
	r = against(insights.Query{})
	if strings.Join(drifted(r), " ") != "visits" || *r.Features[0].ShareOfScoreShift < .8 || !r.Score.Drifted || *r.Score.Mean.Live >= *r.Score.Mean.Reference {
		t.Errorf("%v drifted from the week before; the score %+v", drifted(r), r.Score.Mean)
	}
	if at := r.Series[0]; len(at.PSI) > 0 && at.Score == nil {
		t.Errorf("the series begins with %+v", at)
	}
	for range 8 {
		day()
	}
	if r := against(insights.Query{}); r.Alarm {
		t.Errorf("two weeks later %v drifted", drifted(r))
	}
	if r := against(insights.Query{From: x.now.Add(-100 * 24 * time.Hour)}); r.Alarm || r.Reference.Rows != 0 || r.Features[0].Insufficient == "" || r.Score.Insufficient == "" || len(r.Score.Bins) != 1 {
		t.Errorf("without predictions before: %+v %+v", r.Reference, r.Score)
	}
}

// A model without bins has the drift of its score, against the week before.
func TestScoreOfAModelWithoutBinsAgainstTheWeekBefore(t *testing.T) {
	x := newShop(t, 4)
	add := func(age time.Duration, score float64) {
		x.memory.Predict(&predict.Prediction{Model: "adopted", CreatedAt: x.now.Add(-age), Score: score})
	}
	for i := range 300 {
		add(10*24*time.Hour, float64(i)/300)
		add(2*24*time.Hour, float64(i)/600)
	}
	r := x.drift(insights.Query{Model: "adopted", Against: insights.AgainstWeek})
	if !r.Alarm || !r.Score.Drifted || r.Unavailable != "" || len(r.Features) != 0 || math.Abs(*r.Score.Mean.Live-.25) > .01 || math.Abs(*r.Score.Mean.Reference-.5) > .01 {
		t.Errorf("%+v", r)
	}
}

// Two features always have the same value, and the model goes by one of them. Only
// contributions tell which.
func TestTheShareOfTheShiftIsThatOfTheFeatureTheModelGoesBy(t *testing.T) {
	s, err := schema.Parse("twins.yaml", []byte("name: twins\nid: id\nlabel: {name: y, positive: [1], negative: [0]}\n"+
		"features: [{name: a, type: number}, {name: b, type: number}, {name: secret, type: number, personal: true}]"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 7))
	profiler, memory := insights.NewProfiler(s), &insightstest.Memory{}
	var rows []schema.Vector
	var at []int
	var scores, labels []float64
	var contributions [][]float64
	for i := range 3000 {
		z := rng.NormFloat64()
		row := schema.Vector{z, z, 1}
		if err := profiler.Add(insights.Row{Train: true, CSV: schema.AppendTrainingCSV(nil, i%2, row)}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // some are explained
			at, contributions = append(at, i), append(contributions, []float64{7, z - 3, 0.25})
		}
		rows, scores, labels = append(rows, row), append(scores, 1/(1+math.Exp(-z))), append(labels, float64(i%2))
	}
	profile := profiler.Profile("sha")
	held := insights.NewHoldout(s, &profile.Bins, rows, scores, labels, .5)
	memory.Profiles, memory.Holdouts = map[string]*insights.Profile{"m": profile}, map[string]*insights.Holdout{"m": held}
	binner := insights.NewBinner(s, memory)
	p := []predict.Prediction{{Model: "m", Schema: s.Fingerprint(), CreatedAt: epoch, Score: .7, Features: []byte(`{"a":1,"b":1,"secret":1}`)}}
	if err := binner.Fill(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		memory.Predict(&p[0])
	}
	shares := func() (out []insights.FeatureDrift) {
		t.Helper()
		r, err := insights.NewReportsAt(s, memory, models{{Name: "m", Serving: true}}, insights.Options{}, func() time.Time { return epoch.Add(time.Hour) }).Drift(t.Context(), insights.Query{})
		if err != nil || len(r.Features) != 3 || !r.Features[0].Drifted || !r.Features[1].Drifted {
			t.Fatalf("%+v (%v)", r, err)
		}
		return r.Features
	}
	if f := shares(); math.Abs(*f[0].ShareOfScoreShift-.5) > 1e-9 || f[0].MeanContribution != nil {
		t.Errorf("not explained: %+v", f[0])
	}
	held.Explain(s, &profile.Bins, rows, nil, nil)
	if f := shares(); f[0].MeanContribution != nil {
		t.Error("no row was explained, and there is a mean contribution")
	}
	held.Explain(s, &profile.Bins, rows, at, contributions)
	f := shares()
	// The mean of |z − 3| is 3.0004.
	near := func(x *float64, want, by float64) bool { return x != nil && math.Abs(*x-want) <= by }
	if f[0].Feature != "b" || !near(f[0].ShareOfScoreShift, 1, 1e-9) || !near(f[1].ShareOfScoreShift, 0, 1e-9) {
		t.Errorf("explained: the shares are %s %v and %v", f[0].Feature, *f[0].ShareOfScoreShift, *f[1].ShareOfScoreShift)
	}
	if !near(f[0].MeanContribution, 3, .1) || !near(f[1].MeanContribution, 7, 1e-9) || !near(f[2].MeanContribution, .25, 1e-9) {
		t.Errorf("explained: the mean contributions are %v, %v and %v", *f[0].MeanContribution, *f[1].MeanContribution, *f[2].MeanContribution)
	}
}
