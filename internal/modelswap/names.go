package modelswap

import (
	"cmp"
	"fmt"
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
	part := strings.ReplaceAll(cmp.Or(schema, "model"), "_", "-")
	part = strings.TrimRight(part[:min(len(part), maxSchemaPart)], "-")
	name := fmt.Sprintf("%s-%s-%s", part, at.Format("20060102-150405"), renewal[len(renewal)-8:])
	if again > 0 {
		name += fmt.Sprintf("-%d", again)
	}
	return name
}
