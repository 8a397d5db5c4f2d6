package modelswap

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Names that both back ends, and SageMaker, take.
const (
	// MaxModelName bounds the name of a model, in letters, digits and dashes. SageMaker
	// takes 63; the names of what is derived from a model are nine characters longer.
	MaxModelName = 54

	// Variant is the name of the production variant of an endpoint, whichever model
	// serves: autoscaling and alarms go by it.
	Variant = "AllTraffic"
)

// maxSchemaPart is what a model's name has of the schema's: the time takes 17
// characters with its dashes, the renewal 8, and the number of a second model of
// the same renewal 4.
const maxSchemaPart = MaxModelName - 17 - 8 - 4

// modelName names the model of a renewal: by the schema, of which the beginning must
// do if it is long, the time, and the renewal. again is the number of a further model
// of the same renewal; zero for the first.
func modelName(schema, renewal string, at time.Time, again int) string {
	part := strings.ReplaceAll(cmp.Or(schema, "model"), "_", "-")
	part = strings.TrimRight(part[:min(len(part), maxSchemaPart)], "-")
	name := fmt.Sprintf("%s-%s-%s", part, at.Format("20060102-150405"), renewal[len(renewal)-8:])
	if again > 0 {
		name += fmt.Sprintf("-%d", again)
	}
	return name
}
