package aws

import (
	"context"
	"errors"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
)

// scoreWith scores rows with a model and advances the clock meanwhile.
func (s *stand) scoreWith(model string, n int) (scores []float64, err error) {
	s.t.Helper()
	held, _ := rows(n)
	err = s.hurry(func() (err error) {
		scores, err = s.deployer.ScoreWith(s.t.Context(), model, held)
		return err
	})
	return scores, err
}

func TestAModelIsEvaluatedInItsContainerAndOnce(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"linear-learner", "xgboost"} {
		t.Run(algorithm, func(t *testing.T) {
			s := start(t)
			s.trainOnly("first", algorithm, 300)
			scores, err := s.scoreWith("first", 1200)
			s.must(err)
			if len(scores) != 1200 {
				t.Fatalf("%d scores", len(scores))
			}
			// The step verify scores the first rows, possibly in another process.
			s.wire(s.schema)
			again, err := s.scoreWith("first", 64)
			s.must(err)
			for i := range again {
				if again[i] != scores[i] {
					t.Fatalf("row %d: %v, then %v", i, scores[i], again[i])
				}
			}
			if n := s.Count("CreateTransformJob"); n != 1 {
				t.Errorf("%d jobs, want one", n)
			}
			// The endpoint has the same scores.
			s.deploy("first")
			out, err := s.score(64)
			s.must(err)
			for i, x := range out.Score {
				if distance(x, scores[i]) > 1e-7 {
					t.Errorf("row %d: %v live, %v evaluated", i, x, scores[i])
				}
			}
		})
	}
}

func TestTheModelThatServesIsAskedWhereItServes(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	jobs := s.Count("CreateTransformJob")
	held, _ := rows(1300)
	held = held[60:] // other rows than were evaluated
	s.ForgetCalls()
	scores, err := s.deployer.ScoreWith(t.Context(), "first", held)
	if err != nil || len(scores) != len(held) {
		t.Fatalf("%d scores, %v", len(scores), err)
	}
	if n := s.Count("CreateTransformJob"); n != 0 || jobs != 1 || s.Count("InvokeEndpoint") != 3 {
		t.Errorf("%d jobs and %d calls, want none and three", n, s.Count("InvokeEndpoint"))
	}
}

func TestAnEvaluationThatWasBegunIsFound(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.trainOnly("first", "linear-learner", 300)
	ctx, cancel := context.WithCancel(t.Context())
	held, _ := rows(40)
	done := make(chan error, 1)
	go func() {
		_, err := s.deployer.ScoreWith(ctx, "first", held)
		done <- err
	}()
	for s.Count("CreateTransformJob") == 0 {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel() // the process stops
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	s.wire(s.schema)
	if _, err := s.scoreWith("first", 40); err != nil {
		t.Fatal(err)
	}
	if n := s.Count("CreateTransformJob"); n != 1 {
		t.Errorf("%d jobs were started, want one", n)
	}
}

func TestAnEvaluationThatIsStoppedIsMadeAgainWhenAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.trainOnly("first", "linear-learner", 300)
	for range 2 { // as often as a renewal may be cancelled here and resumed
		ctx, cancel := context.WithCancel(t.Context())
		held, _ := rows(40)
		done := make(chan error, 1)
		s.ForgetCalls()
		go func() {
			_, err := s.deployer.ScoreWith(ctx, "first", held)
			done <- err
		}()
		for s.Count("CreateTransformJob") == 0 {
			select {
			case err := <-done:
				t.Fatal(err)
			case <-time.After(time.Millisecond):
			}
		}
		cancel() // the renewal is cancelled
		<-done
		for range 2 {
			s.must(s.deployer.StopScoring(t.Context(), "first"))
		}
		if n := s.Count("StopTransformJob"); n != 1 {
			t.Fatalf("%d jobs were stopped, want the one that ran", n)
		}
	}
	s.ForgetCalls()
	if scores, err := s.scoreWith("first", 40); err != nil || len(scores) != 40 {
		t.Fatalf("%d scores, %v", len(scores), err)
	}
	if n := s.Count("CreateTransformJob"); n != 1 {
		t.Errorf("%d jobs were started, want one more", n)
	}
}

func TestEvaluationsThatFail(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.trainOnly("first", "linear-learner", 300)
	s.Order("CreateTransformJob", sandbox.Fault{Kind: sandbox.Fail, Reason: "AlgorithmError: out of memory"})
	_, err := s.scoreWith("first", 40)
	isFault(t, err, modelswap.Unfit, "AlgorithmError: out of memory")
	s.Order("CreateTransformJob", sandbox.Fault{Kind: sandbox.Limit})
	_, err = s.scoreWith("first", 30)
	isFault(t, err, modelswap.NoCapacity, "ResourceLimitExceeded")
	s.Order("CreateTransformJob", sandbox.Fault{Kind: sandbox.Fail, Reason: "InternalServerError: try again"})
	if _, err := s.scoreWith("first", 20); err != nil { // a fault of SageMaker's: a second job
		t.Error(err)
	}
	if _, err := s.scoreWith("nothing", 20); !isKind(err, failure.NotFound) {
		t.Errorf("a model that does not exist: %v", err)
	}
}
