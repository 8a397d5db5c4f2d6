package learn

import (
	"errors"
	"math"
	"slices"
	"strconv"
)

// boostSettings are the hyperparameters of xgboost that are in effect, with
// the meaning XGBoost gives them.
type boostSettings struct {
	rounds         int     // num_round: number of trees
	depth          int     // max_depth: most splits from root to leaf
	eta            float64 // eta: share of each tree's answer that is used
	minChildWeight float64 // min_child_weight: least sum of second derivatives in a child
	lambda         float64 // lambda: L2 penalty on leaf values
	alpha          float64 // alpha: L1 penalty on leaf values
	gamma          float64 // gamma: least gain of a split
	subsample      float64 // subsample: share of rows each tree sees
	columnSample   float64 // colsample_bytree: share of columns each tree sees
	bins           int     // max_bin: most bins per column
	positiveWeight float64 // scale_pos_weight: weight of positive rows
	baseScore      float64 // base_score: probability to start from; 0 is the base rate
	seed           uint64  // seed: of the sampling; instead of Options.Seed
}

// defaultBoostSettings were chosen by repeated random splits of the bank
// marketing data, with and without the call's duration: deep trees that gamma
// stops early, each seeing most rows and columns, rank better there than
// shallow trees of everything. XGBoost's own defaults differ: max_depth=6,
// eta=0.3, lambda=1, gamma=0 and no sampling.
func defaultBoostSettings() boostSettings {
	return boostSettings{
		rounds:         100,
		depth:          8,
		eta:            0.07,
		minChildWeight: 1,
		lambda:         3,
		gamma:          3,
		subsample:      0.9,
		columnSample:   0.8,
		bins:           256,
		positiveWeight: 1,
	}
}

const (
	// deepest bounds max_depth, and with it the memory of a level.
	deepest = 16
	// maxBins bounds max_bin: bins are stored in 16 bits, and missing numbers
	// have one of their own.
	maxBins = math.MaxUint16 - 1
)

func boostParameters() []parameter[boostSettings] {
	type s = boostSettings
	return slices.Concat(
		[]parameter[s]{
			whole(func(s *s) *int { return &s.rounds }, "num_round"),
			whole(func(s *s) *int { return &s.depth }, "max_depth"),
			number(func(s *s) *float64 { return &s.eta }, "eta", "learning_rate"),
			number(func(s *s) *float64 { return &s.minChildWeight }, "min_child_weight"),
			number(func(s *s) *float64 { return &s.lambda }, "lambda", "reg_lambda"),
			number(func(s *s) *float64 { return &s.alpha }, "alpha", "reg_alpha"),
			number(func(s *s) *float64 { return &s.gamma }, "gamma", "min_split_loss"),
			number(func(s *s) *float64 { return &s.subsample }, "subsample"),
			number(func(s *s) *float64 { return &s.columnSample }, "colsample_bytree"),
			whole(func(s *s) *int { return &s.bins }, "max_bin"),
			number(func(s *s) *float64 { return &s.positiveWeight }, "scale_pos_weight"),
			orAuto(number(func(s *s) *float64 { return &s.baseScore }, "base_score")),
			{names: []string{"seed"}, parse: parseSeed},
			only[s]("objective", "binary:logistic"),
			only[s]("booster", "gbtree"),
			only[s]("csv_weights", "0"),
		},
		ignoredNumbers[s]("colsample_bylevel", "colsample_bynode", "early_stopping_rounds", "lambda_bias",
			"max_delta_step", "max_leaves", "nthread", "num_class", "num_parallel_tree", "one_drop", "rate_drop",
			"refresh_leaf", "silent", "sketch_eps", "skip_drop", "tweedie_variance_power", "verbosity"),
		ignoredWords[s]("deterministic_histogram", "dsplit", "eval_metric", "grow_policy",
			"interaction_constraints", "monotone_constraints", "normalize_type", "process_type",
			"sample_type", "sampling_method", "single_precision_histogram", "tree_method", "updater",
			"use_dask_gpu_training"),
	)
}

func parseSeed(s *boostSettings, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return errors.New("want a whole number")
	}
	s.seed = uint64(n)
	return nil
}

func parseBoosting(h map[string]string, seed uint64) (boostSettings, []string, error) {
	s := defaultBoostSettings()
	s.seed = seed
	ignored, err := parse(&s, boostParameters(), h)
	return s, ignored, err
}

// check judges the values that parsed.
func (s boostSettings) check() error {
	inf := math.Inf(1)
	return checkLimits(
		limit{name: "num_round", value: float64(s.rounds), least: 1, most: inf},
		limit{name: "max_depth", value: float64(s.depth), least: 1, most: deepest},
		limit{name: "eta", value: s.eta, most: 1, above: true},
		limit{name: "min_child_weight", value: s.minChildWeight, most: inf},
		limit{name: "lambda", value: s.lambda, most: inf},
		limit{name: "alpha", value: s.alpha, most: inf},
		limit{name: "gamma", value: s.gamma, most: inf},
		limit{name: "subsample", value: s.subsample, most: 1, above: true},
		limit{name: "colsample_bytree", value: s.columnSample, most: 1, above: true},
		limit{name: "max_bin", value: float64(s.bins), least: 2, most: maxBins},
		limit{name: "scale_pos_weight", value: s.positiveWeight, most: inf, above: true},
		limit{name: "base_score", value: s.baseScore, most: math.Nextafter(1, 0)},
	)
}
