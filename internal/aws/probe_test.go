package aws

import (
	"math"
	"slices"
	"testing"

	"gateway/internal/schema"
)

func TestProbesAreNoCustomers(t *testing.T) {
	s := parseSchema(t, smallSchema)
	var held []schema.Vector
	for i := range 200 { // each row's numbers are its own
		held = append(held, schema.Vector{float64(i), float64(i % 2), float64((i + 1) % 2), float64(1000 + i)})
	}
	probes := makeProbes(s, held)
	if len(probes) != probeCount {
		t.Fatalf("%d probes", len(probes))
	}
	mixed := 0
	for _, p := range probes {
		if p[1]+p[2] != 1 {
			t.Errorf("probe %v has not one value of the category", p)
		}
		if p[3]-p[0] != 1000 {
			mixed++
		}
		if p[0] >= 200 || p[3] < 1000 {
			t.Errorf("probe %v has values that no row has in that column", p)
		}
	}
	if mixed < probeCount-2 {
		t.Errorf("%d of %d probes are mixed", mixed, probeCount)
	}
	if again := makeProbes(s, held); !slices.EqualFunc(probes, again, func(a, b schema.Vector) bool { return slices.Equal(a, b) }) {
		t.Error("the same rows give other probes")
	}
}

func TestScoresSurviveATag(t *testing.T) {
	scores := make([]float64, probeCount)
	for i := range scores {
		scores[i] = float64(float32(math.Exp(-float64(i))))
	}
	text := encodeScores(scores)
	if len(text) > 256 {
		t.Errorf("the tag has %d characters, 256 are allowed", len(text))
	}
	if got := decodeScores(text); !slices.Equal(got, scores) {
		t.Errorf("got %v, want %v", got, scores)
	}
	for _, bad := range []string{"", "x", text[1:], text + "00", text[:240] + "7ff8000000000000"} {
		if got := decodeScores(bad); got != nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

func withScores(name string, scores ...float64) *model {
	return &model{name: name, scores: scores}
}

func TestAScoreIdentifiesItsModel(t *testing.T) {
	a, b, other := withScores("a", 0.5), withScores("b", 0.5001), &model{name: "other"}
	alike := withScores("alike", 0.5)
	small, smaller := withScores("small", 3e-9), withScores("smaller", 1e-9)
	tests := []struct {
		name   string
		models []*model
		score  float64
		want   *model
	}{
		{"exactly", []*model{a, b}, 0.5, a},
		{"exactly the second", []*model{a, b}, 0.5001, b},
		{"within the noise of single precision", []*model{a, b}, 0.50010004, b},
		{"none", []*model{a, b}, 0.6, nil},
		{"a model without scores is never meant", []*model{other, b}, 0.5001, b},
		{"of models that answer alike, the one that serves", []*model{a, alike}, 0.5, a},
		{"small scores differ too", []*model{small, smaller}, 1.00001e-9, smaller},
		{"nobody", nil, 0.5, nil},
		{"zero", []*model{a, withScores("zero", 0)}, 0, nil},
	}
	tests[len(tests)-1].want = tests[len(tests)-1].models[1]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := identify(tt.models, 0, tt.score); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTheBestProbeIsWhereModelsDiffer(t *testing.T) {
	fill := func(x float64, at int, y float64) []float64 {
		out := slices.Repeat([]float64{x}, probeCount)
		out[at] = y
		return out
	}
	if got := bestProbe([]*model{withScores("a", fill(0.3, 5, 0.2)...), withScores("b", fill(0.3, 5, 0.7)...)}); got != 5 {
		t.Errorf("probe %d, want the one where they differ", got)
	}
	if got := bestProbe([]*model{withScores("a", fill(1, 7, 0.4)...)}); got != 7 {
		t.Errorf("probe %d, want the one that is not at an end", got)
	}
	if got := bestProbe(nil); got != 0 {
		t.Errorf("probe %d of no models", got)
	}
}
