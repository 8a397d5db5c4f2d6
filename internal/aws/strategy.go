package aws

import (
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
)

// Strategy is how traffic goes over to a new model: one of SageMaker's
// deployment guardrails.
type Strategy string

// The strategies.
const (
	AllAtOnce Strategy = "all-at-once" // once the new fleet is healthy, all of it
	Canary    Strategy = "canary"      // a tenth first, the rest after some time
	Linear    Strategy = "linear"      // a fifth after the other
	Rolling   Strategy = "rolling"     // instances are replaced a fifth at a time, without a second fleet
)

// Strategies lists them.
func Strategies() []string {
	return []string{string(AllAtOnce), string(Canary), string(Linear), string(Rolling)}
}

// Times of the guardrails, in seconds.
const (
	bakeTime    = 300  // at each step, for alarms to go off
	keepOldTime = 60   // for calls that run on the old fleet
	maxTime     = 7200 // for the whole deployment
)

// Check returns why the strategy cannot be used with a number of instances.
func (s Strategy) Check(instances int) error {
	if !slices.Contains(Strategies(), string(s)) {
		return fmt.Errorf("%q must be one of %s", string(s), strings.Join(Strategies(), ", "))
	}
	if s != AllAtOnce && instances < 2 {
		return fmt.Errorf("%s moves a part of the instances at a time and needs at least two (GATEWAY_HOSTING_INSTANCE_COUNT); with one use %s", s, AllAtOnce)
	}
	return nil
}

// config is the strategy as SageMaker takes it. Without alarms nothing watches
// the new fleet but its health.
func (s Strategy) config(alarms []string) *types.DeploymentConfig {
	percent := func(n int32) *types.CapacitySize {
		return &types.CapacitySize{Type: types.CapacitySizeTypeCapacityPercent, Value: &n}
	}
	out := &types.DeploymentConfig{}
	routing := &types.TrafficRoutingConfig{WaitIntervalInSeconds: sdk.Int32(bakeTime)}
	switch s {
	case Rolling:
		routing = nil
		out.RollingUpdatePolicy = &types.RollingUpdatePolicy{
			MaximumBatchSize: percent(20), WaitIntervalInSeconds: sdk.Int32(bakeTime), MaximumExecutionTimeoutInSeconds: sdk.Int32(maxTime),
		}
	case Canary:
		routing.Type, routing.CanarySize = types.TrafficRoutingConfigTypeCanary, percent(10)
	case Linear:
		routing.Type, routing.LinearStepSize = types.TrafficRoutingConfigTypeLinear, percent(20)
	default:
		routing.Type, routing.WaitIntervalInSeconds = types.TrafficRoutingConfigTypeAllAtOnce, sdk.Int32(0)
	}
	if routing != nil {
		out.BlueGreenUpdatePolicy = &types.BlueGreenUpdatePolicy{TrafficRoutingConfiguration: routing,
			TerminationWaitInSeconds: sdk.Int32(keepOldTime), MaximumExecutionTimeoutInSeconds: sdk.Int32(maxTime)}
	}
	for _, a := range alarms {
		if out.AutoRollbackConfiguration == nil {
			out.AutoRollbackConfiguration = &types.AutoRollbackConfig{}
		}
		out.AutoRollbackConfiguration.Alarms = append(out.AutoRollbackConfiguration.Alarms, types.Alarm{AlarmName: sdk.String(a)})
	}
	return out
}
