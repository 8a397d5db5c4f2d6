// Package learn trains and runs the gateway's own models: binary classifiers
// of rows of numbers, in plain Go.
//
// Train turns a Dataset into a Model, and a Model turns a row into the
// probability that its label is 1:
//
//	data, err := learn.ReadCSV(file, columns)
//	…
//	model, err := learn.Train(ctx, data, learn.Options{
//		Algorithm:       learn.XGBoost,
//		Hyperparameters: map[string]string{"num_round": "200"},
//		Seed:            1,
//	})
//	…
//	p := model.Score(row) // no allocation, safe for concurrent use
//
// Evaluate says how good scores were, and an Artifact is a Model in a file,
// with what it was made from.
//
// # Algorithms
//
// Names, hyperparameters and the training file are those of SageMaker's
// built-in algorithms, so that one configuration serves both; the solvers are
// our own.
//
// Auto compares both by cross-validation and makes the better one, or the
// weighted sum of both, a Blend; Model.Search has what it tried. It is in
// search.go, with boosting that stops where held-out rows no longer gain
// (crossvalidate.go), the mean of boosted candidates (mean.go), the weights
// (blend.go), and the calibration of scores (calibrate.go). Hyperparameters hold for the algorithm that has them.
//
// LinearLearner is logistic regression, solved exactly by Newton's method, in
// logistic.go and newton.go. In effect, with their defaults:
//
//	wd=auto l1=0                     penalties; linearSettings has the formula
//	positive_example_weight_mult=1   or balanced
//	use_bias=true normalize_data=true
//	epochs=100                       most Newton iterations; about 7 are needed
//	feature_dim=auto                 or the number of columns
//
// XGBoost is gradient boosting of decision trees over histograms, in boost.go
// and grow.go. In effect, with their defaults, which are not all XGBoost's:
//
//	num_round=100 max_depth=8 eta=0.07 subsample=0.9 colsample_bytree=0.8
//	gamma=3 lambda=3 alpha=0 min_child_weight=1 max_bin=256
//	scale_pos_weight=1 base_score=auto   auto is the share of positives
//	seed                                 instead of Options.Seed
//
// Other names that SageMaker documents are accepted and listed by
// Model.Ignored; a value that would ask for another kind of model, such as
// predictor_type=regressor, and an unknown name are errors.
//
// # Categories of many values
//
// Options.Coded names columns of codes. A model learns from statistics of the label in
// their place, which are in codes.go.
//
// # Missing numbers
//
// NaN is a missing number. Trees learn at every decision where rows without the
// number go. LinearLearner refuses to learn from columns with missing numbers, and
// scores a row with one as the share of positives.
//
// # Reproducible to the bit
//
// Training uses all processors. Yet the same data, options and seed give the
// same model, bit for bit, however many there are: work is cut by the data
// alone and partial sums are added in a fixed order. (Processors of another
// architecture may round fused operations differently.)
//
// # What it does not know
//
// What the columns mean, how categories became numbers, where data comes from
// and where models go, whether one model is good enough to replace another.
// It opens no files, starts nothing that outlives a call and logs nothing.
package learn
