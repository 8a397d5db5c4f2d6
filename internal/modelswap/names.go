package modelswap

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Names that both back ends and SageMaker accept.
const (
	// MaxModelName is the maximum length of a model's name, in letters, digits and
	// dashes. SageMaker accepts 63; derived names are nine characters longer.
	MaxModelName = 54

	// Variant is the name of the endpoint's production variant. It stays the same
	// for every model, because autoscaling policies and alarms refer to it.
	Variant = "AllTraffic"
)

// maxSchemaPart is the maximum length of the schema's part of a model's name: the
// time has 17 characters with its dashes, the renewal 8, and the number of a
// second model of the same renewal 4.
const maxSchemaPart = MaxModelName - 17 - 8 - 4

// modelName returns the name of a renewal's model: the schema's name, shortened
// if it is long, the time and the renewal. again is the number of a further model
// of the same renewal, zero for the first.
func modelName(schema, renewal string, at time.Time, again int) string {
	name := fmt.Sprintf("%s-%s-%s", schemaPart(schema), at.Format(timePart), renewal[len(renewal)-8:])
	if again > 0 {
		name += fmt.Sprintf("-%d", again)
	}
	return name
}

const timePart = "20060102-150405"

func schemaPart(schema string) string {
	part := dashed(schema)
	return strings.TrimRight(part[:min(len(part), maxSchemaPart)], "-")
}

func dashed(schema string) string { return strings.ReplaceAll(cmp.Or(schema, "model"), "_", "-") }

// afterSchema is what follows the schema's part in the name of a model.
var afterSchema = regexp.MustCompile(`-[0-9]{8}-[0-9]{6}-[0-9a-f]{8}(-[0-9]+)?$`)

// MayBeNamedAfter reports whether a renewal of a schema may have made a model of
// that name. It is false only for a name that modelName makes for other schemas.
func MayBeNamedAfter(model, schema string) bool {
	after := afterSchema.FindStringIndex(model)
	if after == nil {
		return true
	}
	part := model[:after[0]]
	return part == schemaPart(schema) || part == strings.TrimRight(dashed(schema), "-") // earlier versions did not cut it
}
