package modelswap_test

import (
	"strings"
	"testing"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

func TestGate(t *testing.T) {
	good := &learn.Metrics{AUC: 0.90, LogLoss: 0.20, Accuracy: 0.88, F1: 0.5, Rows: 1000, PositiveRate: 0.1}
	with := func(change func(*learn.Metrics)) *learn.Metrics { m := *good; change(&m); return &m }
	for name, tc := range map[string]struct {
		gate                 string
		challenger, champion *learn.Metrics
		want                 bool
	}{
		"an equal challenger passes":                 {"auc:-0.005", good, good, true},
		"exactly the allowed loss passes":            {"auc:-0.005", with(func(m *learn.Metrics) { m.AUC = 0.895 }), good, true},
		"more than the allowed loss fails":           {"auc:-0.005", with(func(m *learn.Metrics) { m.AUC = 0.8949 }), good, false},
		"a gain that is asked for must be there":     {"auc:0.01", with(func(m *learn.Metrics) { m.AUC = 0.905 }), good, false},
		"a gain that is asked for and there passes":  {"auc:0.01", with(func(m *learn.Metrics) { m.AUC = 0.911 }), good, true},
		"a lower log loss is better":                 {"log_loss:0.01", with(func(m *learn.Metrics) { m.LogLoss = 0.18 }), good, true},
		"a higher log loss is worse":                 {"log_loss:-0.01", with(func(m *learn.Metrics) { m.LogLoss = 0.22 }), good, false},
		"accuracy is judged by accuracy":             {"accuracy:0", with(func(m *learn.Metrics) { m.AUC = 0.7 }), good, true},
		"f1 is judged by f1":                         {"f1:0", with(func(m *learn.Metrics) { m.F1 = 0.4 }), good, false},
		"without a champion every challenger passes": {"auc:0.5", good, nil, true},
		"a gate that is off lets everything through": {"off", with(func(m *learn.Metrics) { m.AUC = 0 }), good, true},
	} {
		t.Run(name, func(t *testing.T) {
			gate, err := modelswap.ParseGate(tc.gate)
			if err != nil {
				t.Fatal(err)
			}
			got := gate.Judge(modelswap.Comparison{Challenger: tc.challenger, Champion: tc.champion, Alone: tc.champion == nil})
			if got.Pass != tc.want || got.Reason == "" {
				t.Errorf("got %+v, want pass = %v with a reason", got, tc.want)
			}
			if gate.String() != tc.gate {
				t.Errorf("the gate prints as %q, want %q", gate, tc.gate)
			}
		})
	}
}

func TestTheGateWantsEvidence(t *testing.T) {
	metrics := func(auc float64, rows int, rate float64) *learn.Metrics {
		return &learn.Metrics{AUC: auc, Rows: rows, PositiveRate: rate}
	}
	for name, tc := range map[string]struct {
		challenger *learn.Metrics
		want       bool
		says       string
	}{
		"enough rows of both labels":                       {metrics(0.9, 1000, 0.1), true, "passes"},
		"just enough rows, and of positive ones":           {metrics(0.9, 30, 5.0/30), true, "passes"},
		"too few rows":                                     {metrics(0.9, 29, 0.5), false, "too few"},
		"too few positive rows":                            {metrics(0.9, 1000, 0.004), false, "4 of them positive"},
		"too few negative rows":                            {metrics(0.9, 1000, 0.996), false, "too few"},
		"a challenger that knows nothing":                  {metrics(0.5, 1000, 0.1), false, "chance"},
		"one that is worse than nothing":                   {metrics(0.2, 1000, 0.1), false, "chance"},
		"one that is better by what luck gives one in 100": {metrics(0.57, 1000, 0.1), false, "chance"},
		"one that is better by more":                       {metrics(0.58, 1000, 0.1), true, "passes"},
		"many rows tell smaller differences":               {metrics(0.52, 100_000, 0.1), true, "passes"},
		"rows that cannot be judged":                       {nil, false, "all 9 rows have label 0"},
	} {
		t.Run(name, func(t *testing.T) {
			gate, err := modelswap.ParseGate("auc:-1")
			if err != nil {
				t.Fatal(err)
			}
			c := modelswap.Comparison{Challenger: tc.challenger, Champion: tc.challenger, Why: "all 9 rows have label 0"}
			if got := gate.Judge(c); got.Pass != tc.want || !strings.Contains(got.Reason, tc.says) {
				t.Errorf("got %+v, want pass = %v and a reason that says %q", got, tc.want, tc.says)
			}
			c.Champion, c.Alone = nil, true
			if got := gate.Judge(c); !got.Pass || !strings.Contains(got.Reason, "no champion") {
				t.Errorf("without a champion: got %+v, want it to pass", got)
			}
		})
	}
}

// A verdict says how sure it can be, of a first model too.
func TestTheVerdictSaysHowSureItIs(t *testing.T) {
	gate, err := modelswap.ParseGate("auc:-0.005")
	if err != nil {
		t.Fatal(err)
	}
	m := &learn.Metrics{AUC: 0.9, AUCLow: 0.8123, AUCHigh: 0.9512, Rows: 200, PositiveRate: 0.2}
	bounds := "; with 95 % confidence the challenger's auc is between 0.8123 and 0.9512"
	both := modelswap.Comparison{Challenger: m, Champion: m, Difference: &learn.Difference{AUC: 0, Low: -0.03, High: 0.0312}}
	for name, tc := range map[string]struct {
		c    modelswap.Comparison
		want string
	}{
		"a champion":  {both, bounds + ", and its difference from the champion's between -0.0300 and +0.0312"},
		"a first one": {modelswap.Comparison{Challenger: m, Alone: true, Why: "no model serves yet"}, "no model serves yet" + bounds},
		"metrics of an earlier version": {modelswap.Comparison{Challenger: &learn.Metrics{AUC: 0.9, Rows: 200, PositiveRate: 0.2}, Alone: true, Why: "no model serves yet"},
			"no model serves yet"},
	} {
		if got := gate.Judge(tc.c); !got.Pass || !strings.HasSuffix(got.Reason, tc.want) {
			t.Errorf("%s: got %+v, want a reason that ends in %q", name, got, tc.want)
		}
	}
}

func TestParseGateRefuses(t *testing.T) {
	for _, text := range []string{"", "auc", "auc:", "auc:x", "auc:NaN", "auc:2", "rmse:0.1", "AUC:0", "off:1"} {
		if _, err := modelswap.ParseGate(text); err == nil || !strings.Contains(err.Error(), "gate") {
			t.Errorf("ParseGate(%q) gave %v, want an error that names the gate", text, err)
		}
	}
}
