package aws

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/outage"
	"gateway/internal/schema"
)

// Tags of what the gateway makes. On a model they are its memory: what it was
// trained for, and how it scores the probes.
const (
	tagSchema    = "gateway-schema"
	tagAlgorithm = "gateway-algorithm"
	tagModel     = "gateway-model"
	tagJob       = "gateway-training-job"
	tagData      = "gateway-data"
	tagScores    = "gateway-scores"
	tagRemoved   = "gateway-removed"
)

// Endpoint is what a gateway knows of the endpoint: which model serves, and
// which is coming. Scorer and Deployer share one.
//
// The knowledge may be old. That does no harm: an answer is named by its
// probe, and where that fits no model that is known, the endpoint is looked at
// again before the answer counts.
type Endpoint struct {
	api     *Clients
	files   *Files
	name    string
	schema  *schema.Schema
	formats Formats

	view  atomic.Pointer[view]
	turns turns

	refreshLock chan struct{} // held during a look

	// Written during a look.
	configs map[string]*types.ProductionVariant // by name; they never change
	models  map[string]*model
	probes  []schema.Vector
}

// model is what is known of a model. It never changes.
type model struct {
	name      string
	arn       string
	schema    string // fingerprint; empty for a model that no gateway made
	algorithm string
	scores    []float64 // by probe; nil: not known
	removed   bool      // it is being removed
}

// view is the endpoint at one moment. It never changes.
type view struct {
	at       time.Time // before it was looked at
	status   types.EndpointStatus
	config   string // that serves; empty for no endpoint
	pending  string // that is being deployed
	failure  string // FailureReason
	modified time.Time
	variant  *types.ProductionVariantSummary
	serving  *model   // nil: none
	coming   *model   // nil: none
	models   []*model // that may answer, the one that serves first
	probes   []schema.Vector
	lines    [][]byte // probes as CSV
	rotation []int    // probes that calls bear
	endpoint string
	schema   string // of the gateway
}

// NewEndpoint makes the knowledge of an endpoint; it is empty at first.
func NewEndpoint(api *Clients, files *Files, name string, schema *schema.Schema, formats Formats) *Endpoint {
	return &Endpoint{api: api, files: files, name: name, schema: schema, formats: formats, refreshLock: make(chan struct{}, 1),
		configs: make(map[string]*types.ProductionVariant), models: make(map[string]*model)}
}

func (v *view) setProbes(probes []schema.Vector) {
	v.probes, v.lines = probes, make([][]byte, len(probes))
	for i, p := range probes {
		v.lines[i] = schema.AppendCSV(nil, p)
	}
}

// changing reports whether the endpoint is on its way to another state.
func (v *view) changing() bool {
	switch v.status {
	case types.EndpointStatusCreating, types.EndpointStatusUpdating, types.EndpointStatusSystemUpdating,
		types.EndpointStatusRollingBack, types.EndpointStatusDeleting:
		return true
	}
	return v.pending != ""
}

// usable returns why the endpoint cannot be asked, or nil.
func (v *view) usable() error {
	unavailable := func(format string, args ...any) error {
		return &failure.Error{Kind: failure.Unavailable, Detail: fmt.Sprintf(format, args...), RetryAfter: waitNoModel}
	}
	switch {
	case v.config == "" || v.status == types.EndpointStatusCreating:
		return unavailable("no model serves yet; gateway retrain makes one")
	case v.status == types.EndpointStatusFailed, v.status == types.EndpointStatusOutOfService, v.status == types.EndpointStatusDeleting:
		return unavailable("the endpoint is %s", v.status)
	case v.serving == nil:
		return unavailable("the serving model of the endpoint is unknown")
	case v.serving.schema == "":
		return unavailable("the endpoint serves model %s, which no gateway made; if it takes the columns of this schema, give it the tag %s=%s",
			v.serving.name, tagSchema, v.schema)
	case v.serving.schema != v.schema:
		return unavailable("the endpoint serves a model of schema %.12s, this gateway has %.12s: give it an endpoint of its own (GATEWAY_ENDPOINT_NAME)",
			v.serving.schema, v.schema)
	}
	return nil
}

// look returns a view that is no older than since, by looking if need be.
// Those who want one at the same time share it.
func (e *Endpoint) look(ctx context.Context, since time.Time) (*view, error) {
	select {
	case e.refreshLock <- struct{}{}:
		defer func() { <-e.refreshLock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v := e.view.Load(); v != nil && !v.at.Before(since) {
		return v, nil
	}
	v, err := e.describe(ctx)
	if err != nil {
		return nil, err
	}
	if needed := v.serving; needed != nil && needed.scores == nil && needed.schema == v.schema && v.probes != nil && !v.changing() {
		if v, err = e.calibrate(ctx, v); err != nil {
			return nil, err
		}
	}
	e.view.Store(v)
	return v, nil
}

// describe asks the control plane.
func (e *Endpoint) describe(ctx context.Context) (*view, error) {
	v := &view{at: time.Now(), endpoint: e.name, schema: e.schema.Fingerprint()}
	out, err := e.api.sagemaker.DescribeEndpoint(ctx, &sagemaker.DescribeEndpointInput{EndpointName: &e.name})
	if isMissing(err) {
		return v, nil
	}
	if err != nil {
		return nil, fault("DescribeEndpoint", err)
	}
	v.status, v.config, v.failure = out.EndpointStatus, sdk.ToString(out.EndpointConfigName), sdk.ToString(out.FailureReason)
	v.modified = sdk.ToTime(out.LastModifiedTime)
	if len(out.ProductionVariants) == 1 {
		v.variant = &out.ProductionVariants[0]
	}
	if p := out.PendingDeploymentSummary; p != nil && sdk.ToString(p.EndpointConfigName) != v.config {
		v.pending = sdk.ToString(p.EndpointConfigName)
	}
	if e.probes == nil {
		if e.probes, err = readProbes(ctx, e.files, e.schema); err != nil {
			return nil, err
		}
	}
	v.setProbes(e.probes)
	if v.serving, err = e.modelOf(ctx, v.config); err != nil {
		return nil, err
	}
	if v.coming, err = e.modelOf(ctx, v.pending); err != nil {
		return nil, err
	}
	e.candidates(v)
	return v, nil
}

// maxCandidates bounds the models that an answer may come from: two, and
// those of the views before, for answers that were on their way.
const maxCandidates = 4

func (e *Endpoint) candidates(v *view) {
	var before []*model
	if last := e.view.Load(); last != nil {
		before = last.models
	}
	for _, m := range append([]*model{v.serving, v.coming}, before...) {
		known := func(other *model) bool { return m.name == other.name }
		// A model of another schema has scores for other probes.
		if m == nil || m.schema != v.schema || len(v.models) == maxCandidates || slices.ContainsFunc(v.models, known) {
			continue
		}
		v.models = append(v.models, e.models[m.name])
	}
	v.rotation = rotationOf(v.models)
}

// variantOf returns the production variant of a configuration.
func (e *Endpoint) variantOf(ctx context.Context, config string) (*types.ProductionVariant, error) {
	if p := e.configs[config]; p != nil {
		return p, nil
	}
	out, err := e.api.sagemaker.DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: &config})
	if err != nil {
		return nil, fault("DescribeEndpointConfig", err)
	}
	if len(out.ProductionVariants) != 1 {
		return nil, fault("DescribeEndpointConfig", fmt.Errorf("configuration %s has %d variants; the gateway serves with one", config, len(out.ProductionVariants)))
	}
	e.configs[config] = &out.ProductionVariants[0]
	return e.configs[config], nil
}

// modelOf returns the model of a configuration; nil for no configuration.
func (e *Endpoint) modelOf(ctx context.Context, config string) (*model, error) {
	if config == "" {
		return nil, nil
	}
	p, err := e.variantOf(ctx, config)
	if err != nil {
		return nil, err
	}
	return e.readModel(ctx, sdk.ToString(p.ModelName))
}

// readModel returns what a model's tags say. A model whose scores are not
// known yet is read again: its evaluation may be under way.
func (e *Endpoint) readModel(ctx context.Context, name string) (*model, error) {
	m := e.models[name]
	if m != nil && m.scores != nil {
		return m, nil
	}
	m, err := describeModel(ctx, e.api, name)
	switch {
	case isMissing(err): // the model was deleted; its endpoint goes on serving
		return &model{name: name}, nil
	case err != nil:
		return nil, err
	}
	e.models[name] = m
	return m, nil
}

// describeModel reads a model and its tags. A missing one is an error that
// isMissing knows.
func describeModel(ctx context.Context, api *Clients, name string) (*model, error) {
	out, err := api.sagemaker.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if err != nil {
		return nil, fault("DescribeModel", err)
	}
	m := &model{name: name, arn: sdk.ToString(out.ModelArn)}
	tags, err := readTags(ctx, api, m.arn)
	if err != nil {
		return nil, err
	}
	m.schema, m.algorithm, m.scores = tags[tagSchema], tags[tagAlgorithm], decodeScores(tags[tagScores])
	m.removed = tags[tagRemoved] == removedYes
	return m, nil
}

func readTags(ctx context.Context, api *Clients, arn string) (map[string]string, error) {
	tags := make(map[string]string)
	pages := sagemaker.NewListTagsPaginator(api.sagemaker, &sagemaker.ListTagsInput{ResourceArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault("ListTags", err)
		}
		for _, t := range page.Tags {
			tags[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
		}
	}
	return tags, nil
}

// calibrate learns how the model that serves scores the probes, where its tag
// does not say so: no gateway evaluated it. It asks the endpoint, and holds
// the answer to be that model's only if nothing changed meanwhile.
func (e *Endpoint) calibrate(ctx context.Context, v *view) (*view, error) {
	a, err := e.invoke(ctx, v, twice(v.probes), noProbe)
	if err != nil || !mirrored(a.scores) {
		return v, nil //nolint:nilerr // it may be the model that fails; the next look tries again
	}
	a.scores = a.scores[:len(v.probes)]
	after, err := e.describe(ctx)
	if err != nil {
		return nil, err
	}
	if after.changing() || after.config != v.config || !after.modified.Equal(v.modified) {
		return after, nil
	}
	known := *after.serving
	known.scores = a.scores
	e.models[known.name] = &known
	if err := tag(ctx, e.api, known.arn, map[string]string{tagScores: encodeScores(a.scores)}); err != nil {
		return nil, err
	}
	after.serving, after.models = &known, nil
	e.candidates(after)
	return after, nil
}

// twice returns the probes, and once more backwards: an answer to other rows does
// not look like one to these.
func twice(probes []schema.Vector) []schema.Vector {
	back := slices.Clone(probes)
	slices.Reverse(back)
	return slices.Concat(probes, back)
}

// mirrored reports whether scores can be those of twice.
func mirrored(scores []float64) bool {
	for i, x := range scores[:len(scores)/2] {
		if distance(x, scores[len(scores)-1-i]) > sameScore {
			return false
		}
	}
	return true
}

func tag(ctx context.Context, api *Clients, arn string, values map[string]string) error {
	_, err := api.sagemaker.AddTags(ctx, &sagemaker.AddTagsInput{ResourceArn: &arn, Tags: tags(values)})
	return fault("AddTags", err)
}

// tags returns tags in the order of their keys.
func tags(values map[string]string) []types.Tag {
	var out []types.Tag
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = append(out, types.Tag{Key: sdk.String(key), Value: sdk.String(values[key])})
	}
	return out
}

// Follow keeps the state of the endpoint up to date until ctx ends. It describes
// the endpoint at the given interval, while it changes each second. While that
// fails, predictions use the last known state.
func (e *Endpoint) Follow(ctx context.Context, every time.Duration, log *slog.Logger) {
	var looks outage.Outage
	for {
		wait := every
		look, cancel := context.WithTimeout(ctx, lookTime)
		v, err := e.look(look, time.Now())
		cancel()
		if v != nil && v.changing() {
			wait = min(every, lookChanging)
		}
		if ctx.Err() == nil {
			looks.Record(log, err, "cannot describe the endpoint; predictions use its last known state; trying again",
				"the endpoint can be described again")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Bounds of looking.
const (
	lookTime     = 30 * time.Second
	lookChanging = time.Second
)

// Updating reports whether two models may answer, because a deployment is under
// way.
func (s *Scorer) Updating() bool {
	v := s.endpoint.view.Load()
	return v != nil && v.changing()
}

// accept is what answers are to be written in: linear-learner knows no CSV, and
// XGBoost knows JSON too, so JSON is for both.
func (v *view) accept() string {
	for _, m := range v.models {
		if m.algorithm != string(learn.XGBoost) {
			return typeJSON
		}
	}
	if len(v.models) == 0 {
		return typeJSON
	}
	return typeCSV
}
