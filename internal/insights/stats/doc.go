// Package stats has the statistics of insights: is the model still right, and
// has the data changed? Its functions are pure. They take counts, which are
// kept in bins and can be added up over hours and replicas, and return figures
// with 95 % confidence intervals.
//
//	scorebins.go    ScoreBin: which bin counts a score
//	cell.go         Cell: predictions and outcomes of one bin
//	quality.go      Measure: AUC, log loss, …, of predictions with outcomes
//	estimate.go     Expect: the same figures before there are outcomes
//	recalibrate.go  Recalibrate: rates of held-out rows in place of scores
//	delaybins.go    DelayBin: which bin counts a delay or an age
//	maturity.go     LearnMaturity: when most outcomes are there
//	drift.go        FindDrift: which distributions have changed
//	correlation.go  Correlation: Pearson's, of a stream of pairs
//
// Counts are float64, so that they can be weighted; they are whole numbers
// wherever the gateway counts.
package stats
