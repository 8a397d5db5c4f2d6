package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/modelswap"
)

// Orders
//
// An order is a call that creates or updates the endpoint. SageMaker accepts an order
// without a condition. A process that was suspended could therefore send an order after
// another process has undone it. To prevent that, a file in S3 records the newest order,
// and each write of the file requires the ETag that was read (compare and swap). An order
// is recorded before it is sent, and has an endpoint configuration of its own. A process
// that makes a newer order deletes the configuration of an older order that may not have
// been sent yet. SageMaker then refuses the older one.

// deployment is the file that records the newest order. SageMaker keeps no such record:
// after a failed update the endpoint is in service with its old configuration, sometimes
// without a failure reason.
type deployment struct {
	Model   string    `json:"model"`
	Config  string    `json:"config"`
	Ordered time.Time `json:"ordered"` // later than that of the order before
	// Unsent is set until SageMaker has accepted the order.
	Unsent bool `json:"unsent,omitempty"`
	// Failed is why the order failed, once a caller has got the error. The same model
	// may then be ordered again.
	Failed string `json:"failed,omitempty"`
	// Done is set once the endpoint is in service with the configuration.
	Done bool `json:"done,omitempty"`
	// Revoked are configurations of earlier orders that must be deleted.
	Revoked []string `json:"revoked,omitempty"`
	// Renewal and Revision are the fence of the newest order or HoldServing.
	Renewal  string `json:"renewal,omitempty"`
	Revision int64  `json:"revision,omitempty"`

	etag string // of the file; empty: the file does not exist
}

// same reports whether both are the same order.
func (d deployment) same(other deployment) bool {
	return d.Config == other.Config && d.Ordered.Equal(other.Ordered)
}

// open reports whether the result of the order is not known yet.
func (d deployment) open() bool { return d.Config != "" && d.Failed == "" && !d.Done }

// version returns the modelswap.Serving.Version of the order.
func (d deployment) version() int64 {
	if d.Ordered.IsZero() {
		return 0
	}
	return d.Ordered.UnixMicro()
}

func (d deployment) fence() modelswap.Fence {
	return modelswap.Fence{Renewal: d.Renewal, Revision: d.Revision}
}

// next returns the order that follows d. The caller sets its Config.
func (d deployment) next(c modelswap.Change, v *view) deployment {
	at := time.UnixMicro(c.NextVersion(time.Now(), d.version())).UTC()
	out := deployment{Model: c.Model, Ordered: at, Unsent: true, Revoked: d.Revoked,
		Renewal: c.By.Renewal, Revision: c.By.Revision, etag: d.etag}
	if d.Unsent && !v.has(d.Config) {
		out.Revoked = append(slices.Clip(out.Revoked), d.Config)
	}
	return out
}

// has reports whether the endpoint serves with the configuration or changes to it.
func (v *view) has(config string) bool {
	return config != "" && (v.config == config || v.pending == config)
}

func (d *Deployer) deploymentFile() string { return path.Join("deployments", d.endpoint.name+".json") }

// order calls do while no other goroutine makes orders. If another process has written
// the file since do read it, order calls do again. That process may have only recorded
// the end of an order.
func (d *Deployer) order(ctx context.Context, do func() error) error {
	select {
	case d.orders <- struct{}{}:
		defer func() { <-d.orders }()
	case <-ctx.Done():
		return ctx.Err()
	}
	const tries = 5
	var err error
	for range tries {
		if err = do(); !errors.Is(err, modelswap.ErrStale) {
			break
		}
	}
	return err
}

// lastDeployment is the newest order that this process has seen.
type lastDeployment struct {
	mu   sync.Mutex
	last deployment
	seen bool // the endpoint was seen changing since the order
}

func (b *lastDeployment) set(last deployment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = b.seen && b.last.same(last)
	b.last = last
}

func (b *lastDeployment) get() deployment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// unsentGrace is how long an order counts as under way although SageMaker may not have
// received it.
const unsentGrace = 10 * time.Second

// judge reports whether a change is under way. It returns the newest order if v shows that
// it is done, for the caller to record. A description of the endpoint right after an
// order may still show the state before.
func (b *lastDeployment) judge(v *view, grace time.Duration) (changing bool, done *deployment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case v.changing():
		b.seen = true
		return true, nil
	case b.last.open() && v.config == b.last.Config && v.status == types.EndpointStatusInService:
		last := b.last
		last.Done, last.Unsent = true, false
		return false, &last
	}
	return b.last.open() && !b.seen && b.last.fresh(v, grace), nil
}

// fresh reports whether the order is so new that v may not show it yet.
func (d deployment) fresh(v *view, grace time.Duration) bool {
	if d.Unsent {
		grace = min(grace, unsentGrace)
	}
	return v.at.Sub(d.Ordered) < grace && v.status != types.EndpointStatusFailed
}

// settle reports whether a change is under way, and records that the newest order is
// done.
func (d *Deployer) settle(ctx context.Context, v *view) (changing bool, err error) {
	changing, done := d.lastDeployment.judge(v, d.timing.Grace)
	if done == nil {
		return changing, nil
	}
	if err := d.revoke(ctx, done.Revoked); err != nil {
		return changing, err
	}
	done.Revoked = nil
	err = d.writeDeployment(ctx, done)
	if errors.Is(err, modelswap.ErrStale) {
		return changing, nil // another process has recorded the same, or a newer order
	}
	return changing, err
}

// Serving implements modelswap.Deployer.
func (d *Deployer) Serving(ctx context.Context) (modelswap.Serving, error) {
	v, err := d.endpoint.look(ctx, time.Now())
	if err != nil {
		return modelswap.Serving{}, err
	}
	last, err := d.readDeployment(ctx)
	if err != nil {
		// The serving model is reported also while S3 does not answer. Its version may
		// be old; a change that is based on an old version is refused.
		if last = d.lastDeployment.get(); last.etag == "" {
			return modelswap.Serving{}, err
		}
	}
	now := v.now(last)
	now.Changing, err = d.settle(ctx, v)
	return now, err
}

// now returns the serving model and its version. It does not set Changing.
func (v *view) now(last deployment) modelswap.Serving {
	now := modelswap.Serving{Version: last.version()}
	if v.serving != nil && v.status != types.EndpointStatusCreating && v.status != types.EndpointStatusFailed {
		now.Model = v.serving.name
	}
	return now
}

// lookAtOrders reads the newest order and the state of the endpoint, and checks that the
// change is allowed.
func (d *Deployer) lookAtOrders(ctx context.Context, c modelswap.Change) (*view, deployment, error) {
	last, err := d.readDeployment(ctx)
	if err != nil {
		return nil, last, err
	}
	v, err := d.endpoint.look(ctx, time.Now())
	if err != nil {
		return nil, last, err
	}
	return v, last, c.Check(v.now(last), last.fence())
}

// HoldServing implements modelswap.Deployer. It revokes an order that an earlier claim
// recorded and that SageMaker has not received.
func (d *Deployer) HoldServing(ctx context.Context, c modelswap.Change) error {
	return d.order(ctx, func() error { return d.holdServing(ctx, c) })
}

func (d *Deployer) holdServing(ctx context.Context, c modelswap.Change) error {
	v, last, err := d.lookAtOrders(ctx, c)
	if err != nil {
		return err
	}
	lost := last.open() && last.Unsent && !v.changing() && !v.has(last.Config) && !last.fresh(v, d.timing.Grace)
	if last.fence() == c.By && !lost {
		return nil
	}
	last.Renewal, last.Revision = c.By.Renewal, c.By.Revision
	if lost {
		last.Revoked = append(slices.Clip(last.Revoked), last.Config)
	}
	if err := d.writeDeployment(ctx, &last); err != nil || !lost {
		return err
	}
	if err := d.revoke(ctx, last.Revoked); err != nil {
		return err
	}
	last.Unsent, last.Revoked, last.Failed = false, nil, "SageMaker did not receive the order"
	return d.writeDeployment(ctx, &last)
}

// revoke deletes the configurations of orders that may not have been sent yet.
func (d *Deployer) revoke(ctx context.Context, configs []string) error {
	for _, name := range configs {
		_, err := d.api.sagemaker.DeleteEndpointConfig(ctx, &sagemaker.DeleteEndpointConfigInput{EndpointConfigName: &name})
		if err != nil && !isMissing(err) {
			return fault("DeleteEndpointConfig", err)
		}
	}
	return nil
}

// readDeployment reads the newest order. It returns the zero deployment if there is none.
func (d *Deployer) readDeployment(ctx context.Context) (last deployment, err error) {
	text, etag, err := d.files.readTagged(ctx, d.deploymentFile())
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		return last, fmt.Errorf("%s: %w", d.deploymentFile(), err)
	}
	last.etag = etag
	d.lastDeployment.set(last)
	return last, nil
}

// writeDeployment writes the newest order. It returns modelswap.ErrStale if the file has
// changed since it was read.
func (d *Deployer) writeDeployment(ctx context.Context, last *deployment) error {
	text, err := json.Marshal(last)
	if err != nil {
		return err
	}
	last.etag, err = d.files.replaceTagged(ctx, d.deploymentFile(), append(text, '\n'), last.etag)
	if err != nil {
		return err
	}
	d.lastDeployment.set(*last)
	return nil
}

// isRemoved reports whether a model is marked as being removed.
func (d *Deployer) isRemoved(ctx context.Context, m *model) (bool, error) {
	has, err := readTags(ctx, d.api, m.arn)
	return has[tagRemoved] == removedYes, err
}

// markRemoved marks a model as being removed, so that no process starts to deploy it, and
// reports whether it is in use. markRemoved sets the mark and then reads the newest order;
// apply records its order and then reads the mark. So at least one of two concurrent calls
// notices the other.
func (d *Deployer) markRemoved(ctx context.Context, name, arn string) (inUse bool, v *view, err error) {
	if err := tag(ctx, d.api, arn, map[string]string{tagRemoved: removedYes}); err != nil {
		return false, nil, err
	}
	last, err := d.readDeployment(ctx)
	if err == nil {
		v, err = d.endpoint.look(ctx, time.Now())
	}
	if err != nil {
		return false, nil, err
	}
	inUse = v.uses(name) || last.Model == name && last.open()
	if inUse {
		err = tag(ctx, d.api, arn, map[string]string{tagRemoved: removedNo})
	}
	return inUse, v, err
}

// uses reports whether the model serves or is being deployed.
func (v *view) uses(name string) bool {
	return slices.ContainsFunc([]*model{v.serving, v.coming}, func(m *model) bool { return m != nil && m.name == name })
}

// Values of tagRemoved. The tag is not deleted because that needs another permission.
const (
	removedYes = "yes"
	removedNo  = "no"
)
