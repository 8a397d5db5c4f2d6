package learn

import (
	"context"
	"math/rand/v2"
	"slices"
)

// Figures tell what a model goes by and how good it is, on rows that it was not
// made from.
type Figures struct {
	Rows         int              `json:"rows"`         // that the figures are about
	Importance   []Importance     `json:"importance"`   // of each feature, the largest first
	Intercept    *float64         `json:"intercept"`    // of the linear part; nil where there is none
	Coefficients []Coefficient    `json:"coefficients"` // of the linear part, in the order of the columns
	Curve        []float64        `json:"curve"`        // Search.Curve; nil where the model has no trees by Auto
	Calibration  []CalibrationBin `json:"calibration"`  // the bins that have rows
	Confusion    Confusion        `json:"confusion"`
}

// Importance is how much worse a model becomes where the values of a feature are
// dealt out to the rows at random.
type Importance struct {
	Feature string  `json:"feature"`
	AUC     float64 `json:"auc"`      // how much lower the AUC becomes
	LogLoss float64 `json:"log_loss"` // how much higher the log loss becomes
}

// Coefficient is what the log-odds of a linear model gain for one unit of a column.
type Coefficient struct {
	Column  string  `json:"column"`
	Feature string  `json:"feature"`
	Value   float64 `json:"value"`
}

// CalibrationBin compares scores between From and To with what became of their
// rows.
type CalibrationBin struct {
	From         float64 `json:"from"`
	To           float64 `json:"to"`
	Count        int     `json:"count"`
	MeanScore    float64 `json:"mean_score"`
	PositiveRate float64 `json:"positive_rate"`
}

// Confusion counts rows by label and by the side of the threshold that they score
// on.
type Confusion struct {
	Threshold      float64 `json:"threshold"`
	TruePositives  int     `json:"true_positives"`
	FalsePositives int     `json:"false_positives"`
	TrueNegatives  int     `json:"true_negatives"`
	FalseNegatives int     `json:"false_negatives"`
}

const (
	// importanceScores bounds how many scores the importance of features takes. One
	// takes about 10 µs.
	importanceScores = 300_000
	// importanceRounds is how often a feature's values are dealt out.
	importanceRounds = 3
	// Of features in usual number at least fewImportanceRows are scored for each, of
	// thousands at least minImportanceRows.
	fewImportanceRows, minImportanceRows = 500, 100
)

// Describe returns the figures of m on rows that it was not made from. features has,
// for each column, the feature that it is of. The same arguments give the same
// figures. The errors are those of Evaluate and of ctx.
func Describe(ctx context.Context, m *Model, held *Table, features []string, threshold float64, seed uint64) (*Figures, error) {
	if len(features) != len(m.columns) || len(held.columns) != len(m.columns) {
		return nil, inputErrorf("%d features and %d columns for a model of %d", len(features), len(held.columns), len(m.columns))
	}
	scores := make([]float64, held.Rows())
	row := make([]float64, len(m.columns))
	for i := range scores {
		held.ReadRow(i, row)
		scores[i] = m.Score(row)
	}
	if err := checkScores(scores, held.labels); err != nil {
		return nil, err
	}
	f := &Figures{Rows: held.Rows(), Calibration: CalibrationOf(scores, held.labels), Confusion: ConfusionOf(scores, held.labels, threshold)}
	if m.search != nil && m.forest != nil {
		f.Curve = m.search.Curve
	}
	if m.linear != nil {
		f.Intercept = &m.linear.intercept
		for j, c := range m.linear.coef {
			f.Coefficients = append(f.Coefficients, Coefficient{m.columns[j], features[j], c})
		}
	}
	var err error
	f.Importance, err = importanceOf(ctx, m, held, features, seed)
	return f, err
}

// importanceOf measures each feature by shuffling it (Breiman, Random Forests, 2001;
// Fisher, Rudin and Dominici, JMLR 20, 2019), all its columns together, on a sample
// of the rows where those are many.
func importanceOf(ctx context.Context, m *Model, held *Table, features []string, seed uint64) ([]Importance, error) {
	names := slices.Clone(features)
	slices.Sort(names)
	names = slices.Compact(names)
	rows := importanceRows(len(names))
	if held.Rows() > rows {
		sample := held.subset(sampleRows(held.Rows(), rows, seed))
		if checkLabels(sample.labels) == nil {
			held = sample
		}
	}
	before, err := Evaluate(scoresShuffled(m, held, nil, nil), held.labels, m.Threshold())
	if err != nil {
		return nil, err
	}
	out := make([]Importance, len(names))
	faults := make([]error, len(names))
	used := m.uses()
	parallel(len(names), func(k int) {
		if faults[k] = ctx.Err(); faults[k] != nil {
			return
		}
		var columns []int
		for j, name := range features {
			if name == names[k] && used[j] {
				columns = append(columns, j)
			}
		}
		out[k].Feature = names[k]
		if columns == nil {
			return // the model does not look at it
		}
		for round := range importanceRounds {
			order := rand.New(rand.NewPCG(seed, uint64(round))).Perm(held.Rows())
			after, err := Evaluate(scoresShuffled(m, held, columns, order), held.labels, m.Threshold())
			if err != nil {
				faults[k] = err
				return
			}
			out[k].AUC += (before.AUC - after.AUC) / importanceRounds
			out[k].LogLoss += (after.LogLoss - before.LogLoss) / importanceRounds
		}
	})
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b Importance) int {
		switch {
		case a.LogLoss > b.LogLoss:
			return -1
		case a.LogLoss < b.LogLoss:
			return 1
		}
		return 0
	})
	return out, nil
}

// importanceRows returns how many rows are scored for each of a number of features.
func importanceRows(features int) int {
	least := min(fewImportanceRows, max(minImportanceRows, importanceScores/features))
	return max(least, importanceScores/importanceRounds/features)
}

// uses reports, for each column, whether a score can depend on it.
func (m *Model) uses() []bool {
	used := make([]bool, len(m.columns))
	if m.linear != nil {
		for j, c := range m.linear.coef {
			used[j] = c != 0
		}
	}
	if m.forest != nil {
		for _, n := range m.forest.nodes {
			if n.column != leafMark {
				used[n.column&^missingLeft] = true
			}
		}
	}
	return used
}

// scoresShuffled returns the score of each row with the numbers of the given columns
// taken from the row that order names.
func scoresShuffled(m *Model, held *Table, columns []int, order []int) []float64 {
	scores := make([]float64, held.Rows())
	row := make([]float64, len(m.columns))
	for i := range scores {
		held.ReadRow(i, row)
		for _, j := range columns {
			row[j] = held.packed[j].at(order[i])
		}
		scores[i] = m.Score(row)
	}
	return scores
}

// CalibrationOf compares scores in [0, 1] with labels in ten bins of the same width.
// It leaves out bins without rows.
func CalibrationOf(scores, labels []float64) []CalibrationBin {
	var bins [calibrationBins]CalibrationBin
	for i, p := range scores {
		b := &bins[min(int(p*calibrationBins), calibrationBins-1)]
		b.Count++
		b.MeanScore += p
		b.PositiveRate += labels[i]
	}
	var out []CalibrationBin
	for k, b := range bins {
		if b.Count == 0 {
			continue
		}
		b.From, b.To = float64(k)/calibrationBins, float64(k+1)/calibrationBins
		b.MeanScore /= float64(b.Count)
		b.PositiveRate /= float64(b.Count)
		out = append(out, b)
	}
	return out
}

// ConfusionOf counts rows by label and by the side of the threshold. A score at or
// above threshold predicts 1.
func ConfusionOf(scores, labels []float64, threshold float64) Confusion {
	c := Confusion{Threshold: threshold}
	for i, p := range scores {
		switch predicted := p >= threshold; {
		case predicted && labels[i] == 1:
			c.TruePositives++
		case predicted:
			c.FalsePositives++
		case labels[i] == 1:
			c.FalseNegatives++
		default:
			c.TrueNegatives++
		}
	}
	return c
}
