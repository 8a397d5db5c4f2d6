package sandbox_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/google/go-cmp/cmp"

	"gateway/internal/sandbox"
)

// two makes an endpoint that serves the configuration old, and a second
// configuration, new.
func two(t *testing.T) *stand {
	t.Helper()
	s := start(t)
	s.model("old", linear)
	s.model("new", xgboost)
	s.endpoint("bank", "old")
	return s
}

// models sends n invocations and counts the answers of each model.
func (s *stand) models(n int) map[string]int {
	s.t.Helper()
	s.ForgetCalls()
	for range n {
		if _, err := s.invoke("bank", "0.5,0.5"); err != nil {
			s.t.Fatal(err)
		}
	}
	got := map[string]int{}
	for _, c := range s.Calls("InvokeEndpoint") {
		got[c.Model]++
	}
	return got
}

func TestAnUpdateServesTheOldModelThenBothThenTheNew(t *testing.T) {
	s := two(t)
	s.update("bank", "new")
	out := s.is("bank", "Updating", "old")
	if p := out.PendingDeploymentSummary; p == nil || *p.EndpointConfigName != "new" || *p.ProductionVariants[0].VariantName != "AllTraffic" {
		t.Fatalf("pending is %+v", p)
	}
	if diff := cmp.Diff(map[string]int{"old": 20}, s.models(20)); diff != "" {
		t.Errorf("before the shift, -want +got:\n%s", diff)
	}
	s.Advance(5*time.Minute + time.Second)
	s.is("bank", "Updating", "old")
	if diff := cmp.Diff(map[string]int{"old": 10, "new": 10}, s.models(20)); diff != "" {
		t.Errorf("during the shift, -want +got:\n%s", diff)
	}
	s.Advance(20 * time.Second)
	if out := s.is("bank", "InService", "new"); out.PendingDeploymentSummary != nil || out.FailureReason != nil {
		t.Errorf("afterwards it is %+v", out)
	}
	if diff := cmp.Diff(map[string]int{"new": 20}, s.models(20)); diff != "" {
		t.Errorf("after the shift, -want +got:\n%s", diff)
	}
}

func TestAnUpdateThatGoesBackEndsInServiceWithTheOldConfiguration(t *testing.T) {
	for name, tc := range map[string]struct {
		fault    sandbox.Fault
		during   types.EndpointStatus // after the new fleet should be healthy and traffic shifted
		end      types.EndpointStatus
		reason   bool
		mixed    bool // both answered for a while
		forever  bool // both go on answering
		rejected bool
	}{
		"the new fleet is ill":   {fault: sandbox.Fault{Kind: sandbox.Fail}, during: "RollingBack", end: "InService", reason: true},
		"no capacity":            {fault: sandbox.Fault{Kind: sandbox.NoCapacity}, during: "RollingBack", end: "InService", reason: true},
		"an alarm rolls back":    {fault: sandbox.Fault{Kind: sandbox.RollBack, Reason: "alarm"}, during: "RollingBack", end: "InService", reason: true, mixed: true},
		"it goes back silently":  {fault: sandbox.Fault{Kind: sandbox.RollBackSilently}, during: "Updating", end: "InService", mixed: true},
		"the roll-back fails":    {fault: sandbox.Fault{Kind: sandbox.RollBackFailed}, during: "RollingBack", end: "UpdateRollbackFailed", reason: true, mixed: true, forever: true},
		"it sticks half-way":     {fault: sandbox.Fault{Kind: sandbox.Stick}, during: "Updating", end: "Updating", mixed: true, forever: true},
		"the artifact is broken": {during: "RollingBack", end: "InService", reason: true, rejected: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := two(t)
			if tc.rejected {
				s.put("models/new/output/model.tar.gz", "not an archive")
			} else {
				s.Order("UpdateEndpoint", tc.fault)
			}
			s.update("bank", "new")
			s.Advance(5*time.Minute + time.Second)
			if mixed := s.models(20)["new"] > 0; mixed != tc.mixed {
				t.Errorf("the new model answers during the shift: %t, want %t", mixed, tc.mixed)
			}
			s.Advance(20 * time.Second)
			s.is("bank", tc.during, "old")
			s.Advance(time.Hour)
			out := s.is("bank", tc.end, "old")
			if (aws.ToString(out.FailureReason) != "") != tc.reason {
				t.Errorf("the reason is %q, want one: %t", aws.ToString(out.FailureReason), tc.reason)
			}
			if got := s.models(20)["new"] > 0; got != tc.forever {
				t.Errorf("the new model answers at the end: %t, want %t", got, tc.forever)
			}
		})
	}
}

func TestAStickIsReleased(t *testing.T) {
	s := two(t)
	stick := s.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.Stick})
	s.update("bank", "new")
	s.Advance(time.Hour)
	s.is("bank", "Updating", "old")
	stick.Release()
	s.Advance(time.Second)
	s.is("bank", "InService", "new")
}

func TestNothingCanBeChangedWhileAnEndpointIsNotSettled(t *testing.T) {
	s := two(t)
	refuses := func(status types.EndpointStatus) {
		t.Helper()
		s.is("bank", status, "old")
		const message = "Cannot update in-progress endpoint \"arn:aws:sagemaker:eu-central-1:123456789012:endpoint/bank\"."
		_, err := s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("new")})
		refused(t, err, "ValidationException", message)
		_, err = s.sm.DeleteEndpoint(t.Context(), &sagemaker.DeleteEndpointInput{EndpointName: aws.String("bank")})
		refused(t, err, "ValidationException", message)
		_, err = s.sm.UpdateEndpointWeightsAndCapacities(t.Context(), &sagemaker.UpdateEndpointWeightsAndCapacitiesInput{EndpointName: aws.String("bank"),
			DesiredWeightsAndCapacities: []types.DesiredWeightAndCapacity{{VariantName: aws.String("AllTraffic"), DesiredInstanceCount: aws.Int32(3)}}})
		refused(t, err, "ValidationException", message)
	}
	if err := s.SystemUpdate("bank"); err != nil {
		t.Fatal(err)
	}
	refuses("SystemUpdating")
	s.Advance(time.Hour)
	if err := s.Autoscale("bank", "AllTraffic", 4); err != nil {
		t.Fatal(err)
	}
	refuses("Updating")
	s.Advance(time.Hour)
	s.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBack})
	s.update("bank", "new")
	refuses("Updating")
	s.Advance(6 * time.Minute)
	refuses("RollingBack")
	s.Advance(time.Hour)
	s.is("bank", "InService", "old")
	if _, err := s.sm.DeleteEndpoint(t.Context(), &sagemaker.DeleteEndpointInput{EndpointName: aws.String("bank")}); err != nil {
		t.Fatal(err)
	}
	refuses("Deleting")
	s.Advance(time.Minute)
	_, err := s.sm.DescribeEndpoint(t.Context(), &sagemaker.DescribeEndpointInput{EndpointName: aws.String("bank")})
	refused(t, err, "ValidationException", "Could not find endpoint \"arn:aws:sagemaker:eu-central-1:123456789012:endpoint/bank\".")
}

func TestAnUpdateIsRefusedOnceTheServingConfigurationIsDeleted(t *testing.T) {
	s := two(t)
	if _, err := s.sm.DeleteEndpointConfig(t.Context(), &sagemaker.DeleteEndpointConfigInput{EndpointConfigName: aws.String("old")}); err != nil {
		t.Fatalf("a configuration in use can be deleted, and was not: %v", err)
	}
	_, err := s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("new")})
	refused(t, err, "ValidationException", "Could not find endpoint configuration \"arn:aws:sagemaker:eu-central-1:123456789012:endpoint-config/old\".")
	if diff := cmp.Diff(map[string]int{"old": 5}, s.models(5)); diff != "" {
		t.Errorf("it no longer serves, -want +got:\n%s", diff)
	}
}

func TestWhatAutoscalingDidSurvivesAnUpdateOnlyWhereItIsRetained(t *testing.T) {
	for name, tc := range map[string]struct {
		retain  bool
		exclude []types.VariantProperty
		count   int32
	}{
		"retained":     {true, nil, 5},
		"not retained": {false, nil, 2},
		"excluded":     {true, []types.VariantProperty{{VariantPropertyType: types.VariantPropertyTypeDesiredInstanceCount}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := two(t)
			if err := s.Autoscale("bank", "AllTraffic", 5); err != nil {
				t.Fatal(err)
			}
			s.Advance(time.Hour)
			_, err := s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("new"),
				RetainAllVariantProperties: aws.Bool(tc.retain), ExcludeRetainedVariantProperties: tc.exclude})
			if err != nil {
				t.Fatal(err)
			}
			s.Advance(time.Hour)
			v := s.is("bank", "InService", "new").ProductionVariants[0]
			if *v.CurrentInstanceCount != tc.count || *v.DesiredInstanceCount != tc.count {
				t.Errorf("%d instances, %d desired, want %d", *v.CurrentInstanceCount, *v.DesiredInstanceCount, tc.count)
			}
		})
	}
}

func TestWeightsChangeAndWhatIsNotNamedStays(t *testing.T) {
	s := two(t)
	_, err := s.sm.UpdateEndpointWeightsAndCapacities(t.Context(), &sagemaker.UpdateEndpointWeightsAndCapacitiesInput{EndpointName: aws.String("bank"),
		DesiredWeightsAndCapacities: []types.DesiredWeightAndCapacity{{VariantName: aws.String("AllTraffic"), DesiredWeight: aws.Float32(0.5)}}})
	if err != nil {
		t.Fatal(err)
	}
	s.is("bank", "Updating", "old")
	s.Advance(time.Hour)
	if v := s.is("bank", "InService", "old").ProductionVariants[0]; *v.CurrentWeight != 0.5 || *v.CurrentInstanceCount != 2 {
		t.Errorf("weight %v and %d instances, want 0.5 and 2", *v.CurrentWeight, *v.CurrentInstanceCount)
	}
}

func TestGuardrailsShiftTheTrafficAsTheySay(t *testing.T) {
	s := two(t)
	routing := func(r types.TrafficRoutingConfig) *types.DeploymentConfig {
		return &types.DeploymentConfig{BlueGreenUpdatePolicy: &types.BlueGreenUpdatePolicy{TrafficRoutingConfiguration: &r, TerminationWaitInSeconds: aws.Int32(60)}}
	}
	half := &types.CapacitySize{Type: types.CapacitySizeTypeCapacityPercent, Value: aws.Int32(60)}
	_, err := s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("new"),
		DeploymentConfig: routing(types.TrafficRoutingConfig{Type: types.TrafficRoutingConfigTypeCanary, CanarySize: half, WaitIntervalInSeconds: aws.Int32(600)})})
	refused(t, err, "ValidationException", "CanarySize must be between")
	half.Value = aws.Int32(25)
	_, err = s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("new"),
		DeploymentConfig: routing(types.TrafficRoutingConfig{Type: types.TrafficRoutingConfigTypeCanary, CanarySize: half, WaitIntervalInSeconds: aws.Int32(600)})})
	if err != nil {
		t.Fatal(err)
	}
	s.Advance(5*time.Minute + time.Second)
	if got := s.models(100)["new"]; got < 23 || got > 27 {
		t.Errorf("the canary got %d of 100 calls, want 25", got)
	}
	s.Advance(10 * time.Minute)
	s.is("bank", "Updating", "old")
	if diff := cmp.Diff(map[string]int{"new": 10}, s.models(10)); diff != "" {
		t.Errorf("while the old fleet waits for its end, -want +got:\n%s", diff)
	}
	s.Advance(time.Minute)
	out := s.is("bank", "InService", "new")
	if d := out.LastDeploymentConfig; d == nil || d.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.Type != types.TrafficRoutingConfigTypeCanary {
		t.Errorf("the last deployment is %+v", d)
	}
}

func TestAnEndpointThatFailsToComeUpCanOnlyBeDeleted(t *testing.T) {
	s := start(t)
	s.model("old", linear)
	s.Order("CreateEndpoint", sandbox.Fault{Kind: sandbox.Fail})
	if _, err := s.sm.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("old")}); err != nil {
		t.Fatal(err)
	}
	_, err := s.invoke("bank", "1,2")
	refused(t, err, "ValidationError", "Endpoint bank of account 123456789012 not found.")
	s.Advance(time.Hour)
	if out := s.is("bank", "Failed", "old"); aws.ToString(out.FailureReason) == "" {
		t.Error("there is no reason")
	}
	_, err = s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("old")})
	refused(t, err, "ValidationException", "Cannot update endpoint")
	if _, err := s.sm.DeleteEndpoint(t.Context(), &sagemaker.DeleteEndpointInput{EndpointName: aws.String("bank")}); err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Minute)
	s.endpoint("bank", "old")
}

func TestNamesThatAreTakenOrUnknownAreToldAsAWSTellsThem(t *testing.T) {
	s := two(t)
	const arn = "arn:aws:sagemaker:eu-central-1:123456789012:"
	_, err := s.sm.CreateModel(t.Context(), &sagemaker.CreateModelInput{ModelName: aws.String("old"), ExecutionRoleArn: aws.String(sandbox.Role),
		PrimaryContainer: &types.ContainerDefinition{Image: aws.String(linear), ModelDataUrl: aws.String("s3://bank/models/old/output/model.tar.gz")}})
	refused(t, err, "ValidationException", "Cannot create already existing model \""+arn+"model/old\".")
	_, err = s.sm.CreateModel(t.Context(), &sagemaker.CreateModelInput{ModelName: aws.String("x"), ExecutionRoleArn: aws.String(sandbox.Role),
		PrimaryContainer: &types.ContainerDefinition{Image: aws.String(linear), ModelDataUrl: aws.String("s3://bank/none.tar.gz")}})
	refused(t, err, "ValidationException", "Could not access model data at s3://bank/none.tar.gz.")
	_, err = s.sm.CreateEndpointConfig(t.Context(), &sagemaker.CreateEndpointConfigInput{EndpointConfigName: aws.String("old"), ProductionVariants: []types.ProductionVariant{variantOf("old")}})
	refused(t, err, "ValidationException", "Cannot create already existing endpoint configuration \""+arn+"endpoint-config/old\".")
	_, err = s.sm.CreateEndpointConfig(t.Context(), &sagemaker.CreateEndpointConfigInput{EndpointConfigName: aws.String("x"), ProductionVariants: []types.ProductionVariant{variantOf("none")}})
	refused(t, err, "ValidationException", "Could not find model \""+arn+"model/none\".")
	_, err = s.sm.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String("BANK"), EndpointConfigName: aws.String("old")})
	refused(t, err, "ValidationException", "Cannot create already existing endpoint \""+arn+"endpoint/bank\".")
	_, err = s.sm.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String("x"), EndpointConfigName: aws.String("none")})
	refused(t, err, "ValidationException", "Could not find endpoint configuration \""+arn+"endpoint-config/none\".")
	_, err = s.sm.DescribeEndpointConfig(t.Context(), &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: aws.String("none")})
	refused(t, err, "ValidationException", "Could not find endpoint configuration \""+arn+"endpoint-config/none\".")
	_, err = s.sm.DeleteModel(t.Context(), &sagemaker.DeleteModelInput{ModelName: aws.String("none")})
	refused(t, err, "ValidationException", "Could not find model \""+arn+"model/none\".")

	s.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.NotYetVisible, Times: 2})
	for range 2 {
		_, err = s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("new")})
		refused(t, err, "ValidationException", "Could not find endpoint configuration \""+arn+"endpoint-config/new\".")
	}
	s.update("bank", "new")
}

func TestConfigurationsAndTagsComeBackAsTheyWereGiven(t *testing.T) {
	s := two(t)
	in := &sagemaker.CreateEndpointConfigInput{EndpointConfigName: aws.String("captured"), ProductionVariants: []types.ProductionVariant{variantOf("old")},
		DataCaptureConfig: &types.DataCaptureConfig{EnableCapture: aws.Bool(true), InitialSamplingPercentage: aws.Int32(10), DestinationS3Uri: aws.String("s3://bank/capture"),
			CaptureOptions: []types.CaptureOption{{CaptureMode: types.CaptureModeInput}}},
		Tags: []types.Tag{{Key: aws.String("renewal"), Value: aws.String("r-1")}}}
	out, err := s.sm.CreateEndpointConfig(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.sm.DescribeEndpointConfig(t.Context(), &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: aws.String("captured")})
	if err != nil || *got.DataCaptureConfig.InitialSamplingPercentage != 10 || got.DataCaptureConfig.CaptureOptions[0].CaptureMode != types.CaptureModeInput || *got.ProductionVariants[0].ModelName != "old" {
		t.Errorf("it is %+v (%v)", got, err)
	}
	if _, err := s.sm.AddTags(t.Context(), &sagemaker.AddTagsInput{ResourceArn: out.EndpointConfigArn, Tags: []types.Tag{{Key: aws.String("renewal"), Value: aws.String("r-2")}, {Key: aws.String("rows"), Value: aws.String("7")}}}); err != nil {
		t.Fatal(err)
	}
	tags, err := s.sm.ListTags(t.Context(), &sagemaker.ListTagsInput{ResourceArn: out.EndpointConfigArn})
	if err != nil || len(tags.Tags) != 2 || *tags.Tags[0].Value != "r-2" {
		t.Errorf("tags are %+v (%v)", tags, err)
	}
	s.update("bank", "captured")
	s.Advance(time.Hour)
	if c := s.is("bank", "InService", "captured").DataCaptureConfig; c == nil || c.CaptureStatus != types.CaptureStatusStarted || *c.CurrentSamplingPercentage != 10 {
		t.Errorf("data capture is %+v", c)
	}
	// Kept where retained, though the next configuration has none.
	s.config("plain", "old")
	if _, err := s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("plain"), RetainAllVariantProperties: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Hour)
	if c := s.is("bank", "InService", "plain").DataCaptureConfig; c == nil || *c.CurrentSamplingPercentage != 10 {
		t.Errorf("data capture is %+v, want what was retained", c)
	}
}
