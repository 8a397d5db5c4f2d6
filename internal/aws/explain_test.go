package aws

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/artifact"
	"gateway/internal/gatewaytest"
	"gateway/internal/learn"
	"gateway/internal/predict"
	"gateway/internal/sandbox"
)

// readArtifacts reads the artifacts of the models that may answer.
func (s *stand) readArtifacts() {
	s.t.Helper()
	v, err := s.endpoint.look(s.t.Context(), time.Now())
	s.must(err)
	s.endpoint.readExplanations(s.t.Context(), v, s.log())
}

func (s *stand) explained(n int) predict.Scores {
	s.t.Helper()
	all, _ := rows(n)
	out, err := s.scorer.Score(s.t.Context(), all, true)
	s.must(err)
	return out
}

// sums checks that base and contributions make the log-odds of each score.
func (s *stand) sums(out predict.Scores) {
	s.t.Helper()
	if out.Unexplained != "" || len(out.Contributions) != len(out.Score) {
		s.t.Fatalf("%d of %d rows are explained: %s", len(out.Contributions), len(out.Score), out.Unexplained)
	}
	for i, c := range out.Contributions {
		sum := out.Base
		for _, x := range c {
			sum += x
		}
		if want := math.Log(out.Score[i] / (1 - out.Score[i])); math.Abs(sum-want) > 1e-9 {
			s.t.Errorf("row %d: base and contributions make %v, want %v", i, sum, want)
		}
	}
}

// artifactObject returns the place of a model's artifact.
func (s *stand) artifactObject(model string) location {
	s.t.Helper()
	at, err := s.endpoint.artifactOf(s.t.Context(), model)
	s.must(err)
	return at
}

func (s *stand) replaceArtifact(model string, body []byte) {
	s.t.Helper()
	at := s.artifactObject(model)
	_, err := s.api.s3.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: &at.bucket, Key: &at.prefix, Body: bytes.NewReader(body)})
	s.must(err)
}

func TestModelsOfSageMakerAreExplained(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []learn.Algorithm{learn.LinearLearner, learn.XGBoost} {
		t.Run(string(algorithm), func(t *testing.T) {
			s := start(t)
			s.train("m1", string(algorithm), 300)
			s.deploy("m1")
			if out := s.explained(3); out.Unexplained != beingRead || out.Contributions != nil {
				t.Errorf("before the artifact is read: %+v", out)
			}
			s.readArtifacts()
			out := s.explained(40)
			s.sums(out)
			all, _ := rows(40)
			if algorithm == learn.LinearLearner {
				// Counted from the average of the rows of the evaluation.
				held, _ := rows(50)
				means := make([]float64, s.schema.Width())
				for _, row := range held {
					for j, x := range row {
						means[j] += x / 50
					}
				}
				a, err := s.Artifact("m1")
				s.must(err)
				_, coefficients, _ := a.Model.Coefficients()
				for j, got := range out.Contributions[7] {
					if want := coefficients[j] * (all[7][j] - means[j]); math.Abs(got-want) > 1e-5 {
						t.Errorf("column %d: got %v, want %v", j, got, want)
					}
				}
			}
			if plain, err := s.score(3); err != nil || plain.Contributions != nil || plain.Unexplained != "" {
				t.Errorf("not asked for: %+v, %v", plain, err)
			}
		})
	}
}

func TestTheArtifactHasTheFormatOfTheContainer(t *testing.T) {
	t.Parallel()
	for image, begins := range map[string]string{
		"": "binf",
		"492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5": "{L",
	} {
		s := start(t)
		s.trainer = NewTrainer(s.api, s.files, TrainingSettings{Algorithm: "xgboost", Image: image, Role: sandbox.Role, InstanceType: "ml.m5.large", InstanceCount: 1, VolumeGB: 10})
		s.train("m1", "xgboost", 300)
		s.deploy("m1")
		s.readArtifacts()
		s.sums(s.explained(5))
		at := s.artifactObject("m1")
		out, err := s.api.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.prefix})
		s.must(err)
		packed, err := io.ReadAll(out.Body)
		s.must(err)
		if got := unpacked(t, packed, "xgboost-model"); !strings.HasPrefix(got, begins) {
			t.Errorf("%s: the file begins with %.8q, want %q", image, got, begins)
		}
	}
}

func TestBothModelsOfASwapAreExplained(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("m1", "linear-learner", 300)
	s.deploy("m1")
	s.train("m2", "xgboost", 200)
	s.must(s.order("m2"))
	s.inShift()
	s.readArtifacts()
	seen := map[string]bool{}
	for range 50 {
		out := s.explained(3)
		s.sums(out)
		seen[out.Model] = true
	}
	if len(seen) != 2 {
		t.Errorf("only %v answered", seen)
	}
	// The models that cannot answer any more are forgotten.
	s.Advance(time.Hour)
	s.readArtifacts()
	s.sums(s.explained(3))
	v := s.endpoint.view.Load()
	if known := *s.endpoint.explanations.known.Load(); len(known) != len(v.models) {
		t.Errorf("%d models are kept, %d may answer", len(known), len(v.models))
	}
}

func TestTheArtifactIsReadInTheBackground(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("m1", "linear-learner", 300)
	s.deploy("m1")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.endpoint.Follow(ctx, time.Hour, slog.New(slog.DiscardHandler))
	}()
	gatewaytest.Eventually(t, "the artifact has been read", func() bool { return s.explained(1).Unexplained == "" })
	s.sums(s.explained(5))
	cancel()
	<-done
}

func TestModelsThatCannotBeExplainedSayWhy(t *testing.T) {
	t.Parallel()
	another := func(s *stand) []byte {
		m, err := learn.NewLinear(s.schema.Columns(), learn.Linear{Intercept: -3, Coefficients: make([]float64, s.schema.Width()), Means: make([]float64, s.schema.Width())})
		s.must(err)
		text, err := artifact.Write(m, artifact.XGBoostBinary)
		s.must(err)
		return text
	}
	for name, tt := range map[string]struct {
		spoil func(*stand)
		want  string
		log   string
	}{
		"no artifact": {func(s *stand) {
			at := s.artifactObject("m1")
			_, err := s.api.s3.DeleteObject(s.t.Context(), &s3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.prefix})
			s.must(err)
		}, "does not exist any more", "cannot be explained"},
		"no archive":    {func(s *stand) { s.replaceArtifact("m1", []byte("hello")) }, "not compressed with gzip", "cannot be explained"},
		"too large":     {func(s *stand) { s.replaceArtifact("m1", make([]byte, maxArtifact+1)) }, "at most", "cannot be explained"},
		"another model": {func(s *stand) { s.replaceArtifact("m1", another(s)) }, otherScores, "other scores"},
		"no means": {func(s *stand) {
			s.must(s.files.RemoveAll(s.t.Context(), evaluationFolder("m1")))
		}, withoutMeans, "cannot be explained"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.train("m1", "linear-learner", 300)
			s.deploy("m1")
			tt.spoil(s)
			s.readArtifacts()
			out := s.explained(2)
			if !strings.Contains(out.Unexplained, tt.want) || out.Contributions != nil || len(out.Score) != 2 {
				t.Errorf("got %+v, want %q", out, tt.want)
			}
			s.logged(tt.log, "m1")
			calls := len(s.Calls("GetObject"))
			s.readArtifacts()
			if n := len(s.Calls("GetObject")) - calls; n > 0 {
				t.Errorf("%d more calls for a file that cannot be read", n)
			}
		})
	}
}

func TestAnArtifactIsReadAgainAfterAFault(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("m1", "linear-learner", 300)
	s.deploy("m1")
	o := s.Order("GetObject", sandbox.Fault{Kind: sandbox.Throttle, Times: -1})
	s.readArtifacts()
	if out := s.explained(1); out.Unexplained != notReadable {
		t.Errorf("got %+v", out)
	}
	s.readArtifacts() // too early: no new attempt, no new line
	s.logged("cannot read the artifact", "m1")
	o.Cancel()
	x := *s.endpoint.explanations.of("m1")
	x.again = time.Now()
	s.endpoint.explanations.known.Store(&map[string]*explanation{"m1": &x})
	s.readArtifacts()
	s.sums(s.explained(3))
	s.logged("can be read again")
}

// A row whose score the artifact does not give is not explained.
func TestEachRowIsComparedWithItsScore(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("m1", "linear-learner", 300)
	s.deploy("m1")
	s.readArtifacts()
	all, _ := rows(3)
	out := s.explained(3)
	out.Score[1] += 0.01
	out.Contributions, out.Unexplained = nil, ""
	s.scorer.explain(&out, all)
	if out.Contributions[0] == nil || out.Contributions[1] != nil || out.Contributions[2] == nil || out.Unexplained != otherScores {
		t.Errorf("got %+v", out)
	}
}

func TestSettleKeepsTheSumExact(t *testing.T) {
	for _, score := range []float64{float64(float32(0.9999999)), 1e-7, 0.5, float64(float32(0.3))} {
		c := []float64{1.5, -0.25, 0, 2e-3}
		settle(c, -1, score)
		got := -1 + c[0] + c[1] + c[2] + c[3]
		if want := math.Log(score / (1 - score)); math.Abs(got-want) > 1e-9 || c[2] != 0 {
			t.Errorf("score %v: got %v in %v, want %v", score, got, c, want)
		}
	}
	for _, score := range []float64{0, 1} {
		c := []float64{40, 2}
		if settle(c, 1, score); c[0] != 40 || c[1] != 2 {
			t.Errorf("score %v: got %v", score, c)
		}
	}
}

func TestAddressesOfArtifacts(t *testing.T) {
	if at, err := artifactAddress("s3://b/some/model.tar.gz"); err != nil || at != (location{"b", "some/model.tar.gz"}) {
		t.Errorf("got %v, %v", at, err)
	}
	for _, address := range []string{"", "s3://", "s3://b", "s3://b/", "https://b.s3.amazonaws.com/model.tar.gz"} {
		if _, err := artifactAddress(address); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
}

// unpacked returns a file of a model.tar.gz.
func unpacked(t *testing.T, packed []byte, name string) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(z)
	for {
		file, err := archive.Next()
		if err != nil {
			t.Fatal(err)
		}
		if file.Name == name {
			text, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
}
