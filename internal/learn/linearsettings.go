package learn

import (
	"errors"
	"math"
	"slices"
	"strconv"
)

// linearSettings are the hyperparameters of linear-learner that are in effect.
// The model minimises, over coefficients β and a free intercept,
//
//	Σᵢ wᵢ·logloss(i) / Σᵢ wᵢ  +  wd/2·Σⱼ βⱼ²  +  l1·Σⱼ |βⱼ|
//
// where wᵢ is positive_example_weight_mult for positive rows and 1 for others.
// β multiply the columns divided by their standard deviations, but for columns
// of 0 and 1 the columns as they are: dividing would lift the penalty off a rare
// category, of which the data knows least. With normalize_data=false they
// multiply all columns as they are.
//
// In scikit-learn's terms wd is 1 / (C·Σᵢ wᵢ) on numbers put through
// StandardScaler beside one-hot columns. Without wd it is C=1: the fewer the
// rows, the larger the penalty.
type linearSettings struct {
	wd             float64 // wd: L2 penalty; autoPenalty is shrink / Σᵢ wᵢ
	shrink         float64 // factor of the penalty of auto: 1 / C
	l1             float64 // l1: L1 penalty; above 0 some coefficients become exactly 0
	positiveWeight float64 // positive_example_weight_mult
	balanced       bool    // positive_example_weight_mult=balanced: classes weigh the same
	bias           bool    // use_bias: fit an intercept
	normalize      bool    // normalize_data
	epochs         int     // epochs: most Newton iterations; about 7 are needed
	width          int     // feature_dim: number of columns; 0 is auto
}

// autoPenalty is a wd of auto.
const autoPenalty = -1

func defaultLinearSettings() linearSettings {
	return linearSettings{
		wd:             autoPenalty,
		shrink:         1,
		positiveWeight: 1,
		bias:           true,
		normalize:      true,
		epochs:         100,
	}
}

func linearParameters() []parameter[linearSettings] {
	type s = linearSettings
	return slices.Concat(
		[]parameter[s]{
			{names: []string{"wd"}, parse: parsePenalty},
			orAuto(number(func(s *s) *float64 { return &s.l1 }, "l1")),
			{names: []string{"positive_example_weight_mult"}, parse: parsePositiveWeight},
			truth(func(s *s) *bool { return &s.bias }, "use_bias"),
			orAuto(truth(func(s *s) *bool { return &s.normalize }, "normalize_data")),
			whole(func(s *s) *int { return &s.epochs }, "epochs"),
			orAuto(whole(func(s *s) *int { return &s.width }, "feature_dim")),
			only[s]("predictor_type", "binary_classifier"),
			only[s]("loss", "auto", "logistic"),
		},
		ignoredNumbers[s]("accuracy_top_k", "beta_1", "beta_2", "bias_lr_mult", "bias_wd_mult",
			"early_stopping_patience", "early_stopping_tolerance", "f_beta", "huber_delta", "init_bias",
			"init_scale", "init_sigma", "learning_rate", "loss_insensitivity", "lr_scheduler_factor",
			"lr_scheduler_minimum_lr", "lr_scheduler_step", "margin", "mini_batch_size", "momentum",
			"num_calibration_samples", "num_classes", "num_models", "num_point_for_scaler", "quantile",
			"target_precision", "target_recall"),
		ignoredWords[s]("balance_multiclass_weights", "binary_classifier_model_selection_criteria",
			"init_method", "normalize_label", "optimizer", "unbias_data", "unbias_label", "use_lr_scheduler"),
	)
}

func parsePenalty(s *linearSettings, value string) error {
	if value == "auto" {
		return nil
	}
	x, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil || !finite(x):
		return errors.New(`want a number or "auto"`)
	case x < 0:
		return errors.New("must be at least 0")
	}
	s.wd = x
	return nil
}

func parsePositiveWeight(s *linearSettings, value string) error {
	switch value {
	case "auto":
		return nil
	case "balanced":
		s.balanced = true
		return nil
	}
	x, err := strconv.ParseFloat(value, 64)
	if err != nil || !finite(x) {
		return errors.New(`want a number, "balanced" or "auto"`)
	}
	s.positiveWeight = x
	return nil
}

func parseLinear(h map[string]string) (linearSettings, []string, error) {
	s := defaultLinearSettings()
	ignored, err := parse(&s, linearParameters(), h)
	return s, ignored, err
}

// check judges the values that parsed, for data of the given width.
func (s linearSettings) check(width int) error {
	if s.width != 0 && s.width != width {
		return badValue("feature_dim", strconv.Itoa(s.width), "the data has "+strconv.Itoa(width)+" columns")
	}
	inf := math.Inf(1)
	return checkLimits(
		limit{name: "l1", value: s.l1, most: inf},
		limit{name: "positive_example_weight_mult", value: s.positiveWeight, most: inf, above: true},
		limit{name: "epochs", value: float64(s.epochs), least: 1, most: inf},
	)
}
