package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-json-experiment/json"

	"gateway/internal/artifact"
	"gateway/internal/learn"
)

// work is the training of a job in a goroutine. Its results are valid once finished is
// closed.
type work struct {
	finished chan struct{}
	cancel   context.CancelFunc

	at       time.Time // when it finished
	reason   string    // why it failed; empty: it succeeded
	artifact string    // address of the model
	metrics  []metric
}

func (w *work) done() bool {
	select {
	case <-w.finished:
		return true
	default:
		return false
	}
}

type metric struct {
	MetricName string
	Value      float32
	Timestamp  epoch
}

// startWork starts the training of a job. The caller holds the lock.
func (s *Server) startWork(j *job) *work {
	ctx, cancel := context.WithCancel(s.ctx)
	w := &work{finished: make(chan struct{}), cancel: cancel}
	in := j.in
	s.work.Go(func() {
		defer close(w.finished)
		defer cancel()
		artifact, metrics, err := s.train(ctx, in)
		if !s.manual() {
			w.at = s.clock.Now() // with a ManualClock, training takes the time of the pace
		}
		if err != nil {
			w.reason = shorten(err.Error(), 1024)
			return
		}
		w.artifact, w.metrics = artifact, metrics
	})
	return w
}

// reason is a FailureReason in the wording of the service.
type reason string

func (r reason) Error() string { return string(r) }

func shorten(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// algorithm returns the algorithm of an image.
func (s *Server) algorithm(image string) (learn.Algorithm, bool) {
	if name, ok := s.options.Algorithms[image]; ok {
		return learn.Algorithm(name), true
	}
	_, repository, _ := strings.Cut(image, "/")
	switch repository, _, _ = strings.Cut(repository, ":"); {
	case repository == "linear-learner":
		return learn.LinearLearner, true
	case strings.HasSuffix(repository, "xgboost"):
		return learn.XGBoost, true
	}
	return "", false
}

// train trains a model as the container of a built-in algorithm does. The text of an error is
// the FailureReason of the job.
func (s *Server) train(ctx context.Context, in *trainingInput) (artifact string, metrics []metric, err error) {
	image := in.AlgorithmSpecification.TrainingImage
	algorithm, ok := s.algorithm(image)
	if !ok {
		return "", nil, fmt.Errorf("AlgorithmError: the stand-in does not know the algorithm of the image %s; set it in Options.Algorithms", image)
	}
	parameters := maps.Clone(in.HyperParameters)
	if missing := map[learn.Algorithm]string{learn.LinearLearner: "predictor_type", learn.XGBoost: "num_round"}[algorithm]; parameters[missing] == "" {
		return "", nil, fmt.Errorf("ClientError: Missing required hyperparameter '%s'", missing)
	}
	train, err := s.channel(ctx, in, "train")
	if err != nil {
		return "", nil, err
	}
	if algorithm == learn.LinearLearner {
		batch, err := strconv.Atoi(parameters["mini_batch_size"])
		if err != nil {
			batch = 1000
		}
		if int64(train.Rows()) < int64(batch)*in.ResourceConfig.InstanceCount {
			return "", nil, reason("ClientError: No training data processed. Either the training channel is empty or the mini-batch size is too high. Verify that training data contains non-empty files and the mini-batch size is less than the number of records per training host.")
		}
	}
	model, err := learn.Train(ctx, train, learn.Options{Algorithm: algorithm, Hyperparameters: parameters})
	if errors.Is(err, learn.ErrInput) {
		return "", nil, fmt.Errorf("ClientError: %w", err)
	}
	if err != nil {
		return "", nil, fmt.Errorf("InternalServerError: %w", err)
	}
	metrics = measure("train", algorithm, model, train)
	for _, name := range []string{"validation", "test"} {
		held, err := s.channel(ctx, in, name)
		if err != nil {
			return "", nil, err
		}
		if held.Rows() > 0 {
			metrics = append(metrics, measure(name, algorithm, model, held)...)
		}
	}
	uri := artifactKey(in)
	if err := s.store(ctx, uri, model, image); err != nil {
		return "", nil, fmt.Errorf("ClientError: Failed to upload model artifacts to %s: %w", uri, err)
	}
	return uri, metrics, nil
}

// store uploads a model as model.tar.gz, in the format of the container of the image.
func (s *Server) store(ctx context.Context, uri string, model *learn.Model, image string) error {
	packed, err := artifact.Write(model, xgboostFormat(image))
	if err != nil {
		return err
	}
	bucket, key, _ := bucketOf(uri)
	_, err = s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(packed)})
	return err
}

// xgboostFormat returns the format in which the XGBoost of an image writes a model. The
// containers before 1.3 pickle it; the stand-in writes binary files for these, too.
func xgboostFormat(image string) artifact.XGBoostFormat {
	_, tag, _ := strings.Cut(image, ":")
	version, _, _ := strings.Cut(tag, ".")
	if n, err := strconv.Atoi(version); err == nil && n >= 2 {
		return artifact.XGBoostUBJSON
	}
	return artifact.XGBoostBinary
}

// maxArtifact is the maximum size of an uncompressed model in bytes.
const maxArtifact = 256 << 20

// load reads the model in a model.tar.gz.
func (s *Server) load(ctx context.Context, uri string) (*learn.Artifact, error) {
	bucket, key, ok := bucketOf(uri)
	if !ok {
		return nil, fmt.Errorf("%q is not an S3 address", uri)
	}
	out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	m, err := artifact.Read(out.Body, nil, nil, maxArtifact)
	if err != nil {
		return nil, err
	}
	return &learn.Artifact{Name: uri, Algorithm: m.Algorithm(), Model: m}, nil
}

// keys returns the keys of the objects of a channel: all keys with its prefix, or those that
// its manifest lists.
func (s *Server) keys(ctx context.Context, c channel) (bucket string, keys []string, err error) {
	source := c.DataSource.S3DataSource
	bucket, prefix, _ := bucketOf(source.S3Uri)
	if source.S3DataType == "ManifestFile" {
		out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &prefix})
		if err != nil {
			return bucket, nil, err
		}
		defer out.Body.Close()
		var entries []any
		if err := json.UnmarshalRead(out.Body, &entries); err != nil {
			return bucket, nil, err
		}
		base := ""
		for _, e := range entries {
			switch e := e.(type) {
			case map[string]any:
				text, _ := e["prefix"].(string)
				bucket, base, _ = bucketOf(text)
			case string:
				keys = append(keys, base+e)
			}
		}
		return bucket, keys, nil
	}
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return bucket, nil, err
		}
		for _, o := range page.Contents {
			if !strings.HasSuffix(*o.Key, "/") {
				keys = append(keys, *o.Key)
			}
		}
	}
	return bucket, keys, nil
}

// readable returns the error of CreateTrainingJob for a channel without data.
func (s *Server) readable(c channel, role string) error {
	bucket, keys, err := s.keys(s.ctx, c)
	if err != nil || len(keys) == 0 {
		message := ""
		if err != nil {
			message = " Error message from S3: " + err.Error()
		}
		return validationf("No S3 objects found under S3 URL \"%s\" given in input data source. Please ensure that the bucket exists in the selected region (%s), that objects exist under that S3 prefix, and that the role \"%s\" has \"s3:ListBucket\" permissions on bucket \"%s\".%s",
			c.DataSource.S3DataSource.S3Uri, Region, role, bucket, message)
	}
	return nil
}

// channel reads the CSV of a channel. It returns no rows if the job has no such channel.
func (s *Server) channel(ctx context.Context, in *trainingInput, name string) (learn.Dataset, error) {
	var data learn.Dataset
	for _, c := range in.InputDataConfig {
		if c.ChannelName != name {
			continue
		}
		if kind, _, _ := strings.Cut(c.ContentType, ";"); strings.TrimSpace(kind) != "text/csv" {
			return data, fmt.Errorf("ClientError: ContentType %q of channel %s is not supported: the stand-in reads text/csv", c.ContentType, name)
		}
		bucket, keys, err := s.keys(ctx, c)
		if err != nil {
			return data, fmt.Errorf("ClientError: Data download failed: %w", err)
		}
		for _, key := range keys {
			if err := s.appendCSV(ctx, &data, bucket, key, c); err != nil {
				return data, err
			}
		}
		return data, nil
	}
	if name == "train" {
		return data, errors.New("ClientError: Required channel 'train' is missing")
	}
	return data, nil
}

func (s *Server) appendCSV(ctx context.Context, data *learn.Dataset, bucket, key string, c channel) error {
	out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(key)})
	if err != nil {
		return fmt.Errorf("ClientError: Data download failed: %w", err)
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	if err != nil {
		return fmt.Errorf("ClientError: Data download failed: %w", err)
	}
	if len(text) == 0 {
		return nil
	}
	if data.Columns == nil {
		first, _, _ := bytes.Cut(text, []byte("\n"))
		for i := range bytes.Count(first, []byte(",")) {
			data.Columns = append(data.Columns, "f"+strconv.Itoa(i))
		}
	}
	part, err := learn.ReadCSV(bytes.NewReader(text), data.Columns)
	if err != nil {
		// For example gzip in File mode, which no built-in algorithm decompresses.
		return fmt.Errorf("ClientError: Unable to read data channel '%s'. Requested content-type is 'text/csv'. Please verify the data matches the requested content-type. (%s: %w)", c.ChannelName, key, err)
	}
	data.X, data.Y = append(data.X, part.X...), append(data.Y, part.Y...)
	return nil
}

// measure evaluates a model and returns the metrics with the names of the algorithm.
func measure(channel string, algorithm learn.Algorithm, model *learn.Model, data learn.Dataset) []metric {
	scores := make([]float64, data.Rows())
	for i := range scores {
		scores[i] = model.Score(data.Row(i))
	}
	m, err := learn.Evaluate(scores, data.Y, model.Threshold())
	if err != nil {
		return nil // with labels of one class the real containers log NaN
	}
	add := func(pairs ...any) (out []metric) {
		for i := 0; i < len(pairs); i += 2 {
			if v := pairs[i+1].(float64); !math.IsNaN(v) {
				out = append(out, metric{MetricName: channel + ":" + pairs[i].(string), Value: float32(v)})
			}
		}
		return out
	}
	if algorithm == learn.XGBoost {
		return add("logloss", m.LogLoss, "auc", m.AUC, "error", 1-m.Accuracy)
	}
	if channel == "train" {
		return add("objective_loss", m.LogLoss, "objective_loss:final", m.LogLoss, "progress", 100.0)
	}
	return add("objective_loss", m.LogLoss, "binary_classification_accuracy", m.Accuracy, "binary_f_beta", m.F1,
		"roc_auc_score", m.AUC, "binary_classification_cross_entropy", m.LogLoss)
}
