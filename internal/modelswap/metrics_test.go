package modelswap

import (
	"testing"

	"gateway/internal/learn"
)

func TestHowFarTheChampionsFigureFell(t *testing.T) {
	auc := func(x float64) *learn.Metrics { return &learn.Metrics{AUC: x} }
	renewal := func(champion string, found *learn.Metrics) *Renewal {
		return &Renewal{State: State{Champion: champion}, Metrics: Metrics{Champion: found}}
	}
	for _, test := range []struct {
		name   string
		first  *learn.Metrics
		newest []*Renewal // the newest first
		want   float64
	}{
		{"it was compared again, and is worse", auc(0.75), []*Renewal{renewal("m", auc(0.5)), renewal("m", auc(0.75))}, 0.25},
		{"it was worse, and is as good again", auc(0.75), []*Renewal{renewal("m", auc(0.75)), renewal("m", auc(0.5))}, 0},
		{"it is better", auc(0.75), []*Renewal{renewal("m", auc(1))}, 0},
		{"another was the champion, and one has no figures yet", auc(0.75), []*Renewal{renewal("m", nil), renewal("other", auc(0.5))}, 0},
		{"nothing was compared", auc(0.75), nil, 0},
		{"its first figures are not known", nil, []*Renewal{renewal("m", auc(0.5))}, 0},
	} {
		if got := aucFall(&Model{Name: "m", Metrics: test.first}, test.newest); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
