package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// DeployModel implements modelswap.Deployer. It creates an endpoint configuration for the
// model, and creates the endpoint with it or updates the endpoint to it.
//
// It does not wait for the end. Called again for the same model, it returns an error if
// the deployment has ended and the endpoint has another configuration, as after a
// rollback by SageMaker.
func (d *Deployer) DeployModel(ctx context.Context, c modelswap.Change) (version int64, err error) {
	err = d.order(ctx, func() error { version, err = d.deploy(ctx, c); return err })
	return version, err
}

func (d *Deployer) deploy(ctx context.Context, c modelswap.Change) (version int64, err error) {
	v, last, err := d.lookAtOrders(ctx, c)
	if err != nil {
		return 0, err
	}
	m, err := describeModel(ctx, d.api, c.Model)
	switch {
	case isMissing(err):
		return 0, failure.Errorf(failure.NotFound, "SageMaker has no model %q", c.Model)
	case err != nil:
		return 0, err
	case m.removed:
		return 0, beingRemoved(m)
	}
	if err := d.mayReplace(v, m); err != nil {
		return 0, err
	}
	waiting, err := d.lastOrder(ctx, v, m, &last)
	switch {
	case err != nil:
		return 0, err
	case waiting || v.settledOn(m):
		return last.version(), nil
	case v.changing():
		return 0, busy(v)
	}
	if err := d.ensureProbeScores(ctx, v, m); err != nil {
		return 0, err
	}
	if v.status == types.EndpointStatusFailed {
		return last.version(), d.removeFailed(ctx, v)
	}
	next := last.next(c, v)
	want, err := d.configFor(ctx, v, m, next.Ordered)
	if err != nil {
		return 0, err
	}
	if err := d.createConfig(ctx, want, m); err != nil {
		return 0, err
	}
	next.Config = *want.EndpointConfigName
	if err := d.writeDeployment(ctx, &next); err != nil {
		return 0, err
	}
	return next.version(), d.apply(ctx, v, m, &next)
}

// settledOn reports whether the endpoint serves the model and does not change.
func (v *view) settledOn(m *model) bool {
	return v.serving != nil && v.serving.name == m.name && v.status == types.EndpointStatusInService && !v.changing()
}

func beingRemoved(m *model) error {
	return failure.Errorf(failure.Conflict, "model %s is being removed, because newer models are kept for a rollback", m.name)
}

// busy is the error for an endpoint that cannot be updated while it changes. A renewal
// tries again; an operator gets a conflict.
func busy(v *view) error {
	return &modelswap.Fault{Class: modelswap.Transient, Err: failure.Errorf(failure.Conflict,
		"endpoint %s is %s; try again when the change has ended", v.endpoint, v.status)}
}

// mayReplace refuses to replace a model of another schema. During the update both models
// answer, and a request cannot be encoded for the model that will get it.
func (d *Deployer) mayReplace(v *view, m *model) error {
	fingerprint := d.schema.Fingerprint()
	switch {
	case m.schema != fingerprint:
		return failure.Errorf(failure.Conflict, "model %s was made for schema %.12s, the gateway has %.12s", m.name, m.schema, fingerprint)
	case v.serving == nil || v.status == types.EndpointStatusFailed || v.serving.schema == fingerprint:
		return nil
	}
	has := "an unknown schema"
	if v.serving.schema != "" {
		has = fmt.Sprintf("schema %.12s", v.serving.schema)
	}
	return &modelswap.Fault{Class: modelswap.Input, Err: failure.Errorf(failure.Conflict,
		"endpoint %s serves model %s of %s, this gateway has schema %.12s; during the update both would answer, and rows of one schema are wrong for the other: "+
			"give this gateway an endpoint of its own with GATEWAY_ENDPOINT_NAME and move the apps to it", v.endpoint, v.serving.name, has, fingerprint)}
}

// lastOrder examines the newest order if it is one of model m. It reports whether the
// order is still under way, and returns an error if it has failed.
func (d *Deployer) lastOrder(ctx context.Context, v *view, m *model, last *deployment) (waiting bool, err error) {
	if last.Model != m.name || !last.open() || last.Unsent && !v.has(last.Config) {
		return false, nil
	}
	changing, err := d.settle(ctx, v)
	switch {
	case err != nil:
		return false, err
	case changing:
		return v.pending == "" || v.pending == last.Config, nil
	case v.config == last.Config && v.status == types.EndpointStatusInService:
		return false, nil
	}
	// The change has ended, and the endpoint does not have the ordered configuration.
	reason := strings.TrimSpace(v.failure)
	if reason == "" {
		reason = "SageMaker gave no reason"
	}
	state := fmt.Sprintf("SageMaker rolled back to %s", v.config)
	if v.config == "" || v.status != types.EndpointStatusInService {
		state = fmt.Sprintf("the endpoint is %s", orNone(string(v.status)))
	}
	last.Failed = reason
	if err := d.writeDeployment(ctx, last); err != nil {
		return false, err
	}
	return false, &modelswap.Fault{Class: modelswap.Unfit, Err: fmt.Errorf("model %s was not deployed: %s: %s", m.name, state, reason)}
}

func orNone(text string) string {
	if text == "" {
		return "missing"
	}
	return text
}

// configFor makes the endpoint configuration of a model. It keeps data capture, encryption
// and scaling of the present configuration. Its name contains a hash of its content and of
// the time of the order: each order has a configuration of its own, and deleting that
// revokes the order.
func (d *Deployer) configFor(ctx context.Context, v *view, m *model, ordered time.Time) (*sagemaker.CreateEndpointConfigInput, error) {
	variant := types.ProductionVariant{
		VariantName:          sdk.String(modelswap.Variant),
		ModelName:            &m.name,
		InstanceType:         types.ProductionVariantInstanceType(d.settings.InstanceType),
		InitialInstanceCount: sdk.Int32(int32(d.settings.InstanceCount)),
		InitialVariantWeight: sdk.Float32(1),
	}
	want := &sagemaker.CreateEndpointConfigInput{Tags: tags(map[string]string{tagModel: m.name, tagSchema: m.schema})}
	if v.config != "" && v.status != types.EndpointStatusFailed {
		live, err := d.api.sagemaker.DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: &v.config})
		if err != nil {
			return nil, fault("DescribeEndpointConfig", err)
		}
		if c := live.DataCaptureConfig; c != nil && c.DestinationS3Uri != nil {
			want.DataCaptureConfig = c
		}
		want.KmsKeyId = live.KmsKeyId
		if len(live.ProductionVariants) == 1 {
			p := live.ProductionVariants[0]
			variant.VariantName = p.VariantName // the name of a variant cannot change
			variant.RoutingConfig, variant.ManagedInstanceScaling = p.RoutingConfig, p.ManagedInstanceScaling
			variant.ModelDataDownloadTimeoutInSeconds = p.ModelDataDownloadTimeoutInSeconds
			variant.ContainerStartupHealthCheckTimeoutInSeconds = p.ContainerStartupHealthCheckTimeoutInSeconds
		}
	}
	want.ProductionVariants = []types.ProductionVariant{variant}
	said, err := json.Marshal(struct {
		V types.ProductionVariant
		D *types.DataCaptureConfig
		K *string
		O int64
	}{variant, want.DataCaptureConfig, want.KmsKeyId, ordered.UnixMicro()})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(said)
	want.EndpointConfigName = sdk.String(m.name + "-" + hex.EncodeToString(sum[:configSum/2]))
	return want, nil
}

// configSum is the number of hexadecimal digits of the hash in a configuration's name.
const configSum = 8

// maxName is the maximum length of the names of models and endpoint configurations in
// SageMaker.
const maxName = 63

// It does not compile if the name of a configuration could be longer than maxName.
const _ = uint(maxName - len("-") - configSum - modelswap.MaxModelName)

// isConfigOf reports whether configFor made the name of the configuration for the model.
func isConfigOf(config, model string) bool {
	rest, ok := strings.CutPrefix(config, model+"-")
	_, err := hex.DecodeString(rest)
	return ok && err == nil && len(rest) == configSum
}

func (d *Deployer) createConfig(ctx context.Context, want *sagemaker.CreateEndpointConfigInput, m *model) error {
	_, err := d.api.sagemaker.CreateEndpointConfig(ctx, want)
	if !isTaken(err) {
		return fault("CreateEndpointConfig", err)
	}
	live, err := d.api.sagemaker.DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: want.EndpointConfigName})
	if err != nil {
		return fault("DescribeEndpointConfig", err)
	}
	if len(live.ProductionVariants) != 1 || sdk.ToString(live.ProductionVariants[0].ModelName) != m.name {
		return &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf("endpoint configuration %s exists and has another model", *want.EndpointConfigName)}
	}
	return nil
}

// removeFailed deletes an endpoint whose creation failed, because SageMaker cannot update
// it. The next call creates it again. SageMaker deletes without a condition, so
// removeFailed refuses if the description of the endpoint is older than maxLookAge: a
// process that was suspended must not delete an endpoint that was created meanwhile.
func (d *Deployer) removeFailed(ctx context.Context, v *view) error {
	if age := time.Since(v.at); age > maxLookAge || time.Now().Round(0).Sub(v.at.Round(0)) > maxLookAge {
		return &modelswap.Fault{Class: modelswap.Transient, Err: fmt.Errorf("the description of endpoint %s is %s old, too old to delete the endpoint", v.endpoint, age.Round(time.Second))}
	}
	if _, err := d.api.sagemaker.DeleteEndpoint(ctx, &sagemaker.DeleteEndpointInput{EndpointName: &d.endpoint.name}); err != nil && !isMissing(err) {
		return fault("DeleteEndpoint", err)
	}
	return nil
}

const maxLookAge = 10 * time.Second

// apply sends the recorded order to SageMaker and records that it was sent.
func (d *Deployer) apply(ctx context.Context, v *view, m *model, next *deployment) error {
	// If the model is marked after this read, markRemoved finds the recorded order.
	if removed, err := d.isRemoved(ctx, m); err != nil {
		return err
	} else if removed {
		next.Unsent, next.Failed = false, "the model is being removed"
		return errors.Join(d.writeDeployment(ctx, next), beingRemoved(m))
	}
	operation := "UpdateEndpoint"
	order := func() error {
		_, err := d.api.sagemaker.UpdateEndpoint(ctx, &sagemaker.UpdateEndpointInput{
			EndpointName: &d.endpoint.name, EndpointConfigName: &next.Config,
			// Else SageMaker would reset the number of instances from the one that
			// autoscaling has set to the one of the configuration.
			RetainAllVariantProperties: sdk.Bool(true),
			DeploymentConfig:           d.settings.Strategy.config(d.settings.Alarms),
		})
		return err
	}
	if v.config == "" {
		operation = "CreateEndpoint"
		order = func() error {
			_, err := d.api.sagemaker.CreateEndpoint(ctx, &sagemaker.CreateEndpointInput{EndpointName: &d.endpoint.name, EndpointConfigName: &next.Config,
				Tags: tags(map[string]string{tagSchema: m.schema})})
			return err
		}
	}
	err := retryFresh(ctx, order)
	if isTaken(err) || isInProgress(err) {
		// Another process has just sent an order, or this one has and the answer was
		// lost.
		now, lookErr := d.endpoint.look(ctx, time.Now())
		if lookErr != nil {
			return lookErr
		}
		if !now.has(next.Config) {
			return busy(now)
		}
		err = nil
	}
	if err != nil {
		return fault(operation, err)
	}
	d.log.Info("sent the deployment of a model to SageMaker; it is under way", "endpoint", d.endpoint.name, "model", m.name, "config", next.Config, "replaces", v.config, "operation", operation)
	if err := d.revoke(ctx, next.Revoked); err != nil {
		return err
	}
	next.Unsent, next.Revoked = false, nil
	return d.writeDeployment(ctx, next)
}

// retryFresh repeats a call that fails because a resource is missing, for about six
// seconds. SageMaker may not see a resource that was created just before.
func retryFresh(ctx context.Context, call func() error) error {
	wait := 200 * time.Millisecond
	for tries := 0; ; tries++ {
		err := call()
		if err == nil || !isMissing(err) || tries == 5 {
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return err
		}
	}
}
