package modelswap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gateway/internal/learn"
	"gateway/internal/schema"
)

// Figures say what a model goes by and how good it is, on held-out rows. The step
// evaluate computes them and stores them with the model. A member that could not be
// computed is nil, and Unavailable has the reason by its name in JSON.
type Figures struct {
	Rows          int                    `json:"rows"`          // held-out rows
	Label         *Classes               `json:"label"`         // as the model learned it
	Estimates     *learn.Estimates       `json:"estimates"`     // metrics with their bounds
	Importance    []learn.Importance     `json:"importance"`    // of each feature, the largest first
	Contributions []Contribution         `json:"contributions"` // of each feature, the largest first
	Alone         []learn.AloneAUC       `json:"alone"`         // what each feature reaches without the others, the largest first
	Intercept     *float64               `json:"intercept"`     // of the linear part
	Coefficients  []Coefficient          `json:"coefficients"`  // of the linear part, in the order of the columns
	Curve         []CurvePoint           `json:"curve"`         // of boosting
	Calibration   []learn.CalibrationBin `json:"calibration"`   // the bins that have rows
	Confusion     *learn.Confusion       `json:"confusion"`     // at the threshold that the schema had
	Search        *learn.Search          `json:"search"`        // what was tried; without its curve
	Compared      *Compared              `json:"compared"`      // with the champion, on the same rows
	Suspicion     *Suspicion             `json:"suspicion"`     // nil if there is none
	LeftOut       map[string]int         `json:"left_out"`      // number of elements left out of a long list, by its name
	Unavailable   map[string]string      `json:"unavailable"`
}

// Classes are the classes of the label.
type Classes struct {
	Name         string   `json:"name"`
	Positive     []string `json:"positive"` // spellings of the class whose probability the score is
	Negative     []string `json:"negative"`
	PositiveRate float64  `json:"positive_rate"` // share of the held-out rows
}

// Coefficient is what the log-odds of the linear part gain with a column.
type Coefficient struct {
	learn.Coefficient
	Unit string `json:"unit"` // what a difference of 1 in the column is, as schema.Units has it
}

// CurvePoint is the mean log loss after a round of boosting, by cross-validation.
type CurvePoint struct {
	Round   int     `json:"round"` // from 1
	LogLoss float64 `json:"log_loss"`
}

// Compared is how much larger the figures of a model are than those of the champion
// on the same held-out rows.
type Compared struct {
	Model   string         `json:"model"` // the champion
	Rows    int            `json:"rows"`
	AUC     learn.Estimate `json:"auc"`
	LogLoss learn.Estimate `json:"log_loss"`
}

// LearnedFigures are what a back end can tell about the inside of a model.
type LearnedFigures struct {
	Figures *learn.Figures // nil where there are none
	Search  *learn.Search  // nil where the algorithm was given
	Model   *learn.Model   // nil where the platform cannot read it
	Why     string         // where Figures or Model is nil, the reason
}

// HeldOut are rows that a model was not made from.
type HeldOut struct {
	Rows     []schema.Vector
	Labels   []float64
	Scores   []float64 // by the model; nil where all labels are the same
	Features []string  // of each column, the feature that it is of
}

// Bounds of the lists in Figures.
const (
	maxFigureFeatures = 500
	maxCoefficients   = 1000
	maxCurvePoints    = 200
)

// heldOut are held-out rows with the scores of challenger and champion. The scores
// are nil where they could not be computed.
type heldOut struct {
	rows         []schema.Vector
	labels       []float64
	ours, theirs []float64
	why          string // why ours is nil
	explained    explained
}

// figures computes the figures of the challenger, and explains held-out rows.
func (x *stepRun) figures(ctx context.Context, h *heldOut) (*Figures, error) {
	learned, err := x.ports.Deployer.LearnedFigures(ctx, x.r.State.Model, HeldOut{h.rows, h.labels, h.ours, features(x.opts.Schema)})
	if err != nil {
		return nil, err
	}
	f := &Figures{Rows: len(h.rows), Label: classesOf(x.opts.Schema, h.labels), Search: withoutCurve(learned.Search), Unavailable: map[string]string{}}
	f.addLearned(learned, x.opts.Schema)
	h.explained = explained{why: cmp.Or(learned.Why, "the platform cannot read the model")}
	if learned.Model != nil {
		if h.explained, err = explain(ctx, learned.Model, x.opts.Schema, h.rows); err != nil {
			return nil, err
		}
	}
	if f.Contributions = h.explained.means(x.opts.Schema); f.Contributions == nil {
		f.Unavailable["contributions"] = h.explained.why
	}
	if f.Alone = learn.Alone(h.rows, h.labels, features(x.opts.Schema), x.opts.Schema.CodedColumns()...); f.Alone == nil {
		f.Unavailable["alone"] = "fewer than 20 held-out rows have one of the labels"
	}
	if err := f.addScores(*h, x.opts.Schema.DecisionThreshold()); err != nil {
		return nil, err
	}
	if h.theirs == nil {
		f.Unavailable["compared"] = "no champion was evaluated on the same rows"
	} else if f.Compared, err = compared(x.r.State.Champion, *h); err != nil {
		return nil, err
	}
	f.bound()
	return f, nil
}

// addScores adds what follows from the challenger's scores.
func (f *Figures) addScores(h heldOut, threshold float64) error {
	if h.ours == nil {
		for _, name := range []string{"estimates", "calibration", "confusion"} {
			f.Unavailable[name] = h.why
		}
		return nil
	}
	estimates, err := learn.EstimateAll(h.ours, h.labels, threshold)
	if err != nil {
		return err
	}
	confusion := learn.ConfusionOf(h.ours, h.labels, threshold)
	f.Estimates, f.Confusion, f.Calibration = &estimates, &confusion, learn.CalibrationOf(h.ours, h.labels)
	f.Suspicion = suspicionOf(estimates.AUC.Value, f.Alone)
	return nil
}

// addLearned adds what the back end tells.
func (f *Figures) addLearned(l LearnedFigures, s *schema.Schema) {
	if l.Search == nil {
		f.Unavailable["search"] = "only the algorithm auto searches, on the platform local"
	}
	if l.Figures == nil {
		for _, name := range []string{"importance", "coefficients", "curve"} {
			f.Unavailable[name] = l.Why
		}
		return
	}
	f.Importance, f.Intercept, f.Curve = l.Figures.Importance, l.Figures.Intercept, curveOf(l.Figures.Curve)
	if units := s.Units(); len(l.Figures.Coefficients) == len(units) {
		for j, c := range l.Figures.Coefficients {
			f.Coefficients = append(f.Coefficients, Coefficient{c, units[j]})
		}
	}
	if f.Coefficients == nil {
		f.Unavailable["coefficients"] = "boosted trees have none"
	}
	if f.Curve == nil {
		f.Unavailable["curve"] = "the model has no boosted trees, or their number of rounds was given"
	}
}

// bound shortens long lists: features of little importance are left out, and
// coefficients of such features.
func (f *Figures) bound() {
	f.LeftOut = map[string]int{}
	rank := make(map[string]int, len(f.Importance))
	for i, one := range f.Importance {
		rank[one.Feature] = i
	}
	if over := len(f.Coefficients) - maxCoefficients; over > 0 {
		byImportance := slices.Clone(f.Coefficients)
		slices.SortStableFunc(byImportance, func(a, b Coefficient) int { return rank[a.Feature] - rank[b.Feature] })
		keep := make(map[string]bool, maxCoefficients)
		for _, c := range byImportance[:maxCoefficients] {
			keep[c.Column] = true
		}
		f.Coefficients = slices.DeleteFunc(f.Coefficients, func(c Coefficient) bool { return !keep[c.Column] })
		f.LeftOut["coefficients"] = over
	}
	if over := len(f.Importance) - maxFigureFeatures; over > 0 {
		f.Importance, f.LeftOut["importance"] = f.Importance[:maxFigureFeatures], over
	}
	if over := len(f.Contributions) - maxFigureFeatures; over > 0 {
		f.Contributions, f.LeftOut["contributions"] = f.Contributions[:maxFigureFeatures], over
	}
	if over := len(f.Alone) - maxFigureFeatures; over > 0 {
		f.Alone, f.LeftOut["alone"] = f.Alone[:maxFigureFeatures], over
	}
}

// curveOf returns points of a curve: all of a short one, else some at equal
// distances, with the lowest and the last.
func curveOf(losses []float64) []CurvePoint {
	if len(losses) == 0 {
		return nil
	}
	lowest := 0
	for i, loss := range losses {
		if loss < losses[lowest] {
			lowest = i
		}
	}
	every := (len(losses) + maxCurvePoints - 1) / maxCurvePoints
	var points []CurvePoint
	for i, loss := range losses {
		if i%every == 0 || i == lowest || i == len(losses)-1 {
			points = append(points, CurvePoint{i + 1, loss})
		}
	}
	return points
}

// withoutCurve returns a search without its curve, which Figures has as points.
func withoutCurve(s *learn.Search) *learn.Search {
	if s == nil {
		return nil
	}
	out := *s
	out.Curve = nil
	return &out
}

func compared(champion string, h heldOut) (*Compared, error) {
	auc, err := learn.CompareAUC(h.ours, h.theirs, h.labels)
	if err != nil {
		return nil, err
	}
	loss, err := learn.CompareLogLoss(h.ours, h.theirs, h.labels)
	if err != nil {
		return nil, err
	}
	return &Compared{Model: champion, Rows: len(h.rows), AUC: learn.Estimate{Value: auc.AUC, Low: auc.Low, High: auc.High}, LogLoss: loss}, nil
}

// classesOf returns the classes of a schema's label with the rate in labels.
func classesOf(s *schema.Schema, labels []float64) *Classes {
	c := &Classes{Name: s.Label.Name, Positive: spellings(s.Label.Positive), Negative: spellings(s.Label.Negative)}
	if len(labels) > 0 {
		positives := 0.0
		for _, y := range labels {
			positives += y
		}
		c.PositiveRate = positives / float64(len(labels))
	}
	return c
}

func spellings(list []schema.Spelling) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.Value
	}
	return out
}

// suspiciousAUC is the AUC from which a model is suspicious if one feature reaches it
// alone. Of thirteen honest tables the highest that a feature reaches alone is 0.985.
const suspiciousAUC = 0.995

// Suspicion is that a model is as good as it is because features tell the label that
// are not there when a prediction is made.
type Suspicion struct {
	AUC      float64          `json:"auc"`      // of the model, on held-out rows
	Features []learn.AloneAUC `json:"features"` // that reach about as much alone
}

func suspicionOf(auc float64, alone []learn.AloneAUC) *Suspicion {
	if auc < suspiciousAUC {
		return nil
	}
	s := &Suspicion{AUC: auc}
	for _, a := range alone {
		if a.AUC >= suspiciousAUC && len(s.Features) < maxFigureFeatures {
			s.Features = append(s.Features, a)
		}
	}
	if s.Features == nil {
		return nil
	}
	return s
}

// String describes the suspicion for operators, with at most three features.
func (s *Suspicion) String() string {
	const maxNames = 3
	var names []string
	for _, f := range s.Features[:min(maxNames, len(s.Features))] {
		names = append(names, "`"+f.Feature+"`")
	}
	text := strings.Join(names, " or ")
	if more := len(s.Features) - len(names); more > 0 {
		text += fmt.Sprintf(" or one of %d others", more)
	}
	return fmt.Sprintf("AUC %.4f: %s alone gives it; it may have been written after the outcome, or be the label in other words", s.AUC, text)
}

// noFigures are the figures of a model that was stored without any.
func noFigures(why string) *Figures {
	f := &Figures{LeftOut: map[string]int{}, Unavailable: map[string]string{}}
	for name := range maps.Keys(figureNames) {
		f.Unavailable[name] = why
	}
	return f
}

// figureNames are the members of Figures that have a reason where they are nil.
var figureNames = map[string]bool{"label": true, "estimates": true, "importance": true, "contributions": true, "alone": true, "coefficients": true, "curve": true,
	"calibration": true, "confusion": true, "search": true, "compared": true}
