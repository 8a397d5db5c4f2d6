package aws

import (
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
)

func TestTheFirstModelMakesTheEndpoint(t *testing.T) {
	t.Parallel()
	s := start(t)
	if err := s.scorer.Ready(t.Context()); !isKind(err, failure.Unavailable) {
		t.Errorf("ready: %v", err)
	}
	if _, err := s.score(1); !isKind(err, failure.Unavailable) {
		t.Errorf("a score without an endpoint: %v", err)
	}
	s.serves("", false)
	s.train("first", "linear-learner", 300)
	s.must(s.order("first"))
	s.serves("", true)
	s.must(s.order("first")) // again, while it is created
	s.Advance(time.Hour)
	s.serves("first", false)
	s.must(s.order("first")) // again, when it serves
	if n := s.Count("CreateEndpoint") + s.Count("UpdateEndpoint"); n != 1 {
		t.Errorf("%d changes were ordered, want one", n)
	}
	s.must(s.scorer.Ready(t.Context()))
}

func TestRegisteringTwiceMakesOneModel(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Order("CreateModel", sandbox.Fault{Kind: sandbox.LoseAnswer})
	s.trainOnly("first", "linear-learner", 300)
	s.must(s.deployer.RegisterModel(t.Context(), "first", "first-1", s.schema.Fingerprint()))
	m, err := describeModel(t.Context(), s.api, "first")
	s.must(err)
	if m.schema != s.schema.Fingerprint() || m.algorithm != "linear-learner" {
		t.Errorf("the model's tags say %+v", m)
	}
	tags, err := readTags(t.Context(), s.api, m.arn)
	if err != nil || tags[tagJob] != "first-1" || tags[tagData] != "sha-of-300" || tags["gateway-test-roc_auc_score"] == "" {
		t.Errorf("tags are %v (%v)", tags, err)
	}
	job := s.job("other", "linear-learner", 200)
	s.must(s.trainer.StartTraining(t.Context(), job))
	s.Advance(time.Hour)
	isFault(t, s.deployer.RegisterModel(t.Context(), "first", job.Name, s.schema.Fingerprint()), modelswap.Bug, "belongs to model")
	if err := s.deployer.RegisterModel(t.Context(), "other", job.Name, "another schema"); err == nil || !strings.Contains(err.Error(), "for schema") {
		t.Errorf("a model of another schema: %v", err)
	}
	isFault(t, s.deployer.RegisterModel(t.Context(), strings.Repeat("x", 60), job.Name, s.schema.Fingerprint()), modelswap.Input, "at most 54 letters")
}

func TestAnUpdateKeepsWhatTheLiveEndpointHas(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.byHand("made-by-hand", "first", func(in *sagemaker.CreateEndpointConfigInput) {
		in.ProductionVariants[0].VariantName = sdk.String("primary")
		in.DataCaptureConfig = &types.DataCaptureConfig{EnableCapture: sdk.Bool(true), InitialSamplingPercentage: sdk.Int32(10),
			DestinationS3Uri: sdk.String("s3://bank/captured"), CaptureOptions: []types.CaptureOption{{CaptureMode: types.CaptureModeInput}}}
	})
	_, err := s.api.sagemaker.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: &s.endpoint.name, EndpointConfigName: sdk.String("made-by-hand"),
		Tags: []types.Tag{{Key: sdk.String("team"), Value: sdk.String("risk")}}})
	s.must(err)
	s.Advance(time.Hour)
	_, err = s.api.sagemaker.UpdateEndpointWeightsAndCapacities(t.Context(), &sagemaker.UpdateEndpointWeightsAndCapacitiesInput{EndpointName: &s.endpoint.name,
		DesiredWeightsAndCapacities: []types.DesiredWeightAndCapacity{{VariantName: sdk.String("primary"), DesiredInstanceCount: sdk.Int32(3)}}})
	s.must(err)
	s.Advance(time.Hour) // autoscaling made it three
	s.train("second", "linear-learner", 400)
	s.deploy("second")
	out := s.describe()
	if v := out.ProductionVariants[0]; sdk.ToString(v.VariantName) != "primary" || sdk.ToInt32(v.DesiredInstanceCount) != 3 {
		t.Errorf("variant %s has %d instances, want the same name and what autoscaling made of it", sdk.ToString(v.VariantName), sdk.ToInt32(v.DesiredInstanceCount))
	}
	config := s.configOf(*out.EndpointConfigName)
	if c := config.DataCaptureConfig; c == nil || sdk.ToString(c.DestinationS3Uri) != "s3://bank/captured" || sdk.ToInt32(c.InitialSamplingPercentage) != 10 {
		t.Errorf("data capture is %+v", c)
	}
	if tags, err := readTags(t.Context(), s.api, *out.EndpointArn); err != nil || tags["team"] != "risk" {
		t.Errorf("tags are %v (%v)", tags, err)
	}
}

func TestARollbackBySageMakerIsAFailure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  sandbox.Fault
		reason string
	}{
		{"with a reason", sandbox.Fault{Kind: sandbox.RollBack, Reason: "the alarm errors-5xx went off"}, "the alarm errors-5xx went off"},
		{"in silence", sandbox.Fault{Kind: sandbox.RollBackSilently}, "SageMaker gave no reason"},
		{"for want of machines", sandbox.Fault{Kind: sandbox.NoCapacity}, "apacity"},
	}
	for _, tt := range tests {
		for _, restarted := range []string{"", ", and another process looks"} {
			t.Run(tt.name+restarted, func(t *testing.T) {
				s := start(t)
				s.train("first", "linear-learner", 300)
				s.deploy("first")
				s.train("second", "linear-learner", 400)
				s.Order("UpdateEndpoint", tt.fault)
				s.must(s.order("second"))
				s.serves("first", true)
				s.Advance(24 * time.Hour)
				if restarted != "" {
					s.wire(s.schema)
					s.deployer.timing.Grace = time.Nanosecond // the order is a day old by the stand-in's clock
				}
				s.serves("first", false)
				err := s.order("second")
				isFault(t, err, modelswap.Unfit, tt.reason)
				isFault(t, err, modelswap.Unfit, "rolled back to first-")
				// The error was reported, so the model can be deployed again.
				s.deploy("second")
			})
		}
	}
}

func TestTheFirstLookAfterAnOrderMayBeOld(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	s.train("second", "linear-learner", 400)
	s.must(s.order("second"))
	// SageMaker still shows the endpoint as before.
	old := *s.endpoint.view.Load()
	old.status, old.pending, old.coming, old.at = types.EndpointStatusInService, "", nil, time.Now()
	for _, another := range []bool{false, true} {
		if another { // another process, which has only the recorded order
			s.deployer.lastDeployment = lastDeployment{}
			last, err := s.deployer.readDeployment(t.Context())
			s.must(err)
			s.deployer.lastDeployment.set(last)
		}
		if changing, err := s.deployer.settle(t.Context(), &old); err != nil || !changing {
			t.Errorf("changing is %v (%v) right after the order", changing, err)
		}
		old.at = time.Now().Add(2 * time.Minute)
		if changing, err := s.deployer.settle(t.Context(), &old); err != nil || changing {
			t.Errorf("changing is %v (%v) when the grace is over", changing, err)
		}
		old.at = time.Now()
	}
}

func TestAnEndpointThatCouldNotBeCreatedIsMadeAnew(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.Order("CreateEndpoint", sandbox.Fault{Kind: sandbox.Fail, Reason: "the container did not answer its ping"})
	s.must(s.order("first"))
	s.Advance(24 * time.Hour)
	s.serves("", false)
	isFault(t, s.order("first"), modelswap.Unfit, "the endpoint is Failed: the container did not answer its ping")
	s.must(s.order("first")) // deletes it
	s.Advance(time.Hour)
	s.deploy("first")
}

func TestOrdersWhoseAnswerIsLostAreFoundAgain(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"} {
		t.Run(op, func(t *testing.T) {
			s := start(t)
			if op != "UpdateEndpoint" {
				s.Order(op, sandbox.Fault{Kind: sandbox.LoseAnswer})
			}
			s.train("first", "linear-learner", 300)
			s.deploy("first")
			if op == "UpdateEndpoint" {
				s.Order(op, sandbox.Fault{Kind: sandbox.LoseAnswer})
				s.train("second", "linear-learner", 400)
				s.deploy("second")
			}
		})
	}
}

func TestAConfigurationThatIsNotVisibleYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Order("CreateEndpoint", sandbox.Fault{Kind: sandbox.NotYetVisible, Times: 2})
	s.train("first", "linear-learner", 300)
	s.deploy("first")
}

func TestWhileTheEndpointChangesAnotherOrderIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	s.train("second", "linear-learner", 400)
	s.train("third", "linear-learner", 500)
	s.must(s.order("second"))
	err := s.order("third")
	isFault(t, err, modelswap.Transient, "endpoint bank-endpoint is Updating")
	if !isKind(err, failure.Conflict) {
		t.Errorf("an operator is told %v, want a conflict", err)
	}
	s.Advance(time.Hour)
	s.deploy("third")
	if err := s.order("nothing"); !isKind(err, failure.NotFound) {
		t.Errorf("a model that does not exist: %v", err)
	}
}

func TestASwapBetweenSchemasIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	s.wire(parseSchema(t, strings.Replace(smallSchema, "values: [may, jun]", "values: [jun, may]", 1)))
	s.train("second", "linear-learner", 300)
	err := s.order("second")
	isFault(t, err, modelswap.Input, "GATEWAY_ENDPOINT_NAME")
	if n := s.Count("UpdateEndpoint"); n != 0 {
		t.Errorf("%d updates were ordered", n)
	}
	// Rows of the new schema have as many columns as those of the old one, and get no score.
	if out, err := s.score(1); !isKind(err, failure.Unavailable) {
		t.Errorf("got %+v, %v, want no score of a model that reads the columns otherwise", out, err)
	}
	if err := s.scorer.Ready(t.Context()); err == nil {
		t.Error("the gateway is ready")
	}
	// With an endpoint of its own the gateway can deploy.
	s.endpoint.name = "another-endpoint"
	s.deploy("second")
	_, err = s.score(1)
	s.must(err)
}

func TestAnEndpointThatNoGatewayMadeIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	out, err := s.api.sagemaker.DescribeModel(t.Context(), &sagemaker.DescribeModelInput{ModelName: sdk.String("first")})
	s.must(err)
	_, err = s.api.sagemaker.CreateModel(t.Context(), &sagemaker.CreateModelInput{ModelName: sdk.String("theirs"), ExecutionRoleArn: out.ExecutionRoleArn, PrimaryContainer: out.PrimaryContainer})
	s.must(err)
	s.byHand("theirs", "theirs", nil)
	_, err = s.api.sagemaker.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: &s.endpoint.name, EndpointConfigName: sdk.String("theirs")})
	s.must(err)
	s.Advance(time.Hour)
	s.serves("theirs", false)
	if _, err := s.score(1); err == nil || !strings.Contains(err.Error(), "give it the tag gateway-schema="+s.schema.Fingerprint()) {
		t.Errorf("got %v, want how to adopt it", err)
	}
	isFault(t, s.order("first"), modelswap.Input, "an unknown schema")
	if err := s.deployer.RemoveModel(t.Context(), "theirs"); !isKind(err, failure.Conflict) {
		t.Errorf("removing it: %v", err)
	}
	// With the tag it is treated like any other model.
	theirs, err := describeModel(t.Context(), s.api, "theirs")
	s.must(err)
	s.must(tag(t.Context(), s.api, theirs.arn, map[string]string{tagSchema: s.schema.Fingerprint()}))
	s.serves("theirs", false)
	if got := s.truth(2); got["theirs"] != 2 {
		t.Errorf("answers are %v", got)
	}
	s.train("second", "linear-learner", 400)
	s.deploy("second")
	s.truth(2)
}

func TestRemovingTakesAllOfAModelAndNothingThatServes(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	s.train("second", "linear-learner", 400)
	s.train("first-too", "linear-learner", 350) // a name that begins like another
	s.deploy("first-too")
	s.must(s.order("second"))
	for _, model := range []string{"first-too", "second"} { // serving, and coming
		if err := s.deployer.RemoveModel(t.Context(), model); !isKind(err, failure.Conflict) {
			t.Errorf("removing %s: %v", model, err)
		}
	}
	s.Advance(time.Hour)
	s.serves("second", false)
	for range 2 {
		s.must(s.deployer.RemoveModel(t.Context(), "first"))
	}
	configs, err := s.api.sagemaker.ListEndpointConfigs(t.Context(), &sagemaker.ListEndpointConfigsInput{})
	s.must(err)
	for _, c := range configs.EndpointConfigs {
		if isConfigOf(*c.EndpointConfigName, "first") {
			t.Errorf("configuration %s is left", *c.EndpointConfigName)
		}
	}
	if len(configs.EndpointConfigs) != 2 {
		t.Errorf("%d configurations are left, want those of the other two", len(configs.EndpointConfigs))
	}
	for _, key := range s.objects("") {
		if strings.Contains(key, "/first/") && !strings.Contains(key, "/renewals/") || strings.Contains(key, "/first-1/") {
			t.Errorf("object %s is left", key)
		}
	}
	if slices.ContainsFunc(s.objects("gateway/training/first-too-1"), func(string) bool { return true }) == false {
		t.Error("the artifact of first-too is gone")
	}
	s.deploy("first-too") // it can be gone back to
	if err := s.order("first"); !isKind(err, failure.NotFound) {
		t.Errorf("the model that was removed: %v", err)
	}
}

func TestStrategies(t *testing.T) {
	t.Parallel()
	for _, strategy := range Strategies() {
		t.Run(strategy, func(t *testing.T) {
			s := start(t)
			s.hosting.Strategy, s.hosting.InstanceCount, s.hosting.Alarms = Strategy(strategy), 10, []string{"errors-5xx"}
			s.must(s.hosting.Strategy.Check(10))
			s.wire(s.schema)
			s.train("first", "linear-learner", 300)
			s.deploy("first")
			s.train("second", "linear-learner", 400)
			s.deploy("second") // the stand-in holds the configuration to SageMaker's rules
			last := s.describe().LastDeploymentConfig
			if last == nil || len(last.AutoRollbackConfiguration.Alarms) != 1 || (last.RollingUpdatePolicy != nil) != (strategy == "rolling") {
				t.Fatalf("deployed with %+v", last)
			}
			if p := last.BlueGreenUpdatePolicy; p != nil {
				want := strings.ToUpper(strings.ReplaceAll(strategy, "-", "_"))
				if got := string(p.TrafficRoutingConfiguration.Type); got != want {
					t.Errorf("traffic goes over %s, want %s", got, want)
				}
			}
		})
	}
	for _, strategy := range []Strategy{Canary, Linear, Rolling} {
		if err := strategy.Check(1); err == nil {
			t.Errorf("%s with one instance was accepted", strategy)
		}
	}
	if err := AllAtOnce.Check(1); err != nil {
		t.Error(err)
	}
	if err := Strategy("big-bang").Check(1); err == nil {
		t.Error("a strategy that does not exist was accepted")
	}
}
