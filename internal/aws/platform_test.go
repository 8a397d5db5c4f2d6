package aws

import (
	"testing"
	"time"

	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/sandbox"
)

const twoNumbers = `
name: two
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: x, type: number}
  - {name: z, type: number}
`

func TestSageMakerKeepsTheContractOfPlatforms(t *testing.T) {
	t.Parallel()
	modelswaptest.TestPlatform(t, func(t *testing.T) modelswaptest.Platform {
		s := startWith(t, twoNumbers, sandbox.Options{Pace: sandbox.RealPace().Faster(10_000)})
		s.deployer.timing.Grace = 300 * time.Millisecond
		return modelswaptest.Platform{Files: s.files, Trainer: s.trainer, Deployer: s.deployer, Scorer: s.scorer, Schema: s.schema}
	})
}
