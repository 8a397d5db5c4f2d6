package schema_test

import (
	"math"
	"strings"
	"testing"
)

func TestThreshold(t *testing.T) {
	base := parse(t, small)
	if base.Threshold != 0 || base.Costs != nil || base.DecisionThreshold() != 0.5 {
		t.Errorf("without one: %v, decides at %v", base.Threshold, base.DecisionThreshold())
	}
	for text, want := range map[string]float64{
		"0.5": 0.5, "0.125": 0.125, "1e-3": 0.001,
		"{false_positive: 1, false_negative: 4}":         0.2,
		"{false_positive: 3, false_negative: 1}":         0.75,
		"{false_positive: 9, false_negative: 1}":         0.9,
		"{false_positive: 1e308, false_negative: 1e308}": 0.5,
		"{false_negative: 0.5, false_positive: 0.5}":     0.5,
	} {
		s := parse(t, small+"threshold: "+text+"\n")
		if s.Threshold != want || s.DecisionThreshold() != want {
			t.Errorf("%s is %v, want %v", text, s.Threshold, want)
		}
		if ofCosts := strings.HasPrefix(text, "{"); ofCosts != (s.Costs != nil) || ofCosts && math.Abs(s.Costs.FalseNegative/s.Costs.FalsePositive-(1-want)/want) > 1e-12 {
			t.Errorf("%s has costs %+v", text, s.Costs)
		}
		if s.Fingerprint() != base.Fingerprint() {
			t.Errorf("%s changes the fingerprint", text)
		}
	}
	for text, faults := range map[string]string{
		"0":                          "threshold must be above 0 and below 1, not 0",
		"1":                          "threshold must be above 0 and below 1, not 1",
		"50%":                        `threshold must be a finite number, not "50%"`,
		"[0.5]":                      "threshold must be a single value",
		"{}":                         "\"false_positive\" is missing\ns.yaml:9: \"false_negative\" is missing",
		"{fp: 1, false_negative: 1}": "unknown key \"fp\" in threshold\ns.yaml:9: \"false_positive\" is missing",
		"{false_positive: 0, false_negative: -1}":         "false_positive must be above 0, not 0\ns.yaml:9: false_negative must be above 0, not -1",
		"{false_positive: 1, false_negative: 1e300}":      "",
		"{false_positive: 1e-300, false_negative: 1e300}": "threshold: the costs are too far apart: their threshold is 0",
		"{false_positive: 1e300, false_negative: 1e-300}": "threshold: the costs are too far apart: their threshold is 1",
	} {
		if faults == "" {
			parse(t, small+"threshold: "+text+"\n")
			continue
		}
		wantFaults(t, small+"threshold: "+text+"\n", strings.Split("s.yaml:9: "+faults, "\n"))
	}
}
