package insights

import (
	"context"
	"fmt"
	"time"

	"gateway/internal/insights/stats"
)

// DriftReport compares what a model is asked with the data that it was trained on, or
// with what it was asked in the week before.
type DriftReport struct {
	Model     string         `json:"model"`
	Reference DriftReference `json:"reference"`
	Window    DriftWindow    `json:"window"`
	Alarm     bool           `json:"alarm"` // a feature, or the score, has drifted
	Score     ScoreDrift     `json:"score"`
	Features  []FeatureDrift `json:"features"` // those that have drifted first, then by their share of the score's shift
	Series    []DriftPoint   `json:"series"`
	// Unavailable says why there is no comparison; empty where there is one.
	Unavailable string `json:"unavailable,omitempty"`
}

// DriftReference is what the window is compared with: the training part of the model's
// data, or the predictions of the model in the seven days before the window.
type DriftReference struct {
	Against string     `json:"against"` // AgainstTraining or AgainstWeek
	Rows    int64      `json:"rows"`
	From    *time.Time `json:"from,omitempty"` // of predictions
	To      *time.Time `json:"to,omitempty"`
}

// What a window is compared with.
const (
	AgainstTraining = "training"
	AgainstWeek     = "week"
)

// week is how long before a window its reference begins, with AgainstWeek. So the days
// of the week have the same share on both sides, if the window has a week too.
const week = 7 * 24 * time.Hour

// DriftWindow is what is compared with it.
type DriftWindow struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Rows int64     `json:"rows"`
}

// Distance is how far a distribution is from its reference. Its figures are nil where
// too few rows carry them; Insufficient has the reason.
type Distance struct {
	PSI          *float64 `json:"psi"` // population stability index
	Threshold    *float64 `json:"threshold"`
	PValue       *float64 `json:"p_value"`
	Drifted      bool     `json:"drifted"`
	Insufficient string   `json:"insufficient,omitempty"`
}

// Pair is a figure in the reference and live; nil: unknown.
type Pair struct {
	Reference *float64 `json:"reference"`
	Live      *float64 `json:"live"`
}

// DriftBin has the shares of rows in a bin.
type DriftBin struct {
	Label string `json:"label"`
	Pair
}

// ScoreDrift is the drift of the score; its reference are the held-out rows, or the
// predictions of the week before.
type ScoreDrift struct {
	Distance
	Mean Pair       `json:"mean"`
	Bins []DriftBin `json:"bins"`
}

// FeatureDrift is the drift of a feature.
type FeatureDrift struct {
	Feature string `json:"feature"`
	Distance
	// ShareOfScoreShift is how much of the shift of scores is due to the feature, as far
	// as the mean contributions of its bins tell or, of a model that is not explained, the
	// mean scores; nil: unknown.
	ShareOfScoreShift *float64 `json:"share_of_score_shift"`
	// MeanContribution is the mean absolute contribution of the feature to the log-odds of
	// held-out rows: how much the model goes by it; nil: unknown.
	MeanContribution *float64 `json:"mean_contribution"`
	// Shares of rows: the value is null or took the schema's default; is an unlisted
	// category; is a number beyond those of the training data.
	Missing    Pair       `json:"missing"`
	Unseen     Pair       `json:"unseen"`
	OutOfRange Pair       `json:"out_of_range"`
	Bins       []DriftBin `json:"bins"`
}

// DriftPoint has the distances of one bucket; a feature with too few rows has none.
// Thresholds depend on the rows of the bucket.
type DriftPoint struct {
	Start          time.Time          `json:"start"`
	Rows           int64              `json:"rows"`
	Score          *float64           `json:"score"` // PSI
	ScoreThreshold *float64           `json:"score_threshold"`
	PSI            map[string]float64 `json:"psi"`
	Thresholds     map[string]float64 `json:"thresholds"`
}

// Drift returns the drift of a model, by default the one that serves.
func (r *Reports) Drift(ctx context.Context, q Query) (*DriftReport, error) {
	if q.Against == "" {
		q.Against = AgainstTraining
	}
	if q.Against == AgainstWeek && q.From.IsZero() {
		q.lasts = week
	}
	q, err := q.complete(r.now())
	if err != nil {
		return nil, err
	}
	model, err := r.model(ctx, q.Model)
	if err != nil {
		return nil, err
	}
	q.Model = model.Name
	profile, held, err := r.store.Profile(ctx, model.Name)
	if err != nil {
		return nil, err
	}
	sums, err := q.sums(ctx, r.store.Sums)
	if err != nil {
		return nil, err
	}
	buckets := byModel(sums, q.Bucket)[model.Name]
	live := total(buckets)
	report := &DriftReport{Model: model.Name, Reference: DriftReference{Against: q.Against}, Window: DriftWindow{q.From, q.To, live.Rows}, Features: []FeatureDrift{}, Series: []DriftPoint{}}
	report.Score.Bins = []DriftBin{}
	if profile == nil && q.Against == AgainstTraining {
		report.Unavailable = "nothing is kept of the data that the model was trained on: it was made elsewhere, or by an earlier version of the gateway; there will be drift once the next renewal has made a model"
		report.Score.Insufficient = report.Unavailable
		for _, b := range inOrder(buckets) {
			report.Series = append(report.Series, newDriftPoint(b))
		}
		return report, nil
	}
	x, err := r.comparison(ctx, q, profile, held, &report.Reference)
	if err != nil {
		return nil, err
	}
	report.Score = x.score(live)
	report.Features = x.features(live)
	report.Alarm = report.Score.Drifted
	for _, f := range report.Features {
		report.Alarm = report.Alarm || f.Drifted
	}
	for _, b := range inOrder(buckets) {
		report.Series = append(report.Series, x.point(b))
	}
	return report, nil
}

// comparison compares sums with a reference.
type comparison struct {
	r         *Reports
	bins      []FeatureBins
	reference Counts   // by feature and bin
	held      *Holdout // nil: the model was not evaluated
	scores    scoreReference
}

// scoreReference is what scores are compared with.
type scoreReference struct {
	scoreGroups
	mean *float64 // nil: there are no rows
	none string   // why there is no reference
}

// comparison returns that of the query, and describes its reference. Without a profile
// it is of the score alone.
func (r *Reports) comparison(ctx context.Context, q Query, p *Profile, held *Holdout, reference *DriftReference) (*comparison, error) {
	x := &comparison{r: r, held: held}
	if p != nil {
		x.bins = p.Bins.Features
	}
	var err error
	if q.Against == AgainstWeek {
		return x, x.againstWeek(ctx, q, reference)
	}
	reference.Rows = p.Rows
	if x.reference, err = ParseCounts(p.Counts); err != nil {
		return nil, err
	}
	if held == nil {
		x.scores.none = "the model was not evaluated on held-out rows, which are the reference of the score"
		return x, nil
	}
	counts, err := ParseCounts(held.Scores)
	if err != nil {
		return nil, err
	}
	x.scores = scoreReference{scoreGroups: newScoreGroups(counts), mean: &held.MeanScore}
	return x, nil
}

// againstWeek takes what the model was asked in the week before the window as the
// reference. A period that begins before the window and ends in it counts to the window.
func (x *comparison) againstWeek(ctx context.Context, q Query, reference *DriftReference) error {
	begin, end := q.From.Add(-week), q.From
	reference.From, reference.To = &begin, &end
	before := q
	before.From, before.To = begin, end
	sums, err := before.sums(ctx, x.r.store.Sums)
	if err != nil {
		return err
	}
	of := new(Sum)
	for i := range sums {
		if sums[i].Key.Start.Before(sums[i].Key.Period.Start(end)) {
			of.Merge(&sums[i])
		}
	}
	reference.Rows, x.reference = of.Rows, of.Features
	x.scores = scoreReference{scoreGroups: newScoreGroups(of.Scores[:min(scoreSum, len(of.Scores))]), mean: of.meanScore()}
	return nil
}

// meanScore returns the mean score of the predictions; nil: there are none.
func (s *Sum) meanScore() *float64 {
	return share(float64(s.Scores.At(scoreSum, 0))/1e6, float64(s.Rows))
}

// seen returns the counts by bin with those of the schema's default in the bin of its
// value: the model cannot tell them.
func (f *FeatureBins) seen(counts Counts, feature int) []float64 {
	seen := make([]float64, f.bins())
	for bin := range seen {
		to := bin
		if bin == defaultedBin && f.Default > 0 {
			to = f.Default
		}
		seen[to] += float64(max(0, counts.At(feature, bin)))
	}
	return seen
}

func (x *comparison) histograms(live *Sum) []stats.Histograms {
	all := make([]stats.Histograms, len(x.bins))
	for i := range x.bins {
		all[i] = stats.Histograms{Reference: x.bins[i].seen(x.reference, i), Live: x.bins[i].seen(live.Features, i), Special: firstValueBin}
		if means := x.held.means(); i < len(means) {
			all[i].Contribution = x.contribution(i, means[i])
		}
	}
	return all
}

// means are, by feature and bin, what the shift of scores is computed from: the mean
// contributions to the log-odds or, if the model is not explained, the mean log-odds.
func (h *Holdout) means() [][]float64 {
	switch {
	case h == nil:
		return nil
	case len(h.Contributions) > 0:
		return h.Contributions
	}
	return h.LogOdds
}

// meanContribution is that of feature i; nil: unknown.
func (h *Holdout) meanContribution(i int) *float64 {
	if h == nil || i >= len(h.MeanContributions) {
		return nil
	}
	return &h.MeanContributions[i]
}

// contribution completes the means of a feature's bins. A bin without held-out rows has
// that of the value which the model sees instead, or the mean of all rows.
func (x *comparison) contribution(i int, means []float64) []float64 {
	f := &x.bins[i]
	out := make([]float64, f.bins())
	copy(out, means)
	if f.Default > 0 && f.Default < len(out) {
		out[defaultedBin] = out[f.Default]
	}
	if at := x.r.schema.Feature(f.Name); at >= 0 && x.r.schema.Features[at].Unknown != "" {
		for bin, value := range f.Values {
			if value == x.r.schema.Features[at].Unknown {
				out[unseenBin] = out[firstValueBin+bin]
			}
		}
	}
	if n := len(f.Ranges); n > 0 && out[outOfRangeBin] == 0 {
		// Beyond the training data most models go on as at its end; which one is not
		// counted.
		out[outOfRangeBin] = (out[firstValueBin] + out[firstValueBin+n-1]) / 2
	}
	return out
}

func (x *comparison) features(live *Sum) []FeatureDrift {
	all := x.histograms(live)
	var histograms []stats.Histograms
	var index []int // of each into x.bins
	out := make([]FeatureDrift, 0, len(x.bins))
	var personal []FeatureDrift
	for i := range x.bins {
		if x.bins[i].Personal {
			personal = append(personal, FeatureDrift{Feature: x.bins[i].Name, Bins: []DriftBin{}, MeanContribution: x.held.meanContribution(i),
				Distance: Distance{Insufficient: "the feature is personal: the gateway keeps nothing of its values"}})
			continue
		}
		histograms, index = append(histograms, all[i]), append(index, i)
	}
	drifts := stats.FindDrift(histograms)
	for _, k := range stats.Order(drifts) {
		out = append(out, x.feature(index[k], histograms[k], drifts[k], live))
	}
	return append(out, personal...)
}

func (x *comparison) feature(i int, h stats.Histograms, d stats.Drift, live *Sum) FeatureDrift {
	f := &x.bins[i]
	out := FeatureDrift{Feature: f.Name, Distance: distance(d), MeanContribution: x.held.meanContribution(i), Bins: []DriftBin{}}
	if d.Insufficient == "" && x.held != nil {
		out.ShareOfScoreShift = &d.ShareOfScoreShift
	}
	n, m := sum(h.Live), sum(h.Reference)
	pair := func(bins ...int) Pair {
		var a, b float64
		for _, bin := range bins {
			a += float64(max(0, x.reference.At(i, bin)))
			b += float64(max(0, live.Features.At(i, bin)))
		}
		return Pair{share(a, m), share(b, n)}
	}
	out.Missing, out.Unseen, out.OutOfRange = pair(missingBin, defaultedBin), pair(unseenBin), pair(outOfRangeBin)
	for bin := range h.Live {
		special := bin < firstValueBin
		if bin == defaultedBin || special && h.Live[bin] == 0 && h.Reference[bin] == 0 {
			continue
		}
		out.Bins = append(out.Bins, DriftBin{x.r.labelOf(f, bin), Pair{share(h.Reference[bin], m), share(h.Live[bin], n)}})
	}
	return out
}

func distance(d stats.Drift) Distance {
	if d.Insufficient != "" {
		return Distance{Insufficient: d.Insufficient}
	}
	return Distance{PSI: &d.PSI, Threshold: &d.Threshold, PValue: &d.PValue, Drifted: d.Drifted}
}

func sum(counts []float64) (n float64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// share returns nil where there are no rows.
func share(part, all float64) *float64 {
	if all == 0 {
		return nil
	}
	part /= all
	return &part
}

func (x *comparison) score(live *Sum) ScoreDrift {
	out := ScoreDrift{Mean: Pair{x.scores.mean, live.meanScore()}, Bins: []DriftBin{}}
	if x.scores.none != "" {
		out.Insufficient = x.scores.none
		return out
	}
	h := x.scores.histograms(live)
	out.Distance = distance(stats.FindDrift([]stats.Histograms{h})[0])
	n, m := sum(h.Live), sum(h.Reference)
	for i := range h.Live {
		from, _ := stats.ScoreBinBounds(x.scores.first[i])
		to := 1.0
		if i+1 < len(x.scores.first) {
			to, _ = stats.ScoreBinBounds(x.scores.first[i+1])
		}
		out.Bins = append(out.Bins, DriftBin{fmt.Sprintf("%.3g to %.3g", from, to), Pair{share(h.Reference[i], m), share(h.Live[i], n)}})
	}
	return out
}

func (x *comparison) point(b *Sum) DriftPoint {
	p := newDriftPoint(b)
	drifts := stats.FindDrift(x.histograms(b))
	for i, d := range drifts {
		if d.Insufficient == "" && !x.bins[i].Personal {
			p.PSI[x.bins[i].Name], p.Thresholds[x.bins[i].Name] = d.PSI, d.Threshold
		}
	}
	if x.scores.none == "" {
		d := distance(stats.FindDrift([]stats.Histograms{x.scores.histograms(b)})[0])
		p.Score, p.ScoreThreshold = d.PSI, d.Threshold
	}
	return p
}

func newDriftPoint(b *Sum) DriftPoint {
	return DriftPoint{Start: b.Key.Start, Rows: b.Rows, PSI: map[string]float64{}, Thresholds: map[string]float64{}}
}

// scoreGroups are groups of neighbouring bins of the score with about equal counts in
// the reference.
type scoreGroups struct {
	first     []int // the first bin of each group
	reference []float64
}

// wantedGroups is the number of groups.
const wantedGroups = 10

// newScoreGroups groups rows of counts by bin of the score.
func newScoreGroups(reference Counts) scoreGroups {
	var byBin [stats.ScoreBins]float64
	all := 0.0
	for row := range reference {
		for bin, n := range reference[row] {
			byBin[bin] += float64(n)
			all += float64(n)
		}
	}
	if all == 0 {
		return scoreGroups{first: []int{0}, reference: []float64{0}}
	}
	var g scoreGroups
	seen := 0.0
	for bin, n := range byBin {
		if len(g.first) == 0 || g.reference[len(g.reference)-1] >= all/wantedGroups && all-seen >= all/wantedGroups/2 {
			g.first, g.reference = append(g.first, bin), append(g.reference, 0)
		}
		g.reference[len(g.reference)-1] += n
		seen += n
	}
	return g
}

func (g scoreGroups) histograms(live *Sum) stats.Histograms {
	h := stats.Histograms{Reference: g.reference, Live: make([]float64, len(g.first))}
	group := 0
	for bin := range stats.ScoreBins {
		for group+1 < len(g.first) && bin >= g.first[group+1] {
			group++
		}
		h.Live[group] += float64(max(0, live.Scores.At(0, bin)+live.Scores.At(1, bin)))
	}
	return h
}
