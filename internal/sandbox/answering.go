package sandbox

import (
	"errors"
	"net/http"

	"gateway/internal/learn"
)

// Answering is the variant and the model that answer an invocation.
type Answering struct {
	Variant, Model string
	// Artifact of the model; it must not be changed.
	Artifact *learn.Artifact
}

// Answering chooses the variant that answers the next invocation of an endpoint, as the
// runtime does. Tests use it for a runtime of their own that is faster or has other faults.
// It applies no faults and records nothing in the journal.
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

// Prediction returns the answer of the model's container to a row of serving CSV: an element
// of "predictions" in its JSON.
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

// scored returns the score and the label of a row in the format of the containers. Scores
// have single precision, like those of the real containers.
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

// Artifact returns the artifact of a model, whether the model serves or not.
func (s *Server) Artifact(model string) (*learn.Artifact, error) {
	s.mu.Lock()
	m, err := s.findModel(model)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.load(s.ctx, m.in.PrimaryContainer.ModelDataUrl)
}
