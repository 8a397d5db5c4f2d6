package console

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// overridesForm has the fields of overrides as text, as the form shows them.
type overridesForm struct {
	Algorithm       string
	Hyperparameters string // a line "name=value" each
	Gate            string
	JudgeBy         string
	InstanceType    string
	InstanceCount   string
	MaxRuntime      string
}

func formOf(o modelswap.Overrides) overridesForm {
	f := overridesForm{Algorithm: o.Training.Algorithm, Gate: o.Gate, JudgeBy: o.JudgeBy,
		InstanceType: o.Training.InstanceType, MaxRuntime: o.Training.MaxRuntime}
	if o.Training.InstanceCount != 0 {
		f.InstanceCount = strconv.Itoa(o.Training.InstanceCount)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Hyperparameters)) {
		f.Hyperparameters += name + "=" + o.Hyperparameters[name] + "\n"
	}
	return f
}

// overridesOf reads overrides from a form. What a field means is checked by the engine; the
// error of kind Invalid names fields that cannot be read.
func overridesOf(form url.Values) (o modelswap.Overrides, err error) {
	text := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	o.Gate, o.JudgeBy = text("gate"), text("judge_by")
	o.Training = modelswap.Training{Algorithm: text("algorithm"), InstanceType: text("instance_type"), MaxRuntime: text("max_runtime")}
	var violations []failure.Violation
	if count := text("instance_count"); count != "" {
		if o.Training.InstanceCount, err = strconv.Atoi(count); err != nil || o.Training.InstanceCount < 1 {
			violations = append(violations, failure.Violation{Field: "instance_count", Code: failure.CodeFormat, Detail: "must be a whole number, at least 1"})
		}
	}
	number := 0
	for line := range strings.Lines(form.Get("hyperparameters")) {
		number++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			violations = append(violations, failure.Violation{Field: "hyperparameters", Code: failure.CodeFormat,
				Detail: fmt.Sprintf("line %d must be name=value", number)})
			continue
		}
		if o.Hyperparameters == nil {
			o.Hyperparameters = modelswap.Hyperparameters{}
		}
		o.Hyperparameters[name] = strings.TrimSpace(value)
	}
	if len(violations) > 0 {
		return o, &failure.Error{Kind: failure.Invalid, Detail: "the form has fields that cannot be read", Violations: violations}
	}
	return o, nil
}

// factsOf lists overrides for a page that asks once more.
func factsOf(o modelswap.Overrides) []fact {
	f := formOf(o)
	var facts []fact
	for _, one := range []fact{{"Algorithm", f.Algorithm}, {"Hyperparameters", strings.TrimSpace(strings.ReplaceAll(f.Hyperparameters, "\n", "  "))},
		{"Gate", f.Gate}, {"Judged by", f.JudgeBy}, {"Instance type", f.InstanceType}, {"Instances", f.InstanceCount}, {"Longest training", f.MaxRuntime}} {
		if one.Value != "" {
			facts = append(facts, one)
		}
	}
	return facts
}
