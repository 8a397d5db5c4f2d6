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
	Figures         *Figures          `json:"figures,omitempty"`
	Model           modelJSON         `json:"model"`
}

type modelJSON struct {
	Columns  []string    `json:"columns"`
	Ignored  []string    `json:"ignored"`
	BaseRate float64     `json:"base_rate"`
	Codes    *codesJSON  `json:"codes,omitempty"`
	Linear   *linearJSON `json:"linear,omitempty"`
	Forest   *forestJSON `json:"forest,omitempty"`
	// Calibration is in force for log-odds of linear and forest together.
	Calibration *calibrationJSON `json:"calibration,omitempty"`
	Search      *Search          `json:"search,omitempty"`
	Single      bool             `json:"single,omitempty"` // numbers of rows are rounded to float32
}

type calibrationJSON struct {
	From []float64 `json:"from"`
	To   []float64 `json:"to"`
}

// codesJSON are statistics of categories. Artifacts of earlier versions have none.
type codesJSON struct {
	Other   float64           `json:"other"`
	Columns []codedColumnJSON `json:"columns"`
}

type codedColumnJSON struct {
	Column int       `json:"column"`
	Values []float64 `json:"values"` // by code
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
	// Missing are the nodes at which a missing number goes left.
	Missing []int32   `json:"missing,omitempty"`
	Cover   []float32 `json:"cover,omitempty"` // of each node; artifacts of earlier versions have none
}

func (a *Artifact) toJSON() artifactJSON {
	m := a.Model
	wire := modelJSON{Columns: m.columns, Ignored: m.ignored, BaseRate: m.base, Search: m.search, Single: m.single}
	if c := m.calibration; c != nil {
		wire.Calibration = &calibrationJSON{c.from, c.to}
	}
	if m.codes != nil {
		wire.Codes = &codesJSON{Other: m.codes.other}
		for _, one := range m.codes.columns {
			wire.Codes.Columns = append(wire.Codes.Columns, codedColumnJSON{one.column, one.values})
		}
	}
	if m.linear != nil {
		wire.Linear = &linearJSON{m.linear.intercept, m.linear.coef, m.linear.mean}
	}
	if m.forest != nil {
		wire.Forest = &forestJSON{Base: m.forest.base}
		for k, t := range m.forest.trees() {
			var tj treeJSON
			if m.forest.explains() {
				tj.Cover = m.forest.cover[m.forest.roots[k]:][:len(t)]
			}
			for i, n := range t {
				if n.column != leafMark && n.column&missingLeft != 0 {
					tj.Missing = append(tj.Missing, int32(i))
					n.column &^= missingLeft
				}
				tj.Column = append(tj.Column, n.column)
				tj.Left = append(tj.Left, n.left)
				tj.Number = append(tj.Number, n.number)
			}
			wire.Forest.Trees = append(wire.Forest.Trees, tj)
		}
	}
	return artifactJSON{a.Name, a.Schema, a.Data, a.Rows, a.CreatedAt.UTC(), a.Algorithm,
		a.Hyperparameters, a.Seed, a.Metrics, a.Figures, wire}
}

// artifact rebuilds what toJSON took apart. Trees are checked here, before
// they are joined; the rest is left to check.
func (w *artifactJSON) artifact() (*Artifact, error) {
	m := &Model{
		algorithm: w.Algorithm,
		columns:   w.Model.Columns,
		ignored:   w.Model.Ignored,
		base:      w.Model.BaseRate,
		search:    w.Model.Search,
		single:    w.Model.Single,
	}
	if c := w.Model.Calibration; c != nil {
		m.calibration = &calibration{c.From, c.To}
	}
	if c := w.Model.Codes; c != nil {
		m.codes = &codes{other: c.Other}
		for _, one := range c.Columns {
			m.codes.columns = append(m.codes.columns, codedColumn{one.Column, one.Values})
		}
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
				if t[i].column&missingLeft != 0 && t[i].column != leafMark {
					return nil, artifactErrorf("tree node %d compares column %d of %d", i, t[i].column, len(m.columns))
				}
			}
			if err := t.check(len(m.columns)); err != nil {
				return nil, err
			}
			if err := tj.complete(t); err != nil {
				return nil, err
			}
			m.forest.add(t, tj.Cover)
		}
	}
	return &Artifact{w.Name, w.Schema, w.Data, w.Rows, w.CreatedAt.UTC(), w.Algorithm,
		w.Hyperparameters, w.Seed, w.Metrics, w.Figures, m}, nil
}

// complete checks what a tree may have besides nodes, and marks those at which a
// missing number goes left.
func (tj *treeJSON) complete(t tree) error {
	if len(tj.Cover) != 0 && len(tj.Cover) != len(t) {
		return artifactErrorf("tree has %d nodes and the cover of %d", len(t), len(tj.Cover))
	}
	for i, c := range tj.Cover {
		if !(c >= 0) || !finite(float64(c)) {
			return artifactErrorf("tree node %d has cover %v", i, c)
		}
	}
	for _, i := range tj.Missing {
		if i < 0 || int(i) >= len(t) || t[i].column == leafMark {
			return artifactErrorf("tree sends missing numbers left at node %d, which is no decision", i)
		}
		t[i].column |= missingLeft
	}
	return nil
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
	if linear != (a.Algorithm == LinearLearner || a.Algorithm == Blend) || boosted != (a.Algorithm == XGBoost || a.Algorithm == Blend) || !linear && !boosted {
		return artifactErrorf("artifact has no model of the algorithm %q", a.Algorithm)
	}
	if !(m.base >= 0 && m.base <= 1) {
		return artifactErrorf("base rate is %v, not a probability", m.base)
	}
	if l := m.linear; l != nil && (len(l.coef) != len(m.columns) || len(l.mean) != len(m.columns)) {
		return artifactErrorf("model has %d columns, %d coefficients and %d means",
			len(m.columns), len(l.coef), len(l.mean))
	}
	if m.codes != nil {
		if err := m.codes.check(len(m.columns)); err != nil {
			return err
		}
	}
	if m.calibration != nil {
		if err := m.calibration.check(); err != nil {
			return err
		}
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
