package modelswap_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// twoFeatures has customers of whom x tells the label in nine of ten cases, and job
// nothing; if leak, job tells it always.
func twoFeatures(t *testing.T, more string, leak bool) *bundle {
	t.Helper()
	s, err := schema.Parse("two.yaml", []byte(`{name: two, id: id, label: {name: bought, positive: ["yes", 1], negative: ["no", 0]}, `+more+`
		features: [{name: x, type: number, format: "1,234.56 €"}, {name: job, type: category, values: [a, b]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var customers []predict.Customer
	for i := range 2000 {
		label := i % 2
		x, job := label, i/2%2
		if i%20 < 2 {
			x = 1 - label
		}
		if leak {
			job = label
		}
		customers = append(customers, predict.Customer{ID: fmt.Sprint(i), Label: &label,
			Features: fmt.Appendf(nil, `{"x":%d,"job":%q}`, x, "ab"[job:job+1])})
	}
	b := &bundle{Backend: modelswaptest.New(s, customers), gate: "auc:-0.005"}
	b.Score = func(_ string, row schema.Vector) float64 {
		if leak {
			return 0.1 + 0.8*row[2] // job is b
		}
		return 0.2 + 0.6*row[0]
	}
	return b
}

// report renews the model and returns its report.
func (b *bundle) report(t *testing.T) (*modelswap.Renewal, *modelswap.ModelReport) {
	t.Helper()
	r := b.renew(t, modelswap.TriggerRequest{})
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	report, err := b.engine.ModelReport(t.Context(), *r.Model)
	if err != nil {
		t.Fatal(err)
	}
	return r, report
}

func TestTheFiguresOfAModel(t *testing.T) {
	b := twoFeatures(t, "threshold: {false_positive: 9, false_negative: 1},", false)
	intercept := -2.5
	b.Learned = modelswap.LearnedFigures{
		Figures: &learn.Figures{Importance: []learn.Importance{{Feature: "x", AUC: 0.4, LogLoss: 0.3}}, Intercept: &intercept, Curve: []float64{0.6, 0.5, 0.55},
			Coefficients: []learn.Coefficient{{Column: "x", Feature: "x", Value: 3}, {Column: "job=a", Feature: "job"}, {Column: "job=b", Feature: "job"}}},
		Search: &learn.Search{Chosen: learn.Blend, Why: "a reason", Curve: []float64{0.6}},
	}
	var err error
	if b.Learned.Model, err = learn.NewLinear([]string{"x", "job=a", "job=b"}, learn.Linear{Coefficients: []float64{2, -0.25, 0.5}, Means: []float64{0.5, 0, 0}}); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	_, report := b.report(t)
	f := report.Figures
	// x is 0 or 1, and moves the log-odds by 1 either way; job by 0.25 or 0.5.
	if c := f.Contributions; len(c) != 2 || c[0].Feature != "x" || math.Abs(c[0].MeanAbsolute-1) > 1e-9 || c[1].Feature != "job" || !(c[1].MeanAbsolute > 0.3 && c[1].MeanAbsolute < 0.45) {
		t.Errorf("got contributions %+v", c)
	}
	if f.Rows != f.Confusion.FalsePositives+f.Confusion.TrueNegatives+f.Confusion.TruePositives+f.Confusion.FalseNegatives || f.Rows < 100 {
		t.Errorf("%d rows, confusion %+v", f.Rows, f.Confusion)
	}
	// All score below 0.9, so none is predicted positive.
	if c := f.Confusion; c.Threshold != 0.9 || c.TruePositives != 0 || c.FalsePositives != 0 {
		t.Errorf("got confusion %+v, want that at 0.9", c)
	}
	if e := f.Estimates; e.AUC.Value != report.Metrics.AUC || e.Accuracy.Value != report.Metrics.Accuracy || e.Precision != nil || !(e.LogLoss.Low < e.LogLoss.Value && e.LogLoss.Value < e.LogLoss.High) {
		t.Errorf("got estimates %+v, metrics %+v", e, report.Metrics)
	}
	if bins := f.Calibration; len(bins) != 2 || bins[0].Count+bins[1].Count != f.Rows {
		t.Errorf("got calibration %+v", bins)
	}
	if l := f.Label; l.Name != "bought" || !slices.Equal(l.Positive, []string{"yes", "1"}) || !slices.Equal(l.Negative, []string{"no", "0"}) || l.PositiveRate != report.Metrics.PositiveRate {
		t.Errorf("got label %+v", l)
	}
	if a := f.Alone; len(a) != 2 || a[0].Feature != "x" || a[0].AUC < 0.8 || a[1].AUC > 0.6 {
		t.Errorf("got %+v alone, want x above, job below", a)
	}
	want := []modelswap.Coefficient{{Coefficient: learn.Coefficient{Column: "x", Feature: "x", Value: 3}, Unit: "per 1 €"},
		{Coefficient: learn.Coefficient{Column: "job=a", Feature: "job"}, Unit: "if a"}, {Coefficient: learn.Coefficient{Column: "job=b", Feature: "job"}, Unit: "if b"}}
	if diff := cmp.Diff(want, f.Coefficients); diff != "" || *f.Intercept != intercept {
		t.Errorf("coefficients differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]modelswap.CurvePoint{{Round: 1, LogLoss: 0.6}, {Round: 2, LogLoss: 0.5}, {Round: 3, LogLoss: 0.55}}, f.Curve); diff != "" {
		t.Errorf("the curve differs (-want +got):\n%s", diff)
	}
	if f.Search.Why != "a reason" || f.Search.Curve != nil || b.Learned.Search.Curve == nil {
		t.Errorf("got search %+v, want it without its curve", f.Search)
	}
	if diff := cmp.Diff(map[string]string{"compared": "no champion was evaluated on the same rows"}, f.Unavailable); diff != "" {
		t.Errorf("unavailable differs (-want +got):\n%s", diff)
	}
	if f.Suspicion != nil || len(report.Warnings) > 0 {
		t.Errorf("got suspicion %+v, warnings %q, want none", f.Suspicion, report.Warnings)
	}
	if th := report.Threshold; th.Value != 0.9 || th.Source != modelswap.ThresholdOfCosts || th.Costs.FalsePositive != 9 || !strings.Contains(th.Why, "9 / (9 + 1)") {
		t.Errorf("got threshold %+v", th)
	}
}

// A model is compared with the champion on the same rows, as the gate does.
func TestTheFiguresHaveTheComparisonWithTheChampion(t *testing.T) {
	b := twoFeatures(t, "", false)
	good := b.Score
	b.start(t)
	first, _ := b.report(t)
	b.Score = func(name string, row schema.Vector) float64 {
		if name == *first.Model {
			return good(name, row)/2 + 0.25 // the same order, drawn to the middle
		}
		return good(name, row)
	}
	_, report := b.report(t)
	c := report.Figures.Compared
	if c == nil || c.Model != *first.Model || c.Rows != report.Figures.Rows || c.AUC.Value != 0 || !(c.LogLoss.High < 0) {
		t.Errorf("got %+v, want no difference in AUC and a lower log loss", c)
	}
}

// If the gateway cannot read a model's artifact, the figures have those computed from
// its scores, and the reason why the others are null.
func TestTheFiguresOfAModelThatCannotBeRead(t *testing.T) {
	b := twoFeatures(t, "", false)
	b.Learned = modelswap.LearnedFigures{Why: "it is elsewhere"}
	b.start(t)
	_, report := b.report(t)
	f := report.Figures
	if f.Estimates == nil || f.Confusion == nil || f.Calibration == nil || f.Alone == nil || f.Importance != nil || f.Coefficients != nil {
		t.Errorf("got %+v", f)
	}
	for _, name := range []string{"importance", "contributions", "coefficients", "curve"} {
		if f.Unavailable[name] != "it is elsewhere" {
			t.Errorf("%s is unavailable because %q", name, f.Unavailable[name])
		}
	}
	if f.Unavailable["search"] == "" {
		t.Error("there is no reason for there being no search")
	}
}

// A model whose AUC one feature gives alone is reported, and deployed all the same.
func TestASuspiciousModelIsReported(t *testing.T) {
	b := twoFeatures(t, "", true)
	b.start(t)
	r, report := b.report(t)
	const want = "AUC 1.0000: `job` alone gives it; it may have been written after the outcome, or be the label in other words"
	if got := r.Step(modelswap.Evaluate).Detail["suspicious"]; got != want {
		t.Errorf("the step says %v, want %q", got, want)
	}
	if s := report.Figures.Suspicion; s == nil || s.AUC != 1 || len(s.Features) != 1 || s.Features[0] != (learn.AloneAUC{Feature: "job", AUC: 1}) {
		t.Errorf("got suspicion %+v", s)
	}
	if !slices.Equal(report.Warnings, []string{want}) {
		t.Errorf("got warnings %q", report.Warnings)
	}
	b.Score = func(_ string, row schema.Vector) float64 { return 0.2 + 0.6*row[0] } // it goes by x instead
	b.gate = "off"
	b.start(t)
	if r, report := b.report(t); report.Figures.Suspicion != nil || r.Step(modelswap.Evaluate).Detail["suspicious"] != nil {
		t.Errorf("a model with an AUC of %v is suspicious: %+v", report.Metrics.AUC, report.Figures.Suspicion)
	}
	many := &modelswap.Suspicion{AUC: 0.9995, Features: []learn.AloneAUC{{Feature: "a"}, {Feature: "b"}, {Feature: "c"}, {Feature: "d"}, {Feature: "e"}}}
	if got := many.String(); !strings.HasPrefix(got, "AUC 0.9995: `a` or `b` or `c` or one of 2 others alone gives it;") {
		t.Errorf("several features: %s", got)
	}
}

// The report warns of what has changed since the figures were computed.
func TestTheReportWarns(t *testing.T) {
	b := twoFeatures(t, "threshold: 0.25,", false)
	b.start(t)
	r, report := b.report(t)
	if th := report.Threshold; th.Value != 0.25 || th.Source != modelswap.ThresholdSet || th.Costs != nil || len(report.Warnings) > 0 {
		t.Errorf("got threshold %+v, warnings %q", th, report.Warnings)
	}
	var err error
	if b.Schema, err = schema.Parse("two.yaml", []byte(`{name: two, id: id, label: {name: bought, positive: ["no", 0], negative: ["yes", 1]},
		features: [{name: x, type: number}, {name: job, type: category, values: [a, b]}]}`)); err != nil {
		t.Fatal(err)
	}
	b.start(t) // beside the first engine
	report, err = b.engine.ModelReport(t.Context(), *r.Model)
	if err != nil {
		t.Fatal(err)
	}
	if report.Threshold.Source != modelswap.ThresholdDefault || report.Threshold.Value != 0.5 {
		t.Errorf("got threshold %+v", report.Threshold)
	}
	want := []string{
		"model " + *r.Model + ` scores bought = "yes", and in the schema "no" is positive now: scores and stored labels are those of the other class; import the customers again, and start a renewal with --force`,
		"the threshold is 0.5 now; confusion, accuracy, precision and recall are those at 0.25, until the next renewal",
	}
	if diff := cmp.Diff(want, report.Warnings); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
	turned, err := b.engine.TurnedLabel(t.Context())
	if err != nil || turned != want[0] {
		t.Errorf("the engine says %q (%v)", turned, err)
	}
	now := time.Now()
	b.Serve(modelswap.Model{Name: "newer", CreatedAt: now, Schema: b.Schema.Fingerprint()})
	if err := b.MarkServing(t.Context(), "newer", now); err != nil {
		t.Fatal(err)
	}
	if turned, err = b.engine.TurnedLabel(t.Context()); err != nil || turned != "" {
		t.Errorf("of a model without figures the engine says %q (%v)", turned, err)
	}
}

func TestReportsOfModelsWithoutFigures(t *testing.T) {
	b := setup(t)
	b.start(t)
	now := time.Now()
	metrics := &learn.Metrics{Rows: 12, PositiveRate: 0.25}
	b.Serve(modelswap.Model{Name: "foreign", CreatedAt: now, Schema: b.Schema.Fingerprint()})
	b.Serve(modelswap.Model{Name: "old", Renewal: "r", CreatedAt: now, Schema: b.Schema.Fingerprint(), Metrics: metrics})
	b.Serve(modelswap.Model{Name: "new", Renewal: "r", CreatedAt: now, Schema: "another"})
	for name, want := range map[string]struct{ reason, warning string }{
		"foreign": {"made elsewhere", ""},
		"old":     {"an earlier version", "12 held-out rows, 3 of them positive, are too few for a judgement"},
		"new":     {"has not been evaluated", fmt.Sprintf("the model was made for schema another, the gateway has %.12s", b.Schema.Fingerprint())},
	} {
		report, err := b.engine.ModelReport(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Figures.Unavailable; len(got) != 11 || !strings.Contains(got["confusion"], want.reason) {
			t.Errorf("%s: unavailable are %v, want %q", name, got, want.reason)
		}
		if got := strings.Join(report.Warnings, "; "); got != want.warning {
			t.Errorf("%s: got warnings %q, want %q", name, got, want.warning)
		}
		if report.Serving != (name == "new") {
			t.Errorf("%s: serving is %v", name, report.Serving)
		}
	}
	if _, err := b.engine.ModelReport(t.Context(), "none"); !isKind(err, failure.NotFound) || !strings.Contains(err.Error(), `no model "none"`) {
		t.Errorf("an unknown model: %v", err)
	}
}

// However wide the data, the figures stay small.
func TestFiguresAreBounded(t *testing.T) {
	var features strings.Builder
	learned := &learn.Figures{Intercept: new(float64)}
	for i := range 1500 {
		fmt.Fprintf(&features, "  - {name: f%d, type: number}\n", i)
		name := fmt.Sprintf("f%d", i)
		learned.Coefficients = append(learned.Coefficients, learn.Coefficient{Column: name, Feature: name})
		learned.Importance = append(learned.Importance, learn.Importance{Feature: fmt.Sprintf("f%d", 1499-i)}) // the last is the most important
	}
	for i := range 5000 {
		learned.Curve = append(learned.Curve, 1/float64(i+1))
	}
	learned.Curve[1234] = 0
	s, err := schema.Parse("wide.yaml", []byte("name: wide\nid: id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n"+features.String()))
	if err != nil {
		t.Fatal(err)
	}
	var customers []predict.Customer
	for i := range 300 {
		label := i % 2
		row := map[string]float64{}
		for j := range 1500 {
			row[fmt.Sprintf("f%d", j)] = float64(i * j % 7)
		}
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		customers = append(customers, predict.Customer{ID: fmt.Sprint(i), Label: &label, Features: text})
	}
	b := &bundle{Backend: modelswaptest.New(s, customers), gate: "off"}
	b.Learned = modelswap.LearnedFigures{Figures: learned}
	b.start(t)
	_, report := b.report(t)
	f := report.Figures
	if len(f.Coefficients) != 1000 || f.Coefficients[0].Column != "f500" || f.Coefficients[999].Column != "f1499" {
		t.Errorf("got %d coefficients from %s on, want those of the 1000 most important features in their order", len(f.Coefficients), f.Coefficients[0].Column)
	}
	if len(f.Importance) != 500 || len(f.Alone) > 500 || len(f.Curve) > 202 {
		t.Errorf("got the importance of %d features, %d alone, a curve of %d points", len(f.Importance), len(f.Alone), len(f.Curve))
	}
	if want := map[string]int{"coefficients": 500, "importance": 1000, "alone": 1000}; f.Alone != nil && cmp.Diff(want, f.LeftOut) != "" {
		t.Errorf("left out are %v, want %v", f.LeftOut, want)
	}
	if !slices.Contains(f.Curve, modelswap.CurvePoint{Round: 1235}) || f.Curve[len(f.Curve)-1].Round != 5000 {
		t.Error("the curve lacks its lowest or its last point")
	}
}
