package learn

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
)

// Search is what Auto tried, and what it chose.
type Search struct {
	// Rows is how many rows candidates were compared on: all rows of the
	// training data or, where those are many, a sample.
	Rows int `json:"rows"`
	// Folds is how many parts these rows were divided into. Each part is judged
	// by models that learned from the others. 0: too few rows to compare by.
	Folds int `json:"folds"`
	// Candidates are in the order in which they were tried.
	Candidates []Candidate `json:"candidates"`
	// Mixtures are what the best linear and the best boosted candidate were made
	// into, with calibrations, in the order in which they were compared. Artifacts
	// of earlier versions have none.
	Mixtures []Mixture `json:"mixtures,omitempty"`
	// Chosen is the algorithm of the model.
	Chosen Algorithm `json:"chosen"`
	// Why is the reason of the choice. Artifacts of earlier versions have none.
	Why string `json:"why,omitempty"`
	// Calibration is how scores were brought closer to the rates of positives:
	// none, logistic or isotonic.
	Calibration string `json:"calibration"`
	// Curve is the mean log loss on held-out rows after each boosting round, of
	// the boosted candidate that was best alone.
	Curve []float64 `json:"curve,omitempty"`
}

// Candidate is one way to learn, with its quality on rows that were not learned
// from.
type Candidate struct {
	Algorithm       Algorithm         `json:"algorithm"`
	Hyperparameters map[string]string `json:"hyperparameters"`
	LogLoss         float64           `json:"log_loss"`
	AUC             float64           `json:"auc"`
	// MeanOf is the number of boosted candidates whose log-odds the model averages:
	// those of the lowest log loss. It is 0 if the model is no mean.
	MeanOf int `json:"mean_of,omitempty"`
	// Problem is why it could not be tried. The figures are then 0.
	Problem string `json:"problem,omitempty"`
}

// Mixture is a linear model, a boosted one or a blend of both, with its quality on
// rows that neither the models nor the calibration were fitted to.
type Mixture struct {
	Algorithm   Algorithm `json:"algorithm"`
	Calibration string    `json:"calibration"` // as Search.Calibration
	LogLoss     float64   `json:"log_loss"`
}

// What Search.Calibration may be.
const (
	CalibrationNone     = "none"
	CalibrationLogistic = "logistic"
	CalibrationIsotonic = "isotonic"
)

const (
	// searchRows bounds the rows that candidates are compared on.
	searchRows = 40_000
	// manyRows is the number of rows above which three folds are enough, and sums
	// of functions of one column are not tried.
	manyRows = 10_000
	// fewColumns is the number of columns below which trees of half of them would
	// miss too much.
	fewColumns = 8
	// searchWork bounds the sum over all boosted candidates and folds of rows ×
	// groups of columns × rounds. It bounds the time of a search without making its
	// result depend on the time: 1e9 takes about 6 s on two cores.
	searchWork = 2_000_000_000
	// roundRows is the number of rows that the histograms of a tree take as long as, however
	// few rows there are.
	roundRows = 10_000
	// linearWork bounds the sum over all linear candidates and folds of the products and
	// sums of Newton's method: 1e10 takes about 6 s on two cores. Where there is too much
	// to do, candidates are compared on fewer rows, but at least on minLinearRows.
	linearWork    = 20_000_000_000
	minLinearRows = 5_000
	// searchRounds bounds the rounds of a boosted candidate. minSearchRounds are
	// affordable even where columns are very many.
	searchRounds    = 400
	minSearchRounds = 100
	// patience is after how many rounds without a lower loss a candidate stops.
	patience = 30
	// minSearchLabel is how many rows of either label a search needs. With fewer,
	// its figures would be chance.
	minSearchLabel = 10
	// worthwhile is how much lower the log loss must be for a calibration or a
	// blend to be used rather than the simpler model.
	worthwhile = 1e-4
)

// boostedCandidates are the settings of boosting that are compared: trees of
// many interactions that gamma stops early, trees of some, and sums of functions
// of one column each, which are best on small data. The last is not tried on many
// rows: it takes the most rounds, and is not best there.
func boostedCandidates(rows, columns int) []map[string]string {
	deep := map[string]string{"max_depth": "8", "gamma": "3", "eta": "0.07"}
	medium := map[string]string{"max_depth": "5", "gamma": "0.5", "eta": "0.07", "min_child_weight": "4", "colsample_bytree": "0.5"}
	if columns < fewColumns {
		delete(medium, "colsample_bytree")
	}
	additive := map[string]string{"max_depth": "1", "gamma": "0", "eta": "0.1", "min_child_weight": "2"}
	if rows > manyRows {
		return []map[string]string{deep, medium}
	}
	return []map[string]string{deep, medium, additive}
}

// linearPenalties are the values of C, in scikit-learn's terms, that are
// compared.
func linearPenalties() []float64 { return []float64{1, 0.1} }

// autoSettings are the hyperparameters that were given to Auto. They hold for
// every candidate of the algorithm that they are of.
type autoSettings struct {
	linear, boosting map[string]string
	seed             uint64
}

// parseAuto divides given by the algorithms that know the names.
func parseAuto(given map[string]string, seed uint64) (s autoSettings, ignored []string, err error) {
	s = autoSettings{linear: map[string]string{}, boosting: map[string]string{}, seed: seed}
	linear, boosting := names(linearParameters()), names(boostParameters())
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		inLinear, inBoosting := slices.Contains(linear, name), slices.Contains(boosting, name)
		if inLinear {
			s.linear[name] = given[name]
		}
		if inBoosting {
			s.boosting[name] = given[name]
		}
		if !inLinear && !inBoosting {
			faults = append(faults, unknownHyperparameter(name, slices.Sorted(slices.Values(slices.Concat(linear, boosting)))))
		}
	}
	_, ignoredLinear, err := parseLinear(s.linear)
	faults = append(faults, err)
	boost, ignoredBoosting, err := parseBoosting(s.boosting, seed)
	faults = append(faults, err)
	s.seed = boost.seed
	for name := range given {
		_, inLinear := s.linear[name]
		_, inBoosting := s.boosting[name]
		if (!inLinear || slices.Contains(ignoredLinear, name)) && (!inBoosting || slices.Contains(ignoredBoosting, name)) {
			ignored = append(ignored, name)
		}
	}
	slices.Sort(ignored)
	return s, ignored, errors.Join(faults...)
}

// check judges the values that parsed, for data of the given width.
func (s autoSettings) check(width int) error {
	linear, _, err := parseLinear(s.linear)
	if err != nil {
		return err
	}
	boosting, _, err := parseBoosting(s.boosting, s.seed)
	if err != nil {
		return err
	}
	return errors.Join(linear.check(width), boosting.check())
}

// tuner compares candidates on data by cross-validation.
type tuner struct {
	settings autoSettings
	data     *Table // all rows or a sample
	rows     int    // of all the training data
	coded    []int
	entries  float64 // in a row of a linear model's design, on average
	width    int     // of the design
	folds    folds
	tables   []*Table  // by fold: the rows as models of the other folds take them
	binned   []*binned // the same, made when first needed
	record   *Search
	progress func(done int) // called with the steps done
	done     int
}

// newTuner prepares the comparison on data, or on a sample of it.
func newTuner(data *Table, s autoSettings, coded []int) *tuner {
	t := &tuner{settings: s, data: data, coded: coded, rows: data.Rows(), record: &Search{Calibration: CalibrationNone}}
	rows := min(t.rows, searchRows)
	if rows < t.rows {
		t.data = data.subset(sampleRows(t.rows, rows, s.seed))
	}
	t.entries, t.width = entries(summarise(t.data))
	for rows > minLinearRows && t.linearSearch(rows) > linearWork {
		rows = max(minLinearRows, rows*3/4)
	}
	if rows < t.data.Rows() {
		t.data = data.subset(sampleRows(t.rows, rows, s.seed))
	}
	count := foldsOf(rows)
	t.folds = newFolds(t.data.labels, count, s.seed)
	t.record.Rows = t.data.Rows()
	t.tables = make([]*Table, count)
	for k := range t.tables {
		t.tables[k] = t.data
		if len(coded) > 0 {
			t.tables[k], _ = newCoder(t.data, coded, s.seed).table(t.folds.held(k))
		}
	}
	return t
}

// foldsOf returns the number of folds that candidates are compared in.
func foldsOf(rows int) int {
	if rows > manyRows {
		return 3
	}
	return 5
}

// linearSearch returns the work of comparing the linear candidates on a number of rows.
func (t *tuner) linearSearch(rows int) float64 {
	folds := foldsOf(rows)
	return float64(len(t.linearPenalties())*folds) * newtonWork(rows-rows/folds, t.width, t.entries)
}

// bin cuts the columns into bins, for each fold.
func (t *tuner) bin(most int) {
	if t.binned != nil {
		return
	}
	t.binned = make([]*binned, len(t.tables))
	for k, data := range t.tables {
		if k > 0 && data == t.tables[0] {
			t.binned[k] = t.binned[0]
			continue
		}
		t.binned[k] = newBinned(data, most)
	}
}

// comparable reports whether there are enough rows of either label to compare by.
func (t *tuner) comparable() bool {
	positives := 0
	for _, y := range t.data.labels {
		positives += int(y)
	}
	return min(positives, t.data.Rows()-positives) >= minSearchLabel
}

// tried is a candidate with the log-odds that it gave to rows it had not learned
// from.
type tried struct {
	linear   linearSettings
	boosting []boostSettings // the mean of the log-odds of their forests
	margins  []float64
	logLoss  float64
}

// searchLinear returns the best linear candidate, or nil if none could be tried.
func (t *tuner) searchLinear(ctx context.Context) (*tried, error) {
	var best *tried
	for _, c := range t.linearPenalties() {
		s, _, err := parseLinear(t.settings.linear)
		if err != nil {
			return nil, err
		}
		if c != 1 {
			s.shrink = 1 / c
		}
		found := Candidate{Algorithm: LinearLearner, Hyperparameters: s.describe(float64(t.rows))}
		var margins []float64
		err = t.affordsLinear()
		if err == nil {
			margins, err = t.linearMargins(ctx, s)
		}
		t.step()
		switch {
		case errors.Is(err, ErrInput):
			found.Problem = err.Error()
		case err != nil:
			return nil, err
		default:
			t.judge(&found, margins)
			if best == nil || found.LogLoss < best.logLoss-minImprovement {
				best = &tried{linear: s, margins: margins, logLoss: found.LogLoss}
			}
		}
		t.record.Candidates = append(t.record.Candidates, found)
		if found.Problem != "" {
			break
		}
	}
	return best, nil
}

// linearPenalties returns the values of C that are compared.
func (t *tuner) linearPenalties() []float64 {
	if _, given := t.settings.linear["wd"]; given {
		return linearPenalties()[:1]
	}
	return linearPenalties()
}

// affordsLinear returns an error that matches ErrInput if linear models of the data take
// more work than the search allows.
func (t *tuner) affordsLinear() error {
	if t.linearSearch(t.data.Rows()) <= linearWork && newtonWork(t.rows, t.width, t.entries) <= maxLinearFit {
		return nil
	}
	return inputErrorf("%d columns of %d rows take too long for the search; train with linear-learner to have it all the same", t.width, t.rows)
}

// linearMargins returns the log-odds of every row by a model of the other folds.
func (t *tuner) linearMargins(ctx context.Context, s linearSettings) ([]float64, error) {
	margins := make([]float64, t.data.Rows())
	row := make([]float64, len(t.data.columns))
	for k := range t.folds.count {
		l, err := trainLinear(ctx, t.tables[k].subset(t.folds.rows(k, false)), s, nil)
		if err != nil {
			return nil, err
		}
		for _, i := range t.folds.rows(k, true) {
			t.tables[k].ReadRow(int(i), row)
			margins[i] = l.margin(row)
		}
	}
	return margins, nil
}

// searchBoosting returns the best boosted candidate, or a mean of the best ones.
func (t *tuner) searchBoosting(ctx context.Context) (*tried, error) {
	var best *tried
	var all []*tried
	for _, preset := range t.boostedCandidates() {
		parameters := maps.Clone(preset)
		maps.Copy(parameters, t.settings.boosting)
		s, _, err := parseBoosting(parameters, t.settings.seed)
		if err != nil {
			return nil, err
		}
		t.bin(s.bins)
		if share := t.affordableShare(s.depth); share < s.columnSample && !t.givesShare() {
			s.columnSample = share
			parameters["colsample_bytree"] = strconv.FormatFloat(share, 'g', -1, 64)
		}
		if _, given := t.settings.boosting["num_round"]; !given {
			s.rounds = t.affordableRounds(s.depth)
		}
		run, err := boostFolds(ctx, t.binned, t.data.labels, t.folds, s)
		if err != nil {
			return nil, err
		}
		t.step()
		parameters["num_round"] = strconv.Itoa(run.rounds)
		s.rounds = run.rounds
		found := Candidate{Algorithm: XGBoost, Hyperparameters: parameters}
		t.judge(&found, run.margins)
		t.record.Candidates = append(t.record.Candidates, found)
		all = append(all, &tried{boosting: []boostSettings{s}, margins: run.margins, logLoss: found.LogLoss})
		if best == nil || found.LogLoss < best.logLoss-minImprovement {
			best = all[len(all)-1]
			t.record.Curve = run.curve
		}
	}
	return t.average(best, all), nil
}

func (t *tuner) boostedCandidates() []map[string]string {
	return boostedCandidates(t.data.Rows(), len(t.data.columns))
}

// affordableRounds returns how many rounds of boosting a candidate of a depth may have.
func (t *tuner) affordableRounds(depth int) int {
	return min(searchRounds, max(minSearchRounds, searchWork/t.roundWork(depth)))
}

// affordableShare returns the share of the columns for each tree with which a candidate
// of a depth may have minSearchRounds.
func (t *tuner) affordableShare(depth int) float64 {
	share := float64(searchWork) / minSearchRounds / float64(t.roundWork(depth))
	return min(1, max(0.01, math.Floor(100*share)/100))
}

// givesShare reports whether the share of the columns is a setting.
func (t *tuner) givesShare() bool {
	_, given := t.settings.boosting["colsample_bytree"]
	return given
}

// roundWork returns the work of a round of boosted candidates of a depth on all columns.
// Trees of one decision take about a quarter of that of others.
func (t *tuner) roundWork(depth int) int {
	work := len(t.boostedCandidates()) * t.folds.count * max(roundRows, t.data.Rows()) * max(1, len(t.binned[0].groups))
	if depth == 1 {
		return work / 4
	}
	return work
}

// judge fills in the figures of a candidate.
func (t *tuner) judge(c *Candidate, margins []float64) {
	labels := t.data.labels
	c.LogLoss = marginLoss(margins, labels)
	c.AUC = rank(margins, labels).auc
}

func (t *tuner) step() {
	t.done++
	t.progress(t.done)
}

// marginLoss returns the mean log loss of log-odds.
func marginLoss(margins, labels []float64) float64 {
	sum := 0.0
	for i, m := range margins {
		sum += softplus(m) - labels[i]*m
	}
	return sum / float64(len(margins))
}

// trainAuto compares candidates, and learns from all rows as the best of them,
// or their blend, does.
func trainAuto(ctx context.Context, m *Model, data *Table, s autoSettings, coded []int, progress func(done, total int)) error {
	t := newTuner(data, s, coded)
	total := len(linearPenalties()) + len(t.boostedCandidates()) + 1 // one for the model
	t.progress = func(done int) {
		if progress != nil {
			progress(done, total)
		}
	}
	m.search = t.record
	var linear, boosted *tried
	switch {
	case t.comparable():
		t.record.Folds = t.folds.count
		var err error
		if linear, err = t.searchLinear(ctx); err != nil {
			return err
		}
		if boosted, err = t.searchBoosting(ctx); err != nil {
			return err
		}
	case data.missing() >= 0:
		plain, _, err := parseBoosting(s.boosting, s.seed)
		if err != nil {
			return err
		}
		boosted = &tried{boosting: []boostSettings{plain}}
	default:
		plain, _, err := parseLinear(s.linear)
		if err != nil {
			return err
		}
		linear = &tried{linear: plain}
	}
	mix := t.choose(linear, boosted)
	t.record.Chosen = mix.algorithm()
	t.progress(total - 1)
	if len(coded) > 0 {
		data, m.codes = newCoder(data, coded, s.seed).table(nil)
	}
	if err := m.become(ctx, data, mix, linear, boosted); err != nil {
		return err
	}
	t.progress(total)
	return nil
}

// become makes m the mixture of the models that learn from data as the candidates
// did. The weights are multiplied into coefficients and leaves.
func (m *Model) become(ctx context.Context, data *Table, mix mixture, linear, boosted *tried) error {
	if mix.linear != 0 {
		l, err := trainLinear(ctx, data, linear.linear, nil)
		if err != nil {
			return err
		}
		m.linear = l.scaled(mix.linear)
		m.linear.intercept += mix.shift
	}
	if mix.boosted != 0 {
		f, err := trainMean(ctx, data, boosted.boosting)
		if err != nil {
			return err
		}
		m.forest = f.scaled(mix.boosted)
		if m.linear == nil {
			m.forest.base += mix.shift
		}
	}
	m.algorithm, m.calibration = mix.algorithm(), mix.calibration
	return nil
}

// describe returns the hyperparameters that a candidate adds to those given.
func (s linearSettings) describe(rows float64) map[string]string {
	wd := s.wd
	if wd == autoPenalty {
		wd = s.shrink / rows
	}
	return map[string]string{"wd": strconv.FormatFloat(wd, 'g', 4, 64)}
}

// names returns all spellings of the parameters.
func names[S any](parameters []parameter[S]) []string {
	var out []string
	for _, p := range parameters {
		out = append(out, p.names...)
	}
	return out
}

// scaled returns l with its log-odds multiplied by factor.
func (l *linear) scaled(factor float64) *linear {
	out := &linear{intercept: l.intercept * factor, coef: slices.Clone(l.coef), mean: l.mean}
	for j := range out.coef {
		out.coef[j] *= factor
	}
	return out
}

// scaled returns f with its log-odds multiplied by factor.
func (f *forest) scaled(factor float64) *forest {
	out := &forest{base: f.base * factor, nodes: slices.Clone(f.nodes), roots: f.roots, cover: f.cover}
	for i := range out.nodes {
		if out.nodes[i].column == leafMark {
			out.nodes[i].number *= factor
		}
	}
	return out
}
