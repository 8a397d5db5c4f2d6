package learn

import (
	"time"
	"unicode/utf8"
)

// The payload of an artifact. Go writes a float64 in the fewest digits that
// read back as the same number, and map keys sorted, so JSON is exact and
// deterministic.
type artifactJSON struct {
	Name            string            `json:"name"`
	Schema          string            `json:"schema"`
	Data            string            `json:"data"`
	Rows            int               `json:"rows"`
	CreatedAt       time.Time         `json:"created_at"`
	Algorithm       Algorithm         `json:"algorithm"`
	Hyperparameters map[string]string `json:"hyperparameters"`
	Seed            uint64            `json:"seed"`
	Metrics         *Metrics          `json:"metrics"`
	Model           modelJSON         `json:"model"`
}

type modelJSON struct {
	Columns  []string    `json:"columns"`
	Ignored  []string    `json:"ignored"`
	BaseRate float64     `json:"base_rate"`
	Linear   *linearJSON `json:"linear,omitempty"`
	Forest   *forestJSON `json:"forest,omitempty"`
}

type linearJSON struct {
	Intercept    float64   `json:"intercept"`
	Coefficients []float64 `json:"coefficients"`
	Means        []float64 `json:"means"`
}

type forestJSON struct {
	Base  float64    `json:"base"`
	Trees []treeJSON `json:"trees"`
}

// treeJSON is a tree by the fields of its nodes.
type treeJSON struct {
	Column []int32   `json:"column"`
	Left   []int32   `json:"left"`
	Number []float64 `json:"number"`
}

func (a *Artifact) toJSON() artifactJSON {
	m := a.Model
	wire := modelJSON{Columns: m.columns, Ignored: m.ignored, BaseRate: m.base}
	if m.linear != nil {
		wire.Linear = &linearJSON{m.linear.intercept, m.linear.coef, m.linear.mean}
	}
	if m.forest != nil {
		wire.Forest = &forestJSON{Base: m.forest.base}
		for _, t := range m.forest.trees() {
			var tj treeJSON
			for _, n := range t {
				tj.Column = append(tj.Column, n.column)
				tj.Left = append(tj.Left, n.left)
				tj.Number = append(tj.Number, n.number)
			}
			wire.Forest.Trees = append(wire.Forest.Trees, tj)
		}
	}
	return artifactJSON{a.Name, a.Schema, a.Data, a.Rows, a.CreatedAt.UTC(), a.Algorithm,
		a.Hyperparameters, a.Seed, a.Metrics, wire}
}

// artifact rebuilds what toJSON took apart. Trees are checked here, before
// they are joined; the rest is left to check.
func (w *artifactJSON) artifact() (*Artifact, error) {
	m := &Model{
		algorithm: w.Algorithm,
		columns:   w.Model.Columns,
		ignored:   w.Model.Ignored,
		base:      w.Model.BaseRate,
	}
	if l := w.Model.Linear; l != nil {
		m.linear = &linear{l.Intercept, l.Coefficients, l.Means}
	}
	if f := w.Model.Forest; f != nil {
		m.forest = &forest{base: f.Base}
		for _, tj := range f.Trees {
			if len(tj.Left) != len(tj.Column) || len(tj.Number) != len(tj.Column) {
				return nil, artifactErrorf("tree has %d columns, %d children and %d numbers",
					len(tj.Column), len(tj.Left), len(tj.Number))
			}
			t := make(tree, len(tj.Column))
			for i := range t {
				t[i] = node{tj.Number[i], tj.Column[i], tj.Left[i]}
			}
			if err := t.check(len(m.columns)); err != nil {
				return nil, err
			}
			m.forest.add(t)
		}
	}
	return &Artifact{w.Name, w.Schema, w.Data, w.Rows, w.CreatedAt.UTC(), w.Algorithm,
		w.Hyperparameters, w.Seed, w.Metrics, m}, nil
}

// check reports why a is not an artifact that can be kept and served.
func (a *Artifact) check() error {
	m := a.Model
	if m == nil {
		return artifactErrorf("artifact %q has no model", a.Name)
	}
	if m.algorithm != a.Algorithm {
		return artifactErrorf("artifact is for %q but its model is %q", a.Algorithm, m.algorithm)
	}
	linear, boosted := m.linear != nil, m.forest != nil
	if linear == boosted || linear != (a.Algorithm == LinearLearner) || boosted != (a.Algorithm == XGBoost) {
		return artifactErrorf("artifact has no model of the algorithm %q", a.Algorithm)
	}
	if !(m.base >= 0 && m.base <= 1) {
		return artifactErrorf("base rate is %v, not a probability", m.base)
	}
	if l := m.linear; l != nil && (len(l.coef) != len(m.columns) || len(l.mean) != len(m.columns)) {
		return artifactErrorf("model has %d columns, %d coefficients and %d means",
			len(m.columns), len(l.coef), len(l.mean))
	}
	return a.checkText()
}

// checkText refuses text that JSON would change.
func (a *Artifact) checkText() error {
	text := append([]string{a.Name, a.Schema, a.Data}, a.Model.columns...)
	for k, v := range a.Hyperparameters {
		text = append(text, k, v)
	}
	for _, s := range text {
		if !utf8.ValidString(s) {
			return artifactErrorf("%q is not UTF-8", clip(s))
		}
	}
	return nil
}
