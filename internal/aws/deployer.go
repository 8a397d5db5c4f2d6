package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// HostingSettings are the settings of the endpoint.
type HostingSettings struct {
	Role          string
	InstanceType  string
	InstanceCount int
	Strategy      Strategy
	Alarms        []string // names of CloudWatch alarms; SageMaker rolls a deployment back if one goes off
}

// Timing sets how long the deployer waits for SageMaker. The zero value has defaults for
// the real service.
type Timing struct {
	// Grace is how long after an order the endpoint may still show the state before. An
	// order that it does not show after Grace has failed. Zero: 1 min.
	Grace time.Duration
	// Poll is the time between two descriptions of a batch transform job. Zero: 5 s.
	Poll time.Duration
}

const (
	defaultGrace = time.Minute
	defaultPoll  = 5 * time.Second
)

// Deployer implements modelswap.Deployer with SageMaker's models, endpoint
// configurations and the endpoint.
type Deployer struct {
	api      *Clients
	files    *Files
	endpoint *Endpoint
	schema   *schema.Schema
	settings HostingSettings
	timing   Timing
	log      *slog.Logger

	orders         chan struct{} // holds a token while a goroutine makes an order
	lastDeployment lastDeployment
}

// NewDeployer makes a deployer for an endpoint.
func NewDeployer(endpoint *Endpoint, settings HostingSettings, timing Timing, log *slog.Logger) *Deployer {
	if timing.Grace <= 0 {
		timing.Grace = defaultGrace
	}
	if timing.Poll <= 0 {
		timing.Poll = defaultPoll
	}
	return &Deployer{api: endpoint.api, files: endpoint.files, endpoint: endpoint, schema: endpoint.schema,
		settings: settings, timing: timing, log: log, orders: make(chan struct{}, 1)}
}

// modelName matches the names of models that SageMaker accepts, except for their length.
var modelName = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$`)

// RegisterModel implements modelswap.Deployer. The artifact is the name of a training job;
// the model has its image and its artifact.
func (d *Deployer) RegisterModel(ctx context.Context, name, artifact, schema string) error {
	if len(name) > modelswap.MaxModelName || !modelName.MatchString(name) {
		return &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf(
			"%q is not a valid name of a model: want at most %d letters, digits and dashes", name, modelswap.MaxModelName)}
	}
	job, err := d.api.sagemaker.DescribeTrainingJob(ctx, &sagemaker.DescribeTrainingJobInput{TrainingJobName: &artifact})
	if err != nil {
		return fault("DescribeTrainingJob", err)
	}
	has, err := readTags(ctx, d.api, sdk.ToString(job.TrainingJobArn))
	if err != nil {
		return err
	}
	switch {
	case job.ModelArtifacts == nil || job.ModelArtifacts.S3ModelArtifacts == nil || job.AlgorithmSpecification == nil:
		return &modelswap.Fault{Class: modelswap.Transient, Err: fmt.Errorf("training job %s has no artifact yet", artifact)}
	case has[tagSchema] != schema:
		return fmt.Errorf("training job %s was for schema %.12s, the gateway has %.12s: %w", artifact, has[tagSchema], schema, learn.ErrSchema)
	case has[tagModel] != name:
		return &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf("training job %s belongs to model %q", artifact, has[tagModel])}
	}
	values := map[string]string{tagJob: artifact, tagSchema: schema, tagAlgorithm: has[tagAlgorithm], tagData: has[tagData]}
	for _, m := range job.FinalMetricDataList {
		// The metrics that the training job computed on the held-out rows.
		if metric, ok := strings.CutPrefix(sdk.ToString(m.MetricName), "test:"); ok && m.Value != nil && len(values) < 20 {
			values["gateway-test-"+metric] = fmt.Sprint(*m.Value)
		}
	}
	_, err = d.api.sagemaker.CreateModel(ctx, &sagemaker.CreateModelInput{
		ModelName:        &name,
		ExecutionRoleArn: &d.settings.Role,
		PrimaryContainer: &types.ContainerDefinition{
			Image: job.AlgorithmSpecification.TrainingImage, ModelDataUrl: job.ModelArtifacts.S3ModelArtifacts,
		},
		Tags: tags(values),
	})
	if isTaken(err) {
		return d.sameModel(ctx, name, values)
	}
	return fault("CreateModel", err)
}

// sameModel returns an error unless the existing model has the wanted job and schema.
func (d *Deployer) sameModel(ctx context.Context, name string, want map[string]string) error {
	out, err := d.api.sagemaker.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if err != nil {
		return fault("DescribeModel", err)
	}
	has, err := readTags(ctx, d.api, sdk.ToString(out.ModelArn))
	if err != nil {
		return err
	}
	for _, key := range []string{tagJob, tagSchema} {
		if has[key] != want[key] {
			return &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf("another model %s exists: its tag %s is %q, want %q",
				name, key, has[key], want[key])}
		}
	}
	return nil
}

// DescribeModel implements modelswap.Deployer.
func (d *Deployer) DescribeModel(ctx context.Context, name string) (modelswap.Model, error) {
	out, err := d.api.sagemaker.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if isMissing(err) {
		return modelswap.Model{}, failure.Errorf(failure.NotFound, "SageMaker has no model %q", name)
	}
	if err != nil {
		return modelswap.Model{}, fault("DescribeModel", err)
	}
	has, err := readTags(ctx, d.api, sdk.ToString(out.ModelArn))
	if err != nil {
		return modelswap.Model{}, err
	}
	return modelswap.Model{Name: name, Algorithm: has[tagAlgorithm], Schema: has[tagSchema], Data: has[tagData],
		CreatedAt: sdk.ToTime(out.CreationTime).UTC().Truncate(time.Millisecond)}, nil
}

// RemoveModel implements modelswap.Deployer. It removes the model, its endpoint
// configurations, the artifact of its training job, and its evaluations.
func (d *Deployer) RemoveModel(ctx context.Context, name string) error {
	return d.order(ctx, func() error { return d.removeModel(ctx, name) }) // not while this process deploys a model
}

func (d *Deployer) removeModel(ctx context.Context, name string) error {
	v, err := d.endpoint.look(ctx, time.Now())
	if err != nil {
		return err
	}
	if v.uses(name) {
		return inUse(name)
	}
	m, err := d.api.sagemaker.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if isMissing(err) {
		return d.files.RemoveAll(ctx, evaluationFolder(name))
	}
	if err != nil {
		return fault("DescribeModel", err)
	}
	has, err := readTags(ctx, d.api, sdk.ToString(m.ModelArn))
	if err != nil {
		return err
	}
	if has[tagJob] == "" {
		return failure.Errorf(failure.Conflict, "model %s was not made by a gateway, so the gateway does not remove it", name)
	}
	used, v, err := d.markRemoved(ctx, name, sdk.ToString(m.ModelArn))
	if err != nil {
		return err
	}
	if used {
		return inUse(name)
	}
	if err := d.removeConfigs(ctx, name, v); err != nil {
		return err
	}
	err = errors.Join(d.files.RemoveAll(ctx, evaluationFolder(name)), d.files.RemoveAll(ctx, artifactFolder(has[tagJob])))
	if err != nil {
		return err
	}
	// The model is deleted last, so that a next attempt finds what is left.
	if _, err := d.api.sagemaker.DeleteModel(ctx, &sagemaker.DeleteModelInput{ModelName: &name}); err != nil && !isMissing(err) {
		return fault("DeleteModel", err)
	}
	return nil
}

func inUse(name string) error {
	return failure.Errorf(failure.Conflict, "model %s serves or is being deployed", name)
}

// removeConfigs deletes the endpoint configurations of a model, except those that the
// endpoint uses: SageMaker needs them to update and to patch the endpoint.
func (d *Deployer) removeConfigs(ctx context.Context, model string, v *view) error {
	pages := sagemaker.NewListEndpointConfigsPaginator(d.api.sagemaker, &sagemaker.ListEndpointConfigsInput{NameContains: &model})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fault("ListEndpointConfigs", err)
		}
		for _, c := range page.EndpointConfigs {
			name := sdk.ToString(c.EndpointConfigName)
			if name == v.config || name == v.pending || !isConfigOf(name, model) {
				continue
			}
			if _, err := d.api.sagemaker.DeleteEndpointConfig(ctx, &sagemaker.DeleteEndpointConfigInput{EndpointConfigName: &name}); err != nil && !isMissing(err) {
				return fault("DeleteEndpointConfig", err)
			}
		}
	}
	return nil
}
