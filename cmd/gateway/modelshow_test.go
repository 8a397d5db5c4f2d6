package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

// described is a model with every figure, of 20 features.
func described() *modelswap.ModelReport {
	intercept, now := -1.25, time.Date(2026, 11, 23, 9, 44, 12, 0, time.UTC)
	f := &modelswap.Figures{
		Rows:        800,
		Label:       &modelswap.Classes{Name: "churn", Positive: []string{"yes", "1"}, Negative: []string{"no"}, PositiveRate: 0.25},
		Estimates:   &learn.Estimates{AUC: learn.Estimate{Value: 0.9, Low: 0.88, High: 0.92}, LogLoss: learn.Estimate{Value: 0.3}},
		Intercept:   &intercept,
		Curve:       []modelswap.CurvePoint{{Round: 1, LogLoss: 0.6}, {Round: 2, LogLoss: 0.4}, {Round: 3, LogLoss: 0.5}},
		Calibration: []learn.CalibrationBin{{From: 0.1, To: 0.2, Count: 80, MeanScore: 0.15, PositiveRate: 0.5}},
		Confusion:   &learn.Confusion{Threshold: 1.0 / 6, TruePositives: 150, FalsePositives: 90, TrueNegatives: 510, FalseNegatives: 50},
		Search: &learn.Search{Rows: 3200, Folds: 5, Chosen: learn.Blend, Calibration: learn.CalibrationLogistic, Why: "a reason",
			Candidates: []learn.Candidate{{Algorithm: learn.XGBoost, Hyperparameters: map[string]string{"eta": "0.1", "max_depth": "3"}, LogLoss: 0.31, AUC: 0.89},
				{Algorithm: learn.XGBoost, MeanOf: 2, LogLoss: 0.305, AUC: 0.9},
				{Algorithm: learn.LinearLearner, Problem: "takes no missing numbers"}},
			Mixtures: []learn.Mixture{{Algorithm: learn.Blend, Calibration: learn.CalibrationLogistic, LogLoss: 0.29}}},
		Compared:    &modelswap.Compared{Model: "before", Rows: 800, AUC: learn.Estimate{Value: 0.01, Low: -0.00001, High: 0.02}},
		LeftOut:     map[string]int{},
		Unavailable: map[string]string{"curve": "one reason", "search": "one reason", "compared": "another"},
	}
	for i := range 20 {
		name := fmt.Sprintf("f%02d", i)
		f.Importance = append(f.Importance, learn.Importance{Feature: name, AUC: 0.1, LogLoss: 0.2 - float64(i)/100})
		f.Contributions = append(f.Contributions, modelswap.Contribution{Feature: name, MeanAbsolute: 0.5 - float64(i)/50})
		f.Alone = append(f.Alone, learn.AloneAUC{Feature: name, AUC: 0.75})
		f.Coefficients = append([]modelswap.Coefficient{{Coefficient: learn.Coefficient{Column: name, Feature: name, Value: 2}, Unit: "per 1 €"}}, f.Coefficients...)
	}
	return &modelswap.ModelReport{
		Model: modelswap.Model{Name: "m", Renewal: "r", Algorithm: "blend", Schema: "7798ece4b83fa6cb", Rows: 3200, Parameters: map[string]string{"eta": "0.1"},
			CreatedAt: now, DeployedAt: &now, Serving: true, Metrics: &learn.Metrics{Rows: 800, Calibration: 0.0125}},
		Threshold: modelswap.Threshold{Value: 1.0 / 6, Source: modelswap.ThresholdOfCosts, Why: "the costs"},
		Figures:   f,
		Warnings:  []string{"AUC 1.0000:\n`f00` alone gives it"},
	}
}

func TestAModelForPeople(t *testing.T) {
	var out bytes.Buffer
	if err := (&modelView{out: &out, limit: fewShown}).show(described()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"model      m, serving since 2026-11-23 09:44:12 UTC\n",
		"made       2026-11-23 09:44:12 UTC from 3200 rows, by renewal r\n",
		"algorithm  blend eta=0.1\nschema     7798ece4b83f\n",
		"label      churn: yes, 1 is positive, 25.0 % of 800 held-out rows; no is negative\n",
		"threshold  0.1667 (the costs)\n",
		"How far features move scores\nFEATURE  MEAN LOG-ODDS\nf00      0.5000  ##############################\nf01      0.4800  #############################\n",
		"warning    AUC 1.0000: `f00` alone gives it\n",
		"AUC                0.9000  0.8800 to 0.9200\n",
		"calibration error  0.0125\n",
		"less before on the same rows: AUC +0.0100 (0.0000 to +0.0200)",
		"Decisions at the threshold 0.1667\n          PREDICTED 1  PREDICTED 0\nreally 1  150          50\nreally 0  90           510\n",
		"f00      0.1000    0.2000           0.7500  ##############################\n",
		"f10      0.1000    0.1000           0.7500  ###############\n",
		"… 5 more (--all, --json)\n",
		"(intercept -1.25)\nFEATURE  UNIT     LOG-ODDS  ODDS\nf00      per 1 €  +2        × 7.389\n", // of the most important feature
		"0.1 to 0.2  80    0.1500      0.5000  ###############\n",
		"Chosen: blend, calibration logistic: a reason (3200 training rows in 5 folds)\n",
		"xgboost                           0.3100    0.8900  eta=0.1 max_depth=3\n",
		"xgboost                           0.3050    0.9000  mean of the best 2\n",
		"linear-learner                    -         -       takes no missing numbers\n",
		"best blend, calibration logistic  0.2900\n",
		"ROUND  LOG LOSS\n1      0.6000  ##############################\n2      0.4000  lowest\n3      0.5000  ###############\n",
		"compared       another\ncurve, search  one reason\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "f15") {
		t.Error("more features than asked for")
	}
	out.Reset()
	if err := (&modelView{out: &out, limit: 1000}).show(described()); err != nil || !strings.Contains(out.String(), "f19") || strings.Contains(out.String(), "more (") {
		t.Errorf("with all features (%v):\n%s", err, out.String())
	}
}

// A model without figures is a head and the reason.
func TestAModelWithoutFiguresForPeople(t *testing.T) {
	m := described()
	m.Renewal, m.Metrics, m.Serving = "", nil, false
	m.Figures = &modelswap.Figures{Unavailable: map[string]string{"curve": "a reason"}}
	var out bytes.Buffer
	if err := (&modelView{out: &out, limit: fewShown}).show(m); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.HasSuffix(text, "\n\nNot available\ncurve  a reason\n") || !strings.Contains(text, "by renewal none of this gateway") || strings.Count(text, "\n\n") != 1 {
		t.Errorf("got:\n%s", text)
	}
}

// Where a model cannot be read, what features reach alone takes the place of their
// importance.
func TestFeaturesOfAModelThatCannotBeRead(t *testing.T) {
	m := described()
	m.Figures.Importance, m.Figures.Contributions, m.Figures.Coefficients = nil, nil, nil
	var out bytes.Buffer
	if err := (&modelView{out: &out, limit: fewShown}).show(m); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "What features reach alone\nFEATURE  AUC ALONE\nf00      0.7500  ###############\n") || !strings.Contains(text, "… 5 more") {
		t.Errorf("got:\n%s", text)
	}
}

func TestWarningOfAStep(t *testing.T) {
	now := time.Now()
	s := modelswap.Step{Name: modelswap.Evaluate, Status: modelswap.StepSucceeded, StartedAt: &now, Detail: map[string]any{"suspicious": "AUC 1.0000"}}
	if got := stepWarning(s); got != "" {
		t.Errorf("before the step has ended: %q", got)
	}
	s.FinishedAt = &now
	var out bytes.Buffer
	view := newRenewalView(&out)
	for range 2 {
		view.show(&modelswap.Renewal{Steps: []modelswap.Step{s}})
	}
	if strings.Count(out.String(), "\nwarning: AUC 1.0000\n") != 1 {
		t.Errorf("got:\n%s", out.String())
	}
}
