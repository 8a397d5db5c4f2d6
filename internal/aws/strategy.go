package aws

import (
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
)

// Strategy is how traffic moves to a new model: one of the deployment guardrails of
// SageMaker.
type Strategy string

// The strategies.
const (
	AllAtOnce Strategy = "all-at-once" // all traffic, once the new fleet is healthy
	Canary    Strategy = "canary"      // 10 % of the capacity first, the rest after bakeTime
	Linear    Strategy = "linear"      // 20 % of the capacity at a time
	Rolling   Strategy = "rolling"     // replaces 20 % of the instances at a time, without a second fleet
)

// Strategies returns the names of all strategies.
func Strategies() []string {
	return []string{string(AllAtOnce), string(Canary), string(Linear), string(Rolling)}
}

// Times of a deployment, in seconds.
const (
	bakeTime    = 300  // after each step, in which alarms may go off
	keepOldTime = 60   // after the last step, for calls in flight on the old fleet
	maxTime     = 7200 // of the whole deployment
)

// Check returns an error if the strategy does not exist or needs more instances.
func (s Strategy) Check(instances int) error {
	if !slices.Contains(Strategies(), string(s)) {
		return fmt.Errorf("%q must be one of %s", string(s), strings.Join(Strategies(), ", "))
	}
	if s != AllAtOnce && instances < 2 {
		return fmt.Errorf("%s moves a part of the instances at a time and needs at least 2 of them (GATEWAY_HOSTING_INSTANCE_COUNT); with 1 use %s", s, AllAtOnce)
	}
	return nil
}

// config returns the strategy as SageMaker's DeploymentConfig. SageMaker rolls back if an
// alarm goes off; without alarms, only if the new fleet is not healthy.
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
