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
// SageMaker takes an order for an endpoint without a condition, so a process that
// was stopped for a while could order late what another process has undone. A
// file in S3 records the newest order, and each write of it states the ETag that
// was read (compare and swap). An order is noted before it is given, and has an
// endpoint configuration of its own. A process that makes a newer order removes
// the configuration of an older one that may not have been given yet: SageMaker
// then refuses the older one.

// deployment is the file that records the newest order. The service itself
// forgets: an update that failed ends with the endpoint in service on its old
// configuration, at times without a reason.
type deployment struct {
	Model   string    `json:"model"`
	Config  string    `json:"config"`
	Ordered time.Time `json:"ordered"` // later than that of the order before
	// Unsent is set until SageMaker has taken the order.
	Unsent bool `json:"unsent,omitempty"`
	// Failed says why it failed, once it was reported. The model may then be
	// ordered again.
	Failed string `json:"failed,omitempty"`
	// Done is set once the endpoint was seen in service with it.
	Done bool `json:"done,omitempty"`
	// Revoked are the configurations of earlier orders that are to be removed.
	Revoked []string `json:"revoked,omitempty"`
	// Renewal and Revision are the fence of the newest order or hold.
	Renewal  string `json:"renewal,omitempty"`
	Revision int64  `json:"revision,omitempty"`

	etag string // of the file; empty: there is none
}

// same reports whether both are the same order.
func (d deployment) same(other deployment) bool {
	return d.Config == other.Config && d.Ordered.Equal(other.Ordered)
}

// open reports whether it is not known yet what came of the order.
func (d deployment) open() bool { return d.Config != "" && d.Failed == "" && !d.Done }

// version is the order's modelswap.Serving.Version.
func (d deployment) version() int64 {
	if d.Ordered.IsZero() {
		return 0
	}
	return d.Ordered.UnixMicro()
}

func (d deployment) fence() modelswap.Fence {
	return modelswap.Fence{Renewal: d.Renewal, Revision: d.Revision}
}

// next is the order that follows on d. Its configuration is to be filled in.
func (d deployment) next(c modelswap.Change, v *view) deployment {
	at := time.UnixMicro(c.NextVersion(time.Now(), d.version())).UTC()
	out := deployment{Model: c.Model, Ordered: at, Unsent: true, Revoked: d.Revoked,
		Renewal: c.By.Renewal, Revision: c.By.Revision, etag: d.etag}
	if d.Unsent && !v.has(d.Config) {
		out.Revoked = append(slices.Clip(out.Revoked), d.Config)
	}
	return out
}

// has reports whether the endpoint serves with the configuration or is on its way to it.
func (v *view) has(config string) bool {
	return config != "" && (v.config == config || v.pending == config)
}

func (d *Deployer) deploymentFile() string { return path.Join("deployments", d.endpoint.name+".json") }

// order calls do while no other goroutine makes orders. Where another process has
// written the file since do read it, which may have been to note an end alone, do
// is called again and looks again.
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

// begun is the newest order, as far as this process has seen.
type lastDeployment struct {
	mu   sync.Mutex
	last deployment
	seen bool // it has been seen under way
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

// unsentGrace bounds how long an order counts as under way that SageMaker may
// not have got.
const unsentGrace = 10 * time.Second

// judge reports whether a change is under way, and returns the order that the
// endpoint is now seen to have carried out, to be noted. The first look after
// an update was ordered may still show the endpoint as it was.
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

// fresh reports whether the order is so new that the endpoint may not show it yet.
func (d deployment) fresh(v *view, grace time.Duration) bool {
	if d.Unsent {
		grace = min(grace, unsentGrace)
	}
	return v.at.Sub(d.Ordered) < grace && v.status != types.EndpointStatusFailed
}

// settle reports whether a change is under way, and notes an order that was
// carried out.
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
		return changing, nil // another process has noted it, or a newer order
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
		// What serves is to be seen while S3 does not answer. A change that is based
		// on an old version is refused.
		if last = d.lastDeployment.get(); last.etag == "" {
			return modelswap.Serving{}, err
		}
	}
	now := v.now(last)
	now.Changing, err = d.settle(ctx, v)
	return now, err
}

// now is what serves, without whether that is changing.
func (v *view) now(last deployment) modelswap.Serving {
	now := modelswap.Serving{Version: last.version()}
	if v.serving != nil && v.status != types.EndpointStatusCreating && v.status != types.EndpointStatusFailed {
		now.Model = v.serving.name
	}
	return now
}

// lookAtOrders looks at the endpoint and at the newest order, and checks that the
// change may be made.
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

// HoldServing implements modelswap.Deployer. It revokes an order of an earlier
// claim that never reached SageMaker.
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
	last.Unsent, last.Revoked, last.Failed = false, nil, "the order never reached SageMaker"
	return d.writeDeployment(ctx, &last)
}

// revoke removes the configurations of orders that may not have been given yet.
func (d *Deployer) revoke(ctx context.Context, configs []string) error {
	for _, name := range configs {
		_, err := d.api.sagemaker.DeleteEndpointConfig(ctx, &sagemaker.DeleteEndpointConfigInput{EndpointConfigName: &name})
		if err != nil && !isMissing(err) {
			return fault("DeleteEndpointConfig", err)
		}
	}
	return nil
}

// readDeployment reads the newest order; the zero deployment if there was none.
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

// writeDeployment writes the newest order where the file is still the one that
// it was read from; else it returns modelswap.ErrStale.
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

// isRemoved reads whether a model is marked to be removed.
func (d *Deployer) isRemoved(ctx context.Context, m *model) (bool, error) {
	has, err := readTags(ctx, d.api, m.arn)
	return has[tagRemoved] == removedYes, err
}

// markRemoved marks a model as one that is to be removed, so that no process
// begins to deploy it, and looks whether one has. The mark comes before the look
// here, and the order comes before the look at the mark in apply: one of the two
// sees the other.
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

// uses reports whether the model serves or is about to.
func (v *view) uses(name string) bool {
	return slices.ContainsFunc([]*model{v.serving, v.coming}, func(m *model) bool { return m != nil && m.name == name })
}

// Values of tagRemoved. A tag is not taken away: that needs another permission.
const (
	removedYes = "yes"
	removedNo  = "no"
)
