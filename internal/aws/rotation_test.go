package aws

import (
	"slices"
	"testing"

	"gateway/internal/aws/wire"
)

// spread returns scores that differ from each other.
func spread(from, step float64) []float64 {
	scores := make([]float64, probeCount)
	for i := range scores {
		scores[i] = from + step*float64(i)
	}
	return scores
}

func TestTheRotationHasTheProbesThatCanBeToldFromEachOther(t *testing.T) {
	alike := slices.Repeat([]float64{0.5}, probeCount)
	halves := spread(0.1, 0.05)
	for i := range halves {
		halves[i] = halves[i/2*2]
	}
	blind := spread(0.1, 0.05) // differs from the other model for the first four probes alone
	for i := range 4 {
		blind[i] += 0.02
	}
	shifted := slices.Concat(spread(0.1, 0.05)[1:], []float64{0.99}) // the other's scores, of the next probes
	tests := []struct {
		name   string
		models []*model
		want   int
	}{
		{"one model", []*model{withScores("a", spread(0.1, 0.05)...)}, 16},
		{"a model that scores all probes alike", []*model{withScores("a", alike...)}, 1},
		{"pairs that are scored alike", []*model{withScores("a", halves...)}, 8},
		{"two models", []*model{withScores("a", spread(0.1, 0.05)...), withScores("b", spread(0.125, 0.05)...)}, 16},
		{"two models that differ for few probes", []*model{withScores("a", spread(0.1, 0.05)...), withScores("b", blind...)}, 4},
		{"a model that scores a probe as the other one does the next", []*model{withScores("a", spread(0.1, 0.05)...), withScores("b", shifted...)}, 8},
		{"a model without scores", []*model{{name: "a"}, withScores("b", spread(0.1, 0.05)...)}, 16},
		{"scores that lie within the noise", []*model{withScores("a", spread(0.5, 0.00001)...)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rotation := rotationOf(tt.models)
			if len(rotation) != tt.want || rotation[0] != bestProbe(tt.models) {
				t.Errorf("the rotation is %v, want %d probes, the best one first", rotation, tt.want)
			}
			for _, p := range rotation {
				for _, m := range tt.models {
					if m.scores == nil {
						continue
					}
					if got := identify(tt.models, p, m.scores[p]); got != m {
						t.Errorf("probe %d does not identify model %s", p, m.name)
					}
					for _, q := range rotation {
						if q != p && identify(tt.models, q, m.scores[p]) != nil {
							t.Errorf("an answer to probe %d passes for one to probe %d", p, q)
						}
					}
				}
			}
		})
	}
}

func TestCallsUnderWayBearDifferentProbes(t *testing.T) {
	var turn turns
	rotation := []int{7, 2, 4}
	var taken []int
	for range 2 * len(rotation) {
		taken = append(taken, turn.take(rotation))
	}
	if want := []int{7, 2, 4, 7, 2, 4}; !slices.Equal(taken, want) {
		t.Errorf("the calls bear %v, want %v", taken, want)
	}
	turn.give(4)
	if got := turn.take(rotation); got != 4 {
		t.Errorf("the call bears probe %d; 4 has the fewest calls", got)
	}
	for _, p := range taken {
		turn.give(p)
	}
	// One after the other, too, all take turns.
	taken = taken[:0]
	for range 6 {
		p := turn.take(rotation)
		turn.give(p)
		taken = append(taken, p)
	}
	for i, p := range taken[:len(taken)-2] {
		if p == taken[i+1] || p == taken[i+2] {
			t.Errorf("the calls bear %v", taken)
		}
	}
}

func TestAMarkNeedsProbesThatDiffer(t *testing.T) {
	for size, want := range map[int]uint8{1: 0, 2: 1, 3: 1, 4: 2, 8: 4, 16: wire.MaxApart} {
		if got := markOf(make([]int, size), 3); got != (wire.Mark{Value: 3, Apart: want}) {
			t.Errorf("of %d probes the mark is %+v, want %d calls apart", size, got, want)
		}
	}
}

func TestAnAnswerToOtherRowsIsNoneToTheProbesTwice(t *testing.T) {
	scores := spread(0.1, 0.05)
	back := slices.Clone(scores)
	slices.Reverse(back)
	both := slices.Concat(scores, back)
	if !mirrored(both) {
		t.Error("the answer to the probes is refused")
	}
	for i := range both {
		other := slices.Clone(both)
		other[i] += 0.01
		if mirrored(other) {
			t.Errorf("score %d may be another row's", i)
		}
	}
}
