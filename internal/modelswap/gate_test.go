package modelswap_test

import (
	"strings"
	"testing"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

func TestGate(t *testing.T) {
	good := &learn.Metrics{AUC: 0.90, LogLoss: 0.20, Accuracy: 0.88, F1: 0.5}
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
		"accuracy is judged by accuracy alone":       {"accuracy:0", with(func(m *learn.Metrics) { m.AUC = 0.1 }), good, true},
		"f1 is judged by f1":                         {"f1:0", with(func(m *learn.Metrics) { m.F1 = 0.4 }), good, false},
		"without a champion every challenger passes": {"auc:0.5", good, nil, true},
		"a gate that is off lets everything through": {"off", with(func(m *learn.Metrics) { m.AUC = 0 }), good, true},
	} {
		t.Run(name, func(t *testing.T) {
			gate, err := modelswap.ParseGate(tc.gate)
			if err != nil {
				t.Fatal(err)
			}
			got := gate.Judge(tc.challenger, tc.champion)
			if got.Pass != tc.want || got.Reason == "" {
				t.Errorf("got %+v, want pass = %v with a reason", got, tc.want)
			}
			if gate.String() != tc.gate {
				t.Errorf("the gate prints as %q, want %q", gate, tc.gate)
			}
		})
	}
}

func TestParseGateRefuses(t *testing.T) {
	for _, text := range []string{"", "auc", "auc:", "auc:x", "auc:NaN", "auc:2", "rmse:0.1", "AUC:0", "off:1"} {
		if _, err := modelswap.ParseGate(text); err == nil || !strings.Contains(err.Error(), "gate") {
			t.Errorf("ParseGate(%q) gave %v, want an error that names the gate", text, err)
		}
	}
}
