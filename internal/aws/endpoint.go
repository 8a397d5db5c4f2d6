package aws

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
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

// Tags of the resources that the gateway creates. Those of a model record what it was
// trained for and its scores of the probes.
const (
	tagSchema    = "gateway-schema"
	tagAlgorithm = "gateway-algorithm"
	tagModel     = "gateway-model"
	tagJob       = "gateway-training-job"
	tagData      = "gateway-data"
	tagScores    = "gateway-scores"
	tagRemoved   = "gateway-removed"
)

// Endpoint caches the state of the endpoint: which model serves and which one is being
// deployed. Scorer and Deployer share one Endpoint.
//
// The state may be out of date. A score is still never attributed to the wrong model: its
// probe identifies the model, and if no cached model matches, the endpoint is described
// again before the score is used.
type Endpoint struct {
	api     *Clients
	files   *Files
	name    string
	schema  *schema.Schema
	formats Formats

	view         atomic.Pointer[view]
	turns        turns
	explanations explanations

	refreshLock chan struct{} // holds a token while a goroutine describes the endpoint

	// Guarded by refreshLock.
	configs map[string]*types.ProductionVariant // by name; they never change
	models  map[string]*model
	probes  []schema.Vector
}

// model is a model and its tags. It never changes.
type model struct {
	name      string
	arn       string
	schema    string // fingerprint; empty for a model that no gateway made
	algorithm string
	scores    []float64 // of the probes; nil: not known
	removed   bool      // marked as being removed
}

// view is the state of the endpoint at one moment. It never changes.
type view struct {
	at       time.Time // before the endpoint was described
	status   types.EndpointStatus
	config   string // name of the serving configuration; empty for no endpoint
	pending  string // name of the configuration that is being deployed
	failure  string // FailureReason
	modified time.Time
	variant  *types.ProductionVariantSummary
	serving  *model   // nil: none
	coming   *model   // the one that is being deployed; nil: none
	models   []*model // that may answer, the serving one first
	probes   []schema.Vector
	lines    [][]byte // probes as CSV
	rotation []int    // probes that calls carry
	endpoint string
	schema   string // of the gateway
}

// NewEndpoint returns an Endpoint without a state. It calls no service.
func NewEndpoint(api *Clients, files *Files, name string, schema *schema.Schema, formats Formats) *Endpoint {
	return &Endpoint{api: api, files: files, name: name, schema: schema, formats: formats, refreshLock: make(chan struct{}, 1),
		explanations: explanations{wake: make(chan struct{}, 1)},
		configs:      make(map[string]*types.ProductionVariant), models: make(map[string]*model)}
}

func (v *view) setProbes(probes []schema.Vector) {
	v.probes, v.lines = probes, make([][]byte, len(probes))
	for i, p := range probes {
		v.lines[i] = schema.AppendCSV(nil, p)
	}
}

// changing reports whether the endpoint is being changed.
func (v *view) changing() bool {
	switch v.status {
	case types.EndpointStatusCreating, types.EndpointStatusUpdating, types.EndpointStatusSystemUpdating,
		types.EndpointStatusRollingBack, types.EndpointStatusDeleting:
		return true
	}
	return v.pending != ""
}

// usable returns an error if the endpoint cannot score rows of the schema.
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

// look returns a view that is no older than since. It describes the endpoint if the cached
// view is older. Concurrent callers share one description.
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
	e.explanations.look()
	return v, nil
}

// describe reads the state of the endpoint from the control plane.
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

// maxCandidates is the maximum number of models that an answer may come from: two, and
// those of earlier views for calls that were in flight.
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

// variantOf returns the production variant of a configuration, of which there must be one.
func (e *Endpoint) variantOf(ctx context.Context, config string) (*types.ProductionVariant, error) {
	if p := e.configs[config]; p != nil {
		return p, nil
	}
	out, err := e.api.sagemaker.DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: &config})
	if err != nil {
		return nil, fault("DescribeEndpointConfig", err)
	}
	if len(out.ProductionVariants) != 1 {
		return nil, fault("DescribeEndpointConfig", fmt.Errorf("configuration %s has %d variants, want 1", config, len(out.ProductionVariants)))
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

// readModel returns a model with its tags. It caches a model whose scores are known. A
// model without scores is read again, because its evaluation may be under way.
func (e *Endpoint) readModel(ctx context.Context, name string) (*model, error) {
	m := e.models[name]
	if m != nil && m.scores != nil {
		return m, nil
	}
	m, err := describeModel(ctx, e.api, name)
	switch {
	case isMissing(err): // a deleted model still serves on its endpoint
		return &model{name: name}, nil
	case err != nil:
		return nil, err
	}
	e.models[name] = m
	return m, nil
}

// describeModel reads a model and its tags. If the model does not exist, the error
// satisfies isMissing.
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

// calibrate finds the serving model's scores of the probes if the model has no tag with
// them, because no gateway has evaluated it. It calls the endpoint, and takes the answer
// as that model's only if the endpoint did not change meanwhile.
func (e *Endpoint) calibrate(ctx context.Context, v *view) (*view, error) {
	a, err := e.invoke(ctx, v, twice(v.probes), noProbe)
	if err != nil || !mirrored(a.scores) {
		return v, nil //nolint:nilerr // the model may fail; the next call of look tries again
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

// twice returns the probes followed by the probes in reverse order. The scores of any
// other rows are unlikely to be symmetric.
func twice(probes []schema.Vector) []schema.Vector {
	back := slices.Clone(probes)
	slices.Reverse(back)
	return slices.Concat(probes, back)
}

// mirrored reports whether the scores are symmetric, as those of twice are.
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

// tags returns values as tags, sorted by key.
func tags(values map[string]string) []types.Tag {
	var out []types.Tag
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = append(out, types.Tag{Key: sdk.String(key), Value: sdk.String(values[key])})
	}
	return out
}

// Follow keeps the state of the endpoint up to date until ctx ends, and reads the
// artifacts of the models that may answer. It describes
// the endpoint at the given interval, while it changes each second. While that
// fails, predictions use the last known state.
func (e *Endpoint) Follow(ctx context.Context, every time.Duration, log *slog.Logger) {
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { e.followExplanations(ctx, log) })
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

const (
	lookTime     = 30 * time.Second // for one description of the endpoint
	lookChanging = time.Second      // between two while the endpoint changes
)

// Updating reports whether two models may answer, because a deployment is under
// way.
func (s *Scorer) Updating() bool {
	v := s.endpoint.view.Load()
	return v != nil && v.changing()
}

// accept returns the media type of answers that all models support: linear-learner has no
// CSV, XGBoost has both JSON and CSV.
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
