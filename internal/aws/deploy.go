package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// variantName is the same for every model: autoscaling, alarms and
// RetainAllVariantProperties go by it.
const variantName = "AllTraffic"

// deployment is the file that remembers the change that was ordered last. The
// service itself forgets: an update that failed ends with the endpoint in
// service on its old configuration, at times without a reason.
type deployment struct {
	Model   string    `json:"model"`
	Config  string    `json:"config"`
	Ordered time.Time `json:"ordered"`
	// Failed says why it failed, once somebody has been told. The same
	// configuration may then be ordered again.
	Failed string `json:"failed,omitempty"`
	// Done is set once the endpoint was seen in service with it.
	Done bool `json:"done,omitempty"`
}

// same reports whether both are the same order.
func (d deployment) same(other deployment) bool {
	return d.Config == other.Config && d.Ordered.Equal(other.Ordered)
}

func (d *Deployer) deploymentFile() string { return path.Join("deployments", d.endpoint.name+".json") }

// begun is the change that was ordered last, as far as this process knows.
type begun struct {
	mu   sync.Mutex
	last deployment
	seen bool // it has been seen under way
}

func (b *begun) set(last deployment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = b.seen && b.last.same(last)
	b.last = last
}

// judge reports whether a change is under way, and returns the order that the
// endpoint is now seen to have carried out, to be noted. The first look after
// an update was ordered may still show the endpoint as it was.
func (b *begun) judge(v *view, grace time.Duration) (changing bool, done *deployment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := b.last.Config != "" && b.last.Failed == "" && !b.last.Done
	switch {
	case v.changing():
		b.seen = true
		return true, nil
	case open && v.config == b.last.Config && v.status == types.EndpointStatusInService:
		b.last.Done = true
		last := b.last
		return false, &last
	}
	fresh := v.at.Sub(b.last.Ordered) < grace && v.status != types.EndpointStatusFailed
	return open && !b.seen && fresh, nil
}

// settle reports whether a change is under way, and notes an order that was
// carried out.
func (d *Deployer) settle(ctx context.Context, v *view) (changing bool, err error) {
	changing, done := d.begun.judge(v, d.timing.Grace)
	if done != nil {
		err = d.writeDeployment(ctx, *done)
	}
	return changing, err
}

// DeployModel implements modelswap.Deployer: a configuration for the model,
// and the endpoint created with it or updated to it, as its state demands.
//
// Called again for a model whose deployment has ended without it, it says so:
// that is how a rollback by SageMaker, silent or not, becomes an error.
func (d *Deployer) DeployModel(ctx context.Context, name string) error {
	select {
	case d.order <- struct{}{}:
		defer func() { <-d.order }()
	case <-ctx.Done():
		return ctx.Err()
	}
	v, err := d.endpoint.look(ctx, time.Now())
	if err != nil {
		return err
	}
	m, err := describeModel(ctx, d.api, name)
	if isMissing(err) {
		return predict.Errorf(predict.NotFound, "SageMaker has no model %q", name)
	}
	if err != nil {
		return err
	}
	if err := d.mayReplace(v, m); err != nil {
		return err
	}
	want, err := d.configFor(ctx, v, m)
	if err != nil {
		return err
	}
	switch waiting, err := d.lastOrder(ctx, v, m, *want.EndpointConfigName); {
	case err != nil:
		return err
	case waiting || v.config == *want.EndpointConfigName && v.status == types.EndpointStatusInService:
		return nil
	}
	if v.changing() {
		return busy(v)
	}
	if err := d.knowScores(ctx, v, m); err != nil {
		return err
	}
	if err := d.createConfig(ctx, want, m); err != nil {
		return err
	}
	return d.apply(ctx, v, m, *want.EndpointConfigName)
}

// busy says that the endpoint takes no orders now. To a renewal it is a reason
// to try again, to an operator a conflict.
func busy(v *view) error {
	return &modelswap.Fault{Class: modelswap.Transient, Err: predict.Errorf(predict.Conflict,
		"endpoint %s is %s; try again when it has settled", v.endpoint, v.status)}
}

// mayReplace refuses a swap between models that read their columns
// differently. While it lasts both answer, and a request cannot be encoded for
// the one that will get it.
func (d *Deployer) mayReplace(v *view, m *model) error {
	fingerprint := d.schema.Fingerprint()
	switch {
	case m.schema != fingerprint:
		return predict.Errorf(predict.Conflict, "model %s was made for schema %.12s, the gateway has %.12s", m.name, m.schema, fingerprint)
	case v.serving == nil || v.status == types.EndpointStatusFailed || v.serving.schema == fingerprint:
		return nil
	}
	has := "no schema that is known"
	if v.serving.schema != "" {
		has = fmt.Sprintf("schema %.12s", v.serving.schema)
	}
	return &modelswap.Fault{Class: modelswap.Input, Err: predict.Errorf(predict.Conflict,
		"endpoint %s serves model %s of %s, this gateway has schema %.12s; both would answer while one replaces the other, and rows for one are wrong for the other: "+
			"give this gateway an endpoint of its own with GATEWAY_ENDPOINT_NAME and move the apps to it", v.endpoint, v.serving.name, has, fingerprint)}
}

// lastOrder looks at the deployment that was ordered last. It reports that one
// of this configuration is still to be waited for, or the error of one that
// has failed.
func (d *Deployer) lastOrder(ctx context.Context, v *view, m *model, config string) (waiting bool, err error) {
	last, err := d.readDeployment(ctx)
	if err != nil || last.Config != config || last.Failed != "" || last.Done {
		return false, err
	}
	d.begun.set(last)
	changing, err := d.settle(ctx, v)
	switch {
	case err != nil:
		return false, err
	case changing:
		return v.pending == "" || v.pending == config, nil
	case v.config == config && v.status == types.EndpointStatusInService:
		return false, nil
	}
	// It is over, and the endpoint has not what was asked for.
	reason := strings.TrimSpace(v.failure)
	if reason == "" {
		reason = "SageMaker gave no reason"
	}
	state := fmt.Sprintf("SageMaker went back to %s", v.config)
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
		return "not there"
	}
	return text
}

func (d *Deployer) readDeployment(ctx context.Context) (last deployment, err error) {
	text, err := readFile(d.files.FS(ctx), d.deploymentFile(), maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		return last, fmt.Errorf("%s: %w", d.deploymentFile(), err)
	}
	return last, nil
}

func (d *Deployer) writeDeployment(ctx context.Context, last deployment) error {
	d.begun.set(last)
	return d.files.WriteFile(ctx, d.deploymentFile(), func(w io.Writer) error { return json.NewEncoder(w).Encode(last) })
}

// configFor makes the endpoint configuration of a model. What the live one has
// of data capture, encryption and instances is kept. Its name follows from what
// it says: the same again is the same configuration.
func (d *Deployer) configFor(ctx context.Context, v *view, m *model) (*sagemaker.CreateEndpointConfigInput, error) {
	variant := types.ProductionVariant{
		VariantName:          sdk.String(variantName),
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
			variant.VariantName = p.VariantName // whatever it was called first, it keeps
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
	}{variant, want.DataCaptureConfig, want.KmsKeyId})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(said)
	want.EndpointConfigName = sdk.String(m.name + "-" + hex.EncodeToString(sum[:configSum/2]))
	return want, nil
}

// configSum is how many characters of a configuration's name tell its content.
const configSum = 8

// isConfigOf reports whether the configuration is one that configFor named.
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
		return &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf("endpoint configuration %s exists and is another one", *want.EndpointConfigName)}
	}
	return nil
}

// apply orders the change and notes that it did.
func (d *Deployer) apply(ctx context.Context, v *view, m *model, config string) error {
	create := v.config == ""
	if v.status == types.EndpointStatusFailed {
		// One that never came to serve can only be deleted; the next call creates it.
		if _, err := d.api.sagemaker.DeleteEndpoint(ctx, &sagemaker.DeleteEndpointInput{EndpointName: &d.endpoint.name}); err != nil && !isMissing(err) {
			return fault("DeleteEndpoint", err)
		}
		return nil
	}
	operation := "UpdateEndpoint"
	order := func() error {
		_, err := d.api.sagemaker.UpdateEndpoint(ctx, &sagemaker.UpdateEndpointInput{
			EndpointName: &d.endpoint.name, EndpointConfigName: &config,
			// Else the number of instances falls back to the configuration's, and
			// what autoscaling has made of it is lost.
			RetainAllVariantProperties: sdk.Bool(true),
			DeploymentConfig:           d.settings.Strategy.config(d.settings.Alarms),
		})
		return err
	}
	if create {
		operation = "CreateEndpoint"
		order = func() error {
			_, err := d.api.sagemaker.CreateEndpoint(ctx, &sagemaker.CreateEndpointInput{EndpointName: &d.endpoint.name, EndpointConfigName: &config,
				Tags: tags(map[string]string{tagSchema: m.schema})})
			return err
		}
	}
	err := retryFresh(ctx, order)
	if isTaken(err) || isInProgress(err) {
		// Somebody else ordered a change just now, or we did and the answer was lost.
		now, lookErr := d.endpoint.look(ctx, time.Now())
		if lookErr != nil {
			return lookErr
		}
		if now.pending != config && now.config != config {
			return busy(now)
		}
		err = nil
	}
	if err != nil {
		return fault(operation, err)
	}
	d.log.Info("deployment ordered", "endpoint", d.endpoint.name, "model", m.name, "config", config, "replaces", v.config, "operation", operation)
	return d.writeDeployment(ctx, deployment{Model: m.name, Config: config, Ordered: time.Now().UTC().Truncate(time.Millisecond)})
}

// retryFresh repeats a call for the few seconds in which SageMaker may not know
// yet what it was told the moment before.
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
