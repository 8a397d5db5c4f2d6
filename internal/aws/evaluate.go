package aws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
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

// Files of an evaluation.
const (
	rowsFile   = "rows.csv"
	scoresFile = rowsFile + ".out" // the name that batch transform gives it
)

// evaluationFolder returns the folder of a model's evaluations.
func evaluationFolder(model string) string { return path.Join("evaluations", model) }

// ScoreWith implements modelswap.Deployer. It uses the first source that has the scores:
// an earlier evaluation of the same rows; the endpoint, if it serves the model; a batch
// transform job, which runs the model in the same container as the endpoint.
func (d *Deployer) ScoreWith(ctx context.Context, name string, rows []schema.Vector) ([]float64, error) {
	m, err := describeModel(ctx, d.api, name)
	if isMissing(err) {
		return nil, failure.Errorf(failure.NotFound, "SageMaker has no model %q", name)
	}
	if err != nil {
		return nil, err
	}
	if m.schema != d.schema.Fingerprint() {
		return nil, fmt.Errorf("model %s was made for schema %.12s, the gateway has %.12s: %w", name, m.schema, d.schema.Fingerprint(), learn.ErrSchema)
	}
	probes, err := d.probesFrom(ctx, rows)
	if err != nil {
		return nil, err
	}
	if err := d.writeMeans(ctx, m, rows); err != nil {
		return nil, err
	}
	scores, err := d.evaluated(ctx, m, rows)
	if scores == nil && err == nil {
		scores, err = d.scoreLive(ctx, m, rows)
	}
	if scores == nil && err == nil {
		scores, err = d.transform(ctx, m, rows, probes)
	}
	return scores, err
}

// probesFrom returns the probes of the schema. If there are none yet, it makes them of the
// rows.
func (d *Deployer) probesFrom(ctx context.Context, rows []schema.Vector) ([]schema.Vector, error) {
	probes, err := readProbes(ctx, d.files, d.schema)
	if probes != nil || err != nil {
		return probes, err
	}
	return writeProbes(ctx, d.files, d.schema, makeProbes(d.schema, rows))
}

// ensureProbeScores ensures that the scores of the probes are known for the new model and
// for the serving one, before both of them answer.
func (d *Deployer) ensureProbeScores(ctx context.Context, v *view, m *model) error {
	if v.serving == nil || v.status == types.EndpointStatusFailed {
		return nil // nothing answers yet
	}
	unknown := func(why string) error {
		return &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf(
			"model %s cannot replace %s: %s, so it would be unknown which of them made a score", m.name, v.serving.name, why)}
	}
	if v.probes == nil {
		return unknown("no model has been evaluated for this schema yet")
	}
	if v.serving.scores == nil {
		return unknown("the scores of the probes by the serving model are unknown")
	}
	if m.scores == nil {
		_, err := d.transform(ctx, m, nil, v.probes)
		return err
	}
	return nil
}

// evaluated returns the scores of an earlier evaluation of the model whose first rows are
// these, or nil if there is none. The step verify scores the first of the rows that the
// step evaluate has scored.
func (d *Deployer) evaluated(ctx context.Context, m *model, rows []schema.Vector) ([]float64, error) {
	fsys, folder := d.files.FS(ctx), evaluationFolder(m.name)
	entries, err := fs.ReadDir(fsys, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text := append(appendRows(nil, rows), '\n')
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		at := path.Join(folder, e.Name())
		same, err := beginsWith(fsys, path.Join(at, rowsFile), text)
		if err != nil || !same {
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			continue
		}
		a, err := d.readScores(ctx, m, path.Join(at, scoresFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue // this evaluation is not finished
		}
		if err != nil {
			return nil, err
		}
		if len(a.scores) >= len(rows) {
			return a.scores[:len(rows)], nil
		}
	}
	return nil, nil
}

func beginsWith(fsys fs.FS, name string, text []byte) (bool, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	part := make([]byte, 64<<10)
	for len(text) > 0 {
		n, err := r.Read(part[:min(len(part), len(text))])
		if !bytes.Equal(part[:n], text[:n]) || errors.Is(err, io.EOF) && n < len(text) {
			return false, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		text = text[n:]
	}
	return true, nil
}

// liveRows is the maximum number of rows in one call of an evaluation, the probe included,
// so that predictions do not wait long behind it.
const liveRows = 500

// scoreLive scores rows with the endpoint. It returns nil if the endpoint serves another
// model or is changing.
func (d *Deployer) scoreLive(ctx context.Context, m *model, rows []schema.Vector) ([]float64, error) {
	v, err := d.endpoint.look(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	able := v.usable() == nil && !v.changing()
	if !able || v.serving.name != m.name {
		return nil, nil
	}
	live := NewScorer(d.endpoint, d.log)
	scores := make([]float64, 0, len(rows))
	for len(rows) > 0 {
		n := max(1, fitting(rows, liveRows, maxCallBytes)) // Score returns the error of a row that is too large
		out, err := live.Score(ctx, rows[:n], false)
		if err != nil {
			return nil, err
		}
		if out.Model != m.name {
			return nil, nil
		}
		scores, rows = append(scores, out.Score...), rows[n:]
	}
	return scores, nil
}

// maxTransforms is the maximum number of jobs of one evaluation. The name of a failed job
// cannot be used again, so each attempt has a job of its own.
const maxTransforms = 3

// transform scores the rows and the probes with a batch transform job, or with the one
// that an earlier call has started. It writes the scores of the probes to a tag of the
// model.
func (d *Deployer) transform(ctx context.Context, m *model, rows, probes []schema.Vector) ([]float64, error) {
	all := append(rows[:len(rows):len(rows)], probes...)
	text := append(appendRows(nil, all), '\n')
	sum := sha256.Sum256(text)
	folder := path.Join(evaluationFolder(m.name), hex.EncodeToString(sum[:8]))
	err := d.files.WriteFile(ctx, path.Join(folder, rowsFile), func(w io.Writer) error { _, err := w.Write(text); return err })
	if err != nil {
		return nil, err
	}
	if err := d.runTransform(ctx, m, folder); err != nil {
		return nil, err
	}
	a, err := d.readScores(ctx, m, path.Join(folder, scoresFile))
	if err != nil {
		return nil, err
	}
	if len(a.scores) != len(all) {
		return nil, &modelswap.Fault{Class: modelswap.Unfit, Err: fmt.Errorf("model %s answered %d rows with %d scores", m.name, len(all), len(a.scores))}
	}
	if err := tag(ctx, d.api, m.arn, map[string]string{tagScores: encodeScores(a.scores[len(rows):])}); err != nil {
		return nil, err
	}
	return a.scores[:len(rows)], nil
}

// runTransform starts the job of a folder and waits for its end.
func (d *Deployer) runTransform(ctx context.Context, m *model, folder string) error {
	reason := ""
	for try := range maxTransforms {
		name := transformName(folder, try)
		status, why, err := d.transformStatus(ctx, name)
		if err == nil && status == "" {
			err = d.startTransform(ctx, m, folder, name)
			status = types.TransformJobStatusInProgress
		}
		for err == nil && (status == types.TransformJobStatusInProgress || status == types.TransformJobStatusStopping) {
			select {
			case <-ctx.Done():
				return ctx.Err() // the job continues; the next call finds it by its name
			case <-time.After(d.timing.Poll):
			}
			status, why, err = d.transformStatus(ctx, name)
		}
		switch {
		case err != nil:
			return err
		case status == types.TransformJobStatusCompleted:
			return nil
		}
		reason = fmt.Sprintf("batch transform job %s is %s: %s", name, status, why)
		if status != types.TransformJobStatusStopped && !strings.HasPrefix(why, "InternalServerError") {
			break // another attempt would fail in the same way
		}
	}
	return &modelswap.Fault{Class: modelswap.Unfit, Err: fmt.Errorf("model %s could not be evaluated: %s", m.name, reason)}
}

// StopScoring implements modelswap.Deployer. It stops the batch transform jobs of the
// model's evaluations and does not wait for their end.
func (d *Deployer) StopScoring(ctx context.Context, name string) error {
	folder := evaluationFolder(name)
	entries, err := fs.ReadDir(d.files.FS(ctx), folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		for try := range maxTransforms {
			job := transformName(path.Join(folder, e.Name()), try)
			switch status, _, err := d.transformStatus(ctx, job); {
			case err != nil:
				return err
			case status == types.TransformJobStatusInProgress:
				_, err := d.api.sagemaker.StopTransformJob(ctx, &sagemaker.StopTransformJobInput{TransformJobName: &job})
				if err := stopped("StopTransformJob", err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// transformName returns the name of a job for a folder, whose name identifies the model and
// the rows.
func transformName(folder string, try int) string {
	sum := sha256.Sum256([]byte(folder))
	return fmt.Sprintf("evaluation-%s-%d", hex.EncodeToString(sum[:12]), try)
}

// transformStatus returns the status of a job and its failure reason. The status is empty
// if there is no such job.
func (d *Deployer) transformStatus(ctx context.Context, name string) (types.TransformJobStatus, string, error) {
	out, err := d.api.sagemaker.DescribeTransformJob(ctx, &sagemaker.DescribeTransformJobInput{TransformJobName: &name})
	if isMissing(err) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fault("DescribeTransformJob", err)
	}
	return out.TransformJobStatus, orUnknown(out.FailureReason), nil
}

func (d *Deployer) startTransform(ctx context.Context, m *model, folder, name string) error {
	_, err := d.api.sagemaker.CreateTransformJob(ctx, &sagemaker.CreateTransformJobInput{
		TransformJobName: &name,
		ModelName:        &m.name,
		BatchStrategy:    types.BatchStrategyMultiRecord,
		MaxPayloadInMB:   sdk.Int32(3),
		TransformInput: &types.TransformInput{
			ContentType: sdk.String(d.endpoint.contentType()), SplitType: types.SplitTypeLine,
			DataSource: &types.TransformDataSource{S3DataSource: &types.TransformS3DataSource{
				S3DataType: types.S3DataTypeS3Prefix, S3Uri: sdk.String(d.files.uri(path.Join(folder, rowsFile)))}},
		},
		TransformOutput: &types.TransformOutput{
			S3OutputPath: sdk.String(d.files.uri(folder)), AssembleWith: types.AssemblyTypeLine, Accept: sdk.String(d.lineType(m)),
		},
		TransformResources: &types.TransformResources{
			InstanceType: types.TransformInstanceType(d.settings.InstanceType), InstanceCount: sdk.Int32(1),
		},
		Tags: tags(map[string]string{tagModel: m.name, tagSchema: m.schema}),
	})
	if isTaken(err) {
		return nil
	}
	return fault("CreateTransformJob", err)
}

// lineType returns the media type of answers with one line for each row, which batch
// transform can concatenate.
func (d *Deployer) lineType(m *model) string {
	switch m.algorithm {
	case string(learn.XGBoost):
		return typeCSV
	case string(learn.LinearLearner):
		return typeJSONLines
	}
	if d.endpoint.formats.Accept == typeCSV {
		return typeCSV
	}
	return typeJSONLines
}

// readScores reads what a transform job wrote.
func (d *Deployer) readScores(ctx context.Context, m *model, name string) (answer, error) {
	text, err := readFile(d.files.FS(ctx), name, maxScores)
	if err != nil {
		return answer{}, err
	}
	a, err := parseAnswer(d.lineType(m), text, anyRows)
	if err != nil {
		return answer{}, &modelswap.Fault{Class: modelswap.Unfit, Err: fmt.Errorf("%s: %w", name, err)}
	}
	return a, nil
}
