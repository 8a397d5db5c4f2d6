package sandbox

import (
	"errors"
	"net/http"

	"gateway/internal/learn"
)

// Answering is who answers an invocation.
type Answering struct {
	Variant, Model string
	// Artifact of the model; it must not be changed.
	Artifact *learn.Artifact
}

// Answering chooses who answers the next invocation of an endpoint, as the
// runtime does. It is for a runtime of another make, which is faster or fails
// in other ways; neither faults nor the journal know of it.
func (s *Server) Answering(endpoint string) (Answering, error) {
	s.settle()
	_, v, refused := s.target(&call{Call: Call{Resource: endpoint}, header: http.Header{}})
	if refused != nil {
		return Answering{}, refused
	}
	if v.scorer == nil {
		return Answering{}, errors.New("the variant " + v.name + " has no model that could be read")
	}
	return Answering{v.name, v.model, v.scorer}, nil
}

// Prediction is what the model's container writes about a row of serving CSV:
// an element of "predictions" in its JSON.
func (a Answering) Prediction(line string) (string, error) {
	row, err := parseRow(line)
	if err != nil {
		return "", err
	}
	if len(row) != len(a.Artifact.Model.Columns()) {
		return "", errors.New("unable to evaluate payload provided")
	}
	score, label := scored(row, a.Artifact)
	if a.Artifact.Algorithm == learn.XGBoost {
		label = ""
	}
	return prediction(score, label), nil
}

// scored is the score and the label of a row, as the containers print them.
// Scores are of single precision, as those of the real containers.
func scored(row []float64, a *learn.Artifact) (score, label string) {
	p := a.Model.Score(row)
	// linear-learner prints its float32 with the digits of a float64.
	score = decimal(float64(float32(p)), 64)
	if a.Algorithm == learn.XGBoost {
		score = decimal(p, 32)
	}
	label = "0.0"
	if p >= a.Model.Threshold() {
		label = "1.0"
	}
	return score, label
}

// Artifact reads a model by its name, whether it serves or not.
func (s *Server) Artifact(model string) (*learn.Artifact, error) {
	s.mu.Lock()
	m, err := s.findModel(model)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.load(s.ctx, m.in.PrimaryContainer.ModelDataUrl)
}
