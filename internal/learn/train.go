package learn

import (
	"context"
	"slices"
)

// Options say how to train.
type Options struct {
	// Algorithm to use. There is no default.
	Algorithm Algorithm
	// Hyperparameters by SageMaker's names and spellings; those left out have
	// the defaults that the package comment lists.
	Hyperparameters map[string]string
	// Seed of everything random, which is the sampling of rows and columns by
	// XGBoost. The hyperparameter "seed", if given, is used instead.
	Seed uint64
	// Coded are the columns, ascending, whose numbers are codes of categories: whole
	// numbers from 0. See codes.go.
	Coded []int
	// Progress is called from the training goroutine after each iteration or
	// round, the last time with done equal to total. It may be nil.
	Progress func(done, total int)
}

// Train learns a model from data. The same data and options give the same
// model, bit for bit, on any number of processors of one architecture.
//
// An error matches ErrInput if the data cannot be learned from (no rows or
// columns, one class only, numbers that are not finite) or a hyperparameter is
// unknown or out of range. Otherwise it is the error of ctx, which is looked
// at before every iteration or round.
func Train(ctx context.Context, data Dataset, o Options) (*Model, error) {
	return train(ctx, data.Columns, data.table, o)
}

// TrainTable learns the model that Train learns from the same rows.
func TrainTable(ctx context.Context, data *Table, o Options) (*Model, error) {
	return train(ctx, data.columns, func() (*Table, error) { return data, data.check() }, o)
}

// train checks the options, then takes the data and learns from it.
func train(ctx context.Context, columns []string, take func() (*Table, error), o Options) (*Model, error) {
	m := &Model{algorithm: o.Algorithm, columns: slices.Clone(columns)}
	var fit func(*Table) error
	switch o.Algorithm {
	case LinearLearner:
		s, ignored, err := parseLinear(o.Hyperparameters)
		if err == nil {
			err = s.check(len(columns))
		}
		if err != nil {
			return nil, err
		}
		m.ignored = ignored
		fit = func(data *Table) (err error) {
			m.linear, err = trainLinear(ctx, data, s, o.Progress)
			return err
		}
	case XGBoost:
		s, ignored, err := parseBoosting(o.Hyperparameters, o.Seed)
		if err == nil {
			err = s.check()
		}
		if err != nil {
			return nil, err
		}
		m.ignored = ignored
		fit = func(data *Table) (err error) {
			m.forest, err = trainForest(ctx, newBinned(data, s.bins), data.labels, s, o.Progress)
			return err
		}
	case Auto:
		s, ignored, err := parseAuto(o.Hyperparameters, o.Seed)
		if err == nil {
			err = s.check(len(columns))
		}
		if err != nil {
			return nil, err
		}
		m.ignored = ignored
		fit = func(data *Table) error { return trainAuto(ctx, m, data, s, o.Coded, o.Progress) }
	default:
		return nil, unknownAlgorithm(o.Algorithm)
	}
	data, err := take()
	if err != nil {
		return nil, err
	}
	if err := data.checkCoded(o.Coded); err != nil {
		return nil, err
	}
	m.base = positiveRate(data.labels)
	if len(o.Coded) > 0 && o.Algorithm != Auto {
		data, m.codes = newCoder(data, o.Coded, o.Seed).table(nil)
	}
	if err := fit(data); err != nil {
		return nil, err
	}
	return m, nil
}
