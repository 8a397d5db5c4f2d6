package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"path"
	"strings"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"

	"gateway/internal/artifact"
	"gateway/internal/learn"
	"gateway/internal/outage"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// # Explanations
//
// The endpoint answers scores without reasons. So the gateway reads the artifact of a
// model that may answer, in the background, as soon as the endpoint has the model, and
// computes the contributions itself. A prediction never waits for it: until the artifact
// has been read, predictions have no reasons.
//
// The formats of the files are not documented by AWS. So a model that was read must give
// the probes the scores that the endpoint gives them, and each row that is explained the
// score of the answer. Else it does not explain.

const (
	maxArtifact  = 64 << 20        // bytes, compressed and uncompressed
	readTime     = 2 * time.Minute // for one artifact
	readAgain    = time.Minute     // after a failure that may pass
	maxScoreGap  = 1e-3            // between two scores of a row, in log-odds
	meansFile    = "means.json"    // beside the evaluations of a model
	beingRead    = "the artifact of the model is being read"
	notReadable  = "the artifact of the model could not be read from S3; it is tried again"
	otherScores  = "the artifact gives other scores than the endpoint"
	withoutMeans = "the average customer of the training data is not known: the model was evaluated before there were explanations"
)

// explanation is what explains the scores of a model. It never changes.
type explanation struct {
	model *learn.Model // nil: the scores are not explained
	why   string       // why not
	again time.Time    // when to read the artifact again; zero: never
}

// explanations are those of the models that may answer, by name.
type explanations struct {
	known atomic.Pointer[map[string]*explanation] // the map never changes
	wake  chan struct{}                           // holds a token while there may be something to read
	reads outage.Outage
}

func (x *explanations) of(model string) *explanation {
	if known := x.known.Load(); known != nil {
		if e := (*known)[model]; e != nil {
			return e
		}
	}
	return &explanation{why: beingRead}
}

// look wakes the reader, because the models that may answer may be others.
func (x *explanations) look() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// followExplanations reads the artifacts of the models that may answer until ctx ends.
func (e *Endpoint) followExplanations(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.explanations.wake:
		case <-time.After(readAgain):
		}
		if v := e.view.Load(); v != nil {
			e.readExplanations(ctx, v, log)
		}
	}
}

// readExplanations reads the artifacts of the models of a view that are not known yet, the
// serving one first, and forgets other models.
func (e *Endpoint) readExplanations(ctx context.Context, v *view, log *slog.Logger) {
	x := &e.explanations
	now := make(map[string]*explanation)
	for _, m := range v.models {
		if known := x.of(m.name); known.why != beingRead {
			now[m.name] = known
		}
	}
	for _, m := range v.models {
		if known := now[m.name]; known != nil && (known.again.IsZero() || time.Now().Before(known.again)) {
			continue
		}
		next := e.readExplanation(ctx, v, m, log)
		if ctx.Err() != nil {
			return
		}
		now[m.name] = next
		known := maps.Clone(now)
		x.known.Store(&known)
	}
	x.known.Store(&now)
}

// readExplanation reads the artifact of a model. A fault of a service may pass, a file that
// is no model that the gateway reads does not change.
func (e *Endpoint) readExplanation(ctx context.Context, v *view, m *model, log *slog.Logger) *explanation {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	read, err := e.readArtifact(ctx, m.name)
	var unexplained *unexplainedError
	switch {
	case err == nil && !e.agrees(read, v, m):
		log.Warn("the artifact of the model gives the probes other scores than the endpoint; predictions have no reasons", "model", m.name)
		return &explanation{why: otherScores}
	case err == nil:
		e.explanations.reads.Succeeded(log.Info, "artifacts of models can be read again")
		return &explanation{model: read}
	case errors.As(err, &unexplained):
		log.Warn("the model cannot be explained; predictions have no reasons", "model", m.name, "reason", unexplained.Error())
		return &explanation{why: unexplained.Error()}
	}
	if !errors.Is(err, context.Canceled) {
		e.explanations.reads.Failed(log.Warn, err, "cannot read the artifact of the model; predictions have no reasons; trying again", "model", m.name)
	}
	return &explanation{why: notReadable, again: time.Now().Add(readAgain)}
}

// unexplainedError is the reason why a model cannot be explained, as callers see it.
type unexplainedError struct{ reason string }

func (e *unexplainedError) Error() string { return e.reason }

// readArtifact reads the artifact of a model.
func (e *Endpoint) readArtifact(ctx context.Context, name string) (*learn.Model, error) {
	at, err := e.artifactOf(ctx, name)
	if err != nil {
		return nil, err
	}
	means, err := e.meansOf(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := e.api.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.prefix})
	if isMissing(err) {
		return nil, &unexplainedError{"the artifact of the model does not exist any more"}
	}
	if err != nil {
		return nil, fault("GetObject", err)
	}
	defer out.Body.Close()
	if size := sdk.ToInt64(out.ContentLength); size > maxArtifact {
		return nil, &unexplainedError{fmt.Sprintf("the artifact of the model has %d bytes; at most %d are read", size, maxArtifact)}
	}
	columns := e.schema.Columns()
	given := means
	if given == nil {
		given = make([]float64, len(columns))
	}
	body := &brokenBody{Reader: out.Body}
	m, err := artifact.Read(body, columns, given, maxArtifact)
	switch {
	case body.err != nil:
		return nil, fault("GetObject", body.err)
	case errors.Is(err, artifact.ErrFormat):
		return nil, &unexplainedError{err.Error()}
	case err != nil:
		return nil, err
	case means == nil && m.Algorithm() == learn.LinearLearner:
		return nil, &unexplainedError{withoutMeans}
	}
	return m, nil
}

// brokenBody remembers an error of the connection, which is none of the file.
type brokenBody struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (b *brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// artifactOf returns the place of a model's artifact: the bucket, and the key as the prefix.
func (e *Endpoint) artifactOf(ctx context.Context, name string) (location, error) {
	out, err := e.api.sagemaker.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if err != nil {
		return location{}, fault("DescribeModel", err)
	}
	if out.PrimaryContainer == nil || sdk.ToString(out.PrimaryContainer.ModelDataUrl) == "" {
		return location{}, &unexplainedError{"the model has no artifact in one file"}
	}
	return artifactAddress(*out.PrimaryContainer.ModelDataUrl)
}

// artifactAddress parses the address of an artifact, s3://bucket/key.
func artifactAddress(address string) (location, error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || key == "" {
		return location{}, &unexplainedError{"the address of the model's artifact is not of the form s3://bucket/key"}
	}
	return location{bucket, key}, nil
}

// agrees reports whether a model gives the probes the scores that are known of the model.
func (e *Endpoint) agrees(read *learn.Model, v *view, m *model) bool {
	if m.scores == nil || len(v.probes) != len(m.scores) {
		return true // each row is compared
	}
	for i, probe := range v.probes {
		if !sameLogOdds(read.Score(probe), m.scores[i]) {
			return false
		}
	}
	return true
}

// sameLogOdds reports whether two scores are the same but for rounding. The containers
// compute with float32, so that scores near 0 and 1 have few digits.
func sameLogOdds(a, b float64) bool {
	const digits = 1e-6
	return math.Abs(a-b) <= digits+maxScoreGap*b*(1-b)
}

// explain adds the contributions of rows to the scores that a model gave them.
func (s *Scorer) explain(out *predict.Scores, rows []schema.Vector) {
	x := s.endpoint.explanations.of(out.Model)
	if x.model == nil {
		out.Unexplained = x.why
		return
	}
	out.Base = x.model.Base()
	out.Contributions = make([][]float64, len(rows))
	for i, row := range rows {
		c := x.model.Contributions(row)
		if c == nil || !sameLogOdds(x.model.Score(row), out.Score[i]) {
			out.Unexplained = otherScores
			continue
		}
		settle(c, out.Base, out.Score[i])
		out.Contributions[i] = c
	}
}

// settle makes base and contributions sum to the log-odds of score, which the endpoint has
// rounded to float32. It changes contributions in proportion to their size. A score of 0 or
// 1 has no log-odds.
func settle(contributions []float64, base, score float64) {
	if !(score > 0 && score < 1) {
		return
	}
	gap, size := math.Log(score)-math.Log1p(-score)-base, 0.0
	for _, c := range contributions {
		gap -= c
		size += math.Abs(c)
	}
	if size == 0 {
		return
	}
	for j, c := range contributions {
		contributions[j] += gap * math.Abs(c) / size
	}
}

// writeMeans records the mean of each column of the rows that a model is evaluated with.
// The file of a linear model has only its coefficients, so these rows are the average
// customer that contributions are counted from. A later evaluation changes nothing.
func (d *Deployer) writeMeans(ctx context.Context, m *model, rows []schema.Vector) error {
	if m.algorithm == string(learn.XGBoost) || len(rows) == 0 {
		return nil
	}
	means := make([]float64, len(rows[0]))
	for _, row := range rows {
		for j, x := range row {
			means[j] += x / float64(len(rows))
		}
	}
	text, err := json.Marshal(means)
	if err != nil {
		return nil //nolint:nilerr // a column has missing numbers, which linear-learner cannot learn from
	}
	err = d.files.writeNew(ctx, path.Join(evaluationFolder(m.name), meansFile), text)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// meansOf returns the mean of each column, or nil if it was not recorded.
func (e *Endpoint) meansOf(ctx context.Context, model string) ([]float64, error) {
	name := path.Join(evaluationFolder(model), meansFile)
	text, err := readFile(e.files.FS(ctx), name, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var means []float64
	if err := json.Unmarshal(text, &means); err != nil || len(means) != e.schema.Width() {
		return nil, &unexplainedError{fmt.Sprintf("%s does not have the means of %d columns", name, e.schema.Width())}
	}
	return means, nil
}
