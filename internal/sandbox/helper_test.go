package sandbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/smithy-go"

	"gateway/internal/sandbox"
)

const (
	bucket  = "bank"
	linear  = "664544806723.dkr.ecr.eu-central-1.amazonaws.com/linear-learner:1"
	xgboost = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:1.7-1"
	xgb090  = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:0.90-2-cpu-py3"
)

// stand is a sandbox and its clients.
type stand struct {
	*sandbox.Server
	t       *testing.T
	sm      *sagemaker.Client
	runtime *sagemakerruntime.Client
	s3      *s3.Client
	dynamo  *dynamodb.Client
}

// start starts a sandbox whose clock moves only by Advance.
func start(t *testing.T) *stand {
	t.Helper()
	return startWith(t, sandbox.Options{Clock: sandbox.NewManualClock()})
}

func startWith(t *testing.T, o sandbox.Options) *stand {
	t.Helper()
	o.Buckets = append(o.Buckets, bucket)
	s := sandbox.Start(t, o)
	cfg := s.Config()
	return &stand{s, t, sagemaker.NewFromConfig(cfg), sagemakerruntime.NewFromConfig(cfg), s3.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)}
}

func (s *stand) put(key, text string) {
	s.t.Helper()
	_, err := s.s3.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(text)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// csv returns training data whose label depends on the first column.
func csv(rows int, seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for range rows {
		x, y, label := random.Float64(), random.Float64(), 0
		if x+0.2*y+0.1*random.Float64() > 0.7 {
			label = 1
		}
		fmt.Fprintf(&b, "%d,%.4f,%.4f\n", label, x, y)
	}
	return b.String()
}

// trainingJob is the request to train on the objects under data/.
func trainingJob(name, image string) *sagemaker.CreateTrainingJobInput {
	parameters := map[string]string{"predictor_type": "binary_classifier", "mini_batch_size": "100"}
	if image != linear {
		parameters = map[string]string{"num_round": "5", "objective": "binary:logistic"}
	}
	channel := func(name string) types.Channel {
		return types.Channel{ChannelName: aws.String(name), ContentType: aws.String("text/csv"), DataSource: &types.DataSource{
			S3DataSource: &types.S3DataSource{S3DataType: types.S3DataTypeS3Prefix, S3Uri: aws.String("s3://" + bucket + "/data/" + name + "/")}}}
	}
	return &sagemaker.CreateTrainingJobInput{
		TrainingJobName:        aws.String(name),
		RoleArn:                aws.String(sandbox.Role),
		AlgorithmSpecification: &types.AlgorithmSpecification{TrainingImage: &image, TrainingInputMode: types.TrainingInputModeFile},
		HyperParameters:        parameters,
		InputDataConfig:        []types.Channel{channel("train"), channel("validation")},
		OutputDataConfig:       &types.OutputDataConfig{S3OutputPath: aws.String("s3://" + bucket + "/models")},
		ResourceConfig:         &types.ResourceConfig{InstanceType: types.TrainingInstanceTypeMlM5Large, InstanceCount: aws.Int32(1), VolumeSizeInGB: aws.Int32(10)},
		StoppingCondition:      &types.StoppingCondition{MaxRuntimeInSeconds: aws.Int32(3600)},
		Tags:                   []types.Tag{{Key: aws.String("renewal"), Value: aws.String("r-1")}},
	}
}

func (s *stand) describeJob(name string) *sagemaker.DescribeTrainingJobOutput {
	s.t.Helper()
	out, err := s.sm.DescribeTrainingJob(s.t.Context(), &sagemaker.DescribeTrainingJobInput{TrainingJobName: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *stand) data() {
	s.put("data/train/part-0.csv", csv(400, 1))
	s.put("data/train/part-1.csv", csv(200, 2))
	s.put("data/validation/held.csv", csv(200, 3))
}

// train trains a model and returns the URL of its artifact.
func (s *stand) train(name, image string) string {
	s.t.Helper()
	s.data()
	if _, err := s.sm.CreateTrainingJob(s.t.Context(), trainingJob(name, image)); err != nil {
		s.t.Fatal(err)
	}
	s.Advance(time.Hour)
	out := s.describeJob(name)
	if out.TrainingJobStatus != types.TrainingJobStatusCompleted {
		s.t.Fatalf("job %s is %s: %s", name, out.TrainingJobStatus, aws.ToString(out.FailureReason))
	}
	return *out.ModelArtifacts.S3ModelArtifacts
}

// model trains and registers a model, and makes a configuration of one name
// with it.
func (s *stand) model(name, image string) {
	s.t.Helper()
	artifact := s.train(name, image)
	if _, err := s.sm.CreateModel(s.t.Context(), modelInput(name, image, artifact)); err != nil {
		s.t.Fatal(err)
	}
	s.config(name, name)
}

func modelInput(name, image, artifact string) *sagemaker.CreateModelInput {
	return &sagemaker.CreateModelInput{ModelName: &name, ExecutionRoleArn: aws.String(sandbox.Role),
		PrimaryContainer: &types.ContainerDefinition{Image: &image, ModelDataUrl: &artifact}}
}

func variantOf(model string) types.ProductionVariant {
	return types.ProductionVariant{VariantName: aws.String("AllTraffic"), ModelName: &model, InstanceType: types.ProductionVariantInstanceTypeMlM5Large,
		InitialInstanceCount: aws.Int32(2)}
}

func (s *stand) config(name, model string) {
	s.t.Helper()
	_, err := s.sm.CreateEndpointConfig(s.t.Context(), &sagemaker.CreateEndpointConfigInput{EndpointConfigName: &name,
		ProductionVariants: []types.ProductionVariant{variantOf(model)}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// endpoint creates an endpoint and waits for it.
func (s *stand) endpoint(name, config string) {
	s.t.Helper()
	if _, err := s.sm.CreateEndpoint(s.t.Context(), &sagemaker.CreateEndpointInput{EndpointName: &name, EndpointConfigName: &config}); err != nil {
		s.t.Fatal(err)
	}
	s.Advance(10 * time.Minute)
	s.is(name, types.EndpointStatusInService, config)
}

func (s *stand) update(name, config string) {
	s.t.Helper()
	if _, err := s.sm.UpdateEndpoint(s.t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: &name, EndpointConfigName: &config}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) describe(name string) *sagemaker.DescribeEndpointOutput {
	s.t.Helper()
	out, err := s.sm.DescribeEndpoint(s.t.Context(), &sagemaker.DescribeEndpointInput{EndpointName: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// is checks the status of an endpoint and the configuration that it serves.
func (s *stand) is(name string, status types.EndpointStatus, config string) *sagemaker.DescribeEndpointOutput {
	s.t.Helper()
	out := s.describe(name)
	if out.EndpointStatus != status || aws.ToString(out.EndpointConfigName) != config {
		s.t.Fatalf("endpoint is %s with %s (%s), want %s with %s", out.EndpointStatus, aws.ToString(out.EndpointConfigName), aws.ToString(out.FailureReason), status, config)
	}
	return out
}

func (s *stand) invoke(endpoint, body string, options ...func(*sagemakerruntime.InvokeEndpointInput)) (*sagemakerruntime.InvokeEndpointOutput, error) {
	in := &sagemakerruntime.InvokeEndpointInput{EndpointName: &endpoint, ContentType: aws.String("text/csv"), Body: []byte(body)}
	for _, o := range options {
		o(in)
	}
	return s.runtime.InvokeEndpoint(s.t.Context(), in)
}

// refused checks the code of an error and the beginning of its message.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("got %v, want the API error %s", err, code)
	}
	if api.ErrorCode() != code || !strings.HasPrefix(api.ErrorMessage(), message) {
		t.Fatalf("got %s: %q, want %s: %q…", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}
