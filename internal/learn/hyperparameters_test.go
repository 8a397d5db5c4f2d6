package learn

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckHyperparametersAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		algorithm Algorithm
		given     map[string]string
	}{
		"nothing": {LinearLearner, nil},
		"SageMaker's linear example": {LinearLearner, map[string]string{
			"feature_dim": "auto", "predictor_type": "binary_classifier", "mini_batch_size": "200", "epochs": "15",
			"num_models": "auto", "loss": "auto", "wd": "auto", "l1": "auto", "optimizer": "adam", "use_bias": "true",
			"normalize_data": "auto", "positive_example_weight_mult": "balanced", "target_recall": "0.8",
			"binary_classifier_model_selection_criteria": "accuracy"}},
		"spellings of Python": {LinearLearner, map[string]string{"use_bias": "True", "normalize_data": "False"}},
		"SageMaker's boosting example": {XGBoost, map[string]string{
			"num_round": "50", "max_depth": "5", "eta": "0.2", "gamma": "4", "min_child_weight": "6",
			"subsample": "0.7", "objective": "binary:logistic", "verbosity": "1", "tree_method": "hist"}},
		"names of both algorithms":  {Auto, map[string]string{"wd": "0.1", "max_depth": "4"}},
		"other names of XGBoost's":  {XGBoost, map[string]string{"learning_rate": "0.2", "reg_lambda": "1", "reg_alpha": "0"}},
		"what only Train can judge": {XGBoost, map[string]string{"num_round": "0", "eta": "7", "seed": "-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := CheckHyperparameters(c.algorithm, c.given); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckHyperparametersRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		algorithm Algorithm
		given     map[string]string
		want      string
	}{
		"an unknown algorithm":     {"knn", nil, `unknown algorithm "knn": want "auto", "linear-learner" or "xgboost"`},
		"a misspelled name":        {XGBoost, map[string]string{"num_rounds": "9"}, `hyperparameter "num_rounds": unknown; did you mean "num_round"?`},
		"a name like no other":     {XGBoost, map[string]string{"temperature_k": "9"}, `hyperparameter "temperature_k": unknown`},
		"a name of neither":        {Auto, map[string]string{"max_dept": "9"}, `hyperparameter "max_dept": unknown; did you mean "max_depth"?`},
		"a word for either":        {Auto, map[string]string{"wd": "none", "eta": "x"}, "hyperparameter \"wd\": none: want a number or \"auto\"\nhyperparameter \"eta\": x: want a number"},
		"a name of the other":      {LinearLearner, map[string]string{"max_depth": "9"}, `hyperparameter "max_depth": unknown`},
		"a word for a number":      {XGBoost, map[string]string{"eta": "fast"}, `hyperparameter "eta": fast: want a number`},
		"no number":                {XGBoost, map[string]string{"eta": "NaN"}, `hyperparameter "eta": NaN: want a number`},
		"a part of a round":        {XGBoost, map[string]string{"num_round": "1.5"}, `hyperparameter "num_round": 1.5: want a whole number`},
		"neither true nor false":   {LinearLearner, map[string]string{"use_bias": "maybe"}, `hyperparameter "use_bias": maybe: want true or false`},
		"a word that is not auto":  {LinearLearner, map[string]string{"wd": "none"}, `hyperparameter "wd": none: want a number or "auto"`},
		"a strange weight":         {LinearLearner, map[string]string{"positive_example_weight_mult": "x"}, `hyperparameter "positive_example_weight_mult": x: want a number, "balanced" or "auto"`},
		"another kind of model":    {LinearLearner, map[string]string{"predictor_type": "regressor"}, `hyperparameter "predictor_type": regressor: only binary_classifier is supported`},
		"another objective":        {XGBoost, map[string]string{"objective": "reg:squarederror"}, `hyperparameter "objective": reg:squarederror: only binary:logistic is supported`},
		"a number that is ignored": {LinearLearner, map[string]string{"momentum": "fast"}, `hyperparameter "momentum": fast: want a number or "auto"`},
		"a strange seed":           {XGBoost, map[string]string{"seed": "x"}, `hyperparameter "seed": x: want a whole number`},
		"one thing said twice":     {XGBoost, map[string]string{"eta": "1", "learning_rate": "0.5"}, `hyperparameter "learning_rate": 0.5: given together with eta, which is the same`},
		"all faults at once":       {XGBoost, map[string]string{"eta": "x", "gama": "1"}, "hyperparameter \"eta\": x: want a number\nhyperparameter \"gama\": unknown; did you mean \"gamma\"?"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckHyperparameters(c.algorithm, c.given)
			if err == nil || err.Error() != c.want {
				t.Errorf("got error:\n%v\nwant:\n%s", err, c.want)
			}
			if !errors.Is(err, ErrInput) {
				t.Errorf("error %v does not match ErrInput", err)
			}
		})
	}
}

func TestTrainJudgesValues(t *testing.T) {
	data := synthetic(50, 2, nil, 1)
	for want, c := range map[string]struct {
		algorithm   Algorithm
		name, value string
	}{
		`hyperparameter "num_round": 0: must be at least 1`:                       {XGBoost, "num_round", "0"},
		`hyperparameter "max_depth": 17: must be at most 16`:                      {XGBoost, "max_depth", "17"},
		`hyperparameter "eta": 0: must be above 0`:                                {XGBoost, "learning_rate", "0"},
		`hyperparameter "eta": 1.5: must be at most 1`:                            {XGBoost, "eta", "1.5"},
		`hyperparameter "subsample": 0: must be above 0`:                          {XGBoost, "subsample", "0"},
		`hyperparameter "max_bin": 1: must be at least 2`:                         {XGBoost, "max_bin", "1"},
		`hyperparameter "lambda": -1: must be at least 0`:                         {XGBoost, "lambda", "-1"},
		`hyperparameter "base_score": 1: must be at most 0.9999999999999999`:      {XGBoost, "base_score", "1"},
		`hyperparameter "wd": -0.5: must be at least 0`:                           {LinearLearner, "wd", "-0.5"},
		`hyperparameter "epochs": 0: must be at least 1`:                          {LinearLearner, "epochs", "0"},
		`hyperparameter "positive_example_weight_mult": 0: must be above 0`:       {LinearLearner, "positive_example_weight_mult", "0"},
		`hyperparameter "feature_dim": 3: the data has 2 columns`:                 {LinearLearner, "feature_dim", "3"},
		`hyperparameter "num_rond": unknown; did you mean "num_round"?`:           {XGBoost, "num_rond", "1"},
		`unknown algorithm "": want "auto", "linear-learner" or "xgboost"`:        {"", "", ""},
		`hyperparameter "predictor_type": x: only binary_classifier is supported`: {LinearLearner, "predictor_type", "x"},
	} {
		_, err := Train(context.Background(), data, Options{
			Algorithm: c.algorithm, Hyperparameters: map[string]string{c.name: c.value}})
		if err == nil || err.Error() != want || !errors.Is(err, ErrInput) {
			t.Errorf("%s=%s: got error %v, want %q matching ErrInput", c.name, c.value, err, want)
		}
	}
}

func TestIgnoredHyperparametersAreListed(t *testing.T) {
	m := mustTrain(t, synthetic(50, 2, nil, 1), Options{Algorithm: LinearLearner, Hyperparameters: map[string]string{
		"optimizer": "adam", "wd": "0.1", "mini_batch_size": "100", "learning_rate": "auto", "loss": "logistic"}})
	want := []string{"learning_rate", "mini_batch_size", "optimizer"}
	if diff := cmp.Diff(want, m.Ignored()); diff != "" {
		t.Errorf("wrong names (-want +got):\n%s", diff)
	}
}
