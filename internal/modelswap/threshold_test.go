package modelswap

import (
	"context"
	"testing"

	"gateway/internal/schema"
)

// fixedScores is a Deployer whose models give these scores.
type fixedScores struct {
	Deployer
	scores []float64
}

func (f fixedScores) ScoreWith(context.Context, string, []schema.Vector) ([]float64, error) {
	return f.scores, nil
}

// Models are compared by the decisions that the schema's threshold makes of them.
func TestAccuracyIsOfTheSchemasThreshold(t *testing.T) {
	for threshold, want := range map[string]float64{"": 0.5, "threshold: 0.25,": 0.75, "threshold: {false_positive: 9, false_negative: 1},": 0.25} {
		s, err := schema.Parse("test.yaml", []byte(`{name: small, id: id, label: {name: y, positive: [1], negative: [0]}, `+threshold+` features: [{name: x, type: number}]}`))
		if err != nil {
			t.Fatal(err)
		}
		x := &stepRun{Engine: &Engine{opts: Options{Schema: s}, ports: Ports{Deployer: fixedScores{scores: []float64{0.3, 0.6, 0.6, 0.8}}}}}
		metrics, _, err := x.measure(t.Context(), "m", make([]schema.Vector, 4), []float64{1, 1, 0, 1})
		if err != nil {
			t.Fatal(err)
		}
		if metrics.Accuracy != want {
			t.Errorf("%q: the accuracy is %v, want %v", threshold, metrics.Accuracy, want)
		}
	}
}
