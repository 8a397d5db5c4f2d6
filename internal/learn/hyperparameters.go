package learn

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gateway/internal/suggest"
)

// CheckHyperparameters reports every fault in h that can be seen without data:
// an algorithm or a name that does not exist, and values that do not parse or
// name something this package does not do. Whether a number is in range, Train
// judges. Errors match ErrInput.
func CheckHyperparameters(a Algorithm, h map[string]string) error {
	var err error
	switch a {
	case LinearLearner:
		_, _, err = parseLinear(h)
	case XGBoost:
		_, _, err = parseBoosting(h, 0)
	case Auto:
		_, _, err = parseAuto(h, 0)
	default:
		err = unknownAlgorithm(a)
	}
	return err
}

// unknownHyperparameter returns the error for a hyperparameter that does not exist.
func unknownHyperparameter(name string, known []string) error {
	if closest := suggest.Closest(name, known); closest != "" {
		return inputErrorf("hyperparameter %q: unknown; did you mean %q?", clip(name), closest)
	}
	return inputErrorf("hyperparameter %q: unknown", clip(name))
}

func unknownAlgorithm(a Algorithm) error {
	return inputErrorf("unknown algorithm %q: want %q, %q or %q", a, Auto, LinearLearner, XGBoost)
}

// parameter is one hyperparameter of an algorithm whose settings are an S.
type parameter[S any] struct {
	names []string // SageMaker's name, then other spellings of it
	// parse stores a value, or gives the reason why it cannot be one.
	parse func(s *S, value string) error
	// ignored marks a name that is known but means nothing to our solver.
	ignored bool
}

// number is a parameter that takes any finite number.
func number[S any](field func(*S) *float64, names ...string) parameter[S] {
	return parameter[S]{names: names, parse: func(s *S, value string) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || !finite(x) {
			return errors.New("want a number")
		}
		*field(s) = x
		return nil
	}}
}

// whole is a parameter that takes a whole number.
func whole[S any](field func(*S) *int, names ...string) parameter[S] {
	return parameter[S]{names: names, parse: func(s *S, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return errors.New("want a whole number")
		}
		*field(s) = n
		return nil
	}}
}

// truth is a parameter that takes true or false.
func truth[S any](field func(*S) *bool, names ...string) parameter[S] {
	return parameter[S]{names: names, parse: func(s *S, value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("want true or false")
		}
		*field(s) = b
		return nil
	}}
}

// only is a parameter of which we offer a part: any other value would ask for
// a different kind of model, and ignoring that would be a lie.
func only[S any](name string, values ...string) parameter[S] {
	return parameter[S]{names: []string{name}, parse: func(_ *S, value string) error {
		if !slices.Contains(values, value) {
			return errors.New("only " + strings.Join(values, " or ") + " is supported")
		}
		return nil
	}}
}

// orAuto makes p take "auto" as well, which leaves the default.
func orAuto[S any](p parameter[S]) parameter[S] {
	parse := p.parse
	p.parse = func(s *S, value string) error {
		if value == "auto" {
			return nil
		}
		if err := parse(s, value); err != nil {
			return errors.New(err.Error() + ` or "auto"`)
		}
		return nil
	}
	return p
}

// ignoredNumbers and ignoredWords are known names without a meaning here. What
// should be a number is still checked to be one, or "auto".
func ignoredNumbers[S any](names ...string) []parameter[S] {
	return ignored(names, orAuto(number(func(*S) *float64 { return new(float64) })).parse)
}

func ignoredWords[S any](names ...string) []parameter[S] {
	return ignored(names, func(*S, string) error { return nil })
}

func ignored[S any](names []string, parse func(*S, string) error) []parameter[S] {
	out := make([]parameter[S], len(names))
	for i, name := range names {
		out[i] = parameter[S]{names: []string{name}, parse: parse, ignored: true}
	}
	return out
}

// parse stores given in s and returns, sorted, the names that mean nothing to
// our solver. The error joins one reason for each fault.
func parse[S any](s *S, parameters []parameter[S], given map[string]string) (ignored []string, err error) {
	known := map[string]parameter[S]{}
	for _, p := range parameters {
		for _, name := range p.names {
			known[name] = p
		}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		p, ok := known[name]
		if !ok {
			faults = append(faults, unknownHyperparameter(name, slices.Sorted(maps.Keys(known))))
			continue
		}
		if main := p.names[0]; main != name {
			if _, twice := given[main]; twice {
				faults = append(faults, badValue(name, value, "given together with "+main+", which is the same"))
			}
		}
		if err := p.parse(s, value); err != nil {
			faults = append(faults, badValue(name, value, err.Error()))
		}
		if p.ignored {
			ignored = append(ignored, name)
		}
	}
	return ignored, errors.Join(faults...)
}

// badValue is the error for a hyperparameter that cannot have the value.
func badValue(name, value, reason string) error {
	return inputErrorf("hyperparameter %q: %s: %s", name, clip(value), reason)
}

// limit is a range that a hyperparameter's value must be in.
type limit struct {
	name        string
	value       float64
	least, most float64 // inclusive; an infinite most is none
	above       bool    // least itself is excluded
}

// checkLimits reports the values that are out of range.
func checkLimits(limits ...limit) error {
	var faults []error
	format := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, l := range limits {
		var reason string
		switch {
		case l.above && l.value <= l.least:
			reason = "must be above " + format(l.least)
		case l.value < l.least:
			reason = "must be at least " + format(l.least)
		case l.value > l.most && !math.IsInf(l.most, 1):
			reason = "must be at most " + format(l.most)
		default:
			continue
		}
		faults = append(faults, badValue(l.name, format(l.value), reason))
	}
	return errors.Join(faults...)
}
