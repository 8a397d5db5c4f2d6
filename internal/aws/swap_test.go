package aws

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/sandbox"
	"gateway/internal/scoring"
)

// truth holds each answer's model to the one that the stand-in says answered.
func (s *stand) truth(n int) (seen map[string]int) {
	s.t.Helper()
	seen = make(map[string]int)
	for i := range n {
		before := len(s.Calls("InvokeEndpoint"))
		all, _ := rows(40)
		out, err := s.scorer.Score(s.t.Context(), all[i%40:i%40+1], false)
		s.must(err)
		calls := s.Calls("InvokeEndpoint")[before:]
		if len(calls) != 1 {
			s.t.Fatalf("%d calls for one row, want one", len(calls))
		}
		if out.Model != calls[0].Model {
			s.t.Errorf("the answer says %s, and %s answered", out.Model, calls[0].Model)
		}
		if out.Schema != s.schema.Fingerprint() || len(out.Score) != 1 || calls[0].Rows != 2 {
			s.t.Errorf("got %+v for %d rows, want one score by the schema, and a probe", out, calls[0].Rows)
		}
		seen[out.Model]++
	}
	return seen
}

func TestEachAnswerNamesTheModelThatGaveItWhileTwoAnswer(t *testing.T) {
	t.Parallel()
	for _, second := range []string{"linear-learner", "xgboost"} {
		t.Run(second, func(t *testing.T) {
			s := start(t)
			s.train("first", "linear-learner", 400)
			s.deploy("first")
			if seen := s.truth(5); seen["first"] != 5 {
				t.Fatalf("answers are %v", seen)
			}
			s.train("second", second, 500)
			s.must(s.order("second"))
			s.serves("first", true)
			s.inShift()
			if seen := s.truth(60); seen["first"] == 0 || seen["second"] == 0 {
				t.Errorf("answers are %v, want some of both", seen)
			}
			s.Advance(time.Hour)
			s.serves("second", false)
			if seen := s.truth(5); seen["second"] != 5 {
				t.Errorf("answers are %v after the swap", seen)
			}
		})
	}
}

func TestASwapThatAnotherGatewayOrderedIsSeenInTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 400)
	s.deploy("first")
	s.truth(1)
	mine, seen := s.scorer, s.endpoint.view.Load()
	s.wire(s.schema) // the other gateway
	s.train("second", "linear-learner", 600)
	s.deploy("second")
	s.scorer = mine
	if mine.endpoint.view.Load() != seen {
		t.Fatal("the gateway has looked at the endpoint; the test shows nothing")
	}
	if got := s.truth(3); got["second"] != 3 {
		t.Errorf("answers are %v, want the second model's", got)
	}
	// And back again, by a model that is known.
	other := s.deployer
	s.deployer = other
	s.deploy("first")
	if got := s.truth(3); got["first"] != 3 {
		t.Errorf("answers are %v, want the first model's", got)
	}
}

func TestAnswersAreTrueThroughRollbacks(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.Kind{sandbox.RollBack, sandbox.RollBackSilently} {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t)
			s.train("first", "linear-learner", 400)
			s.deploy("first")
			s.train("second", "linear-learner", 500)
			s.Order("UpdateEndpoint", sandbox.Fault{Kind: kind, Reason: "the alarm went off"})
			s.must(s.order("second"))
			s.inShift()
			s.truth(40)
			s.Advance(time.Hour)
			if seen := s.truth(5); seen["first"] != 5 {
				t.Errorf("answers are %v after the rollback", seen)
			}
		})
	}
}

func TestRowsOfOneRequestAreFromOneModelWhileTwoAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 400)
	s.deploy("first")
	s.train("second", "linear-learner", 500)
	s.must(s.order("second"))
	s.inShift()
	batch := scoring.NewBatch(s.scorer, scoring.BatchOptions{MaxRows: 4}, prometheus.NewRegistry())
	held, _ := rows(50)
	want := map[string][]float64{}
	for _, m := range []string{"first", "second"} {
		scores, err := s.deployer.ScoreWith(t.Context(), m, held)
		s.must(err)
		want[m] = scores
	}
	for range 20 {
		out, err := batch.Score(t.Context(), held[:12], false)
		s.must(err)
		s.must(out.Err())
		for i, x := range out.Score {
			if distance(x, want[out.Model][i]) > exact {
				t.Fatalf("row %d scores %v; %s gives %v", i, x, out.Model, want[out.Model][i])
			}
		}
	}
}

func TestAModelWithoutScoresIsCalibratedWhereNothingChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 400) // makes the probes
	s.trainOnly("by-hand", "linear-learner", 500)
	s.deploy("by-hand") // the first on this endpoint: nothing to tell it from
	if seen := s.truth(3); seen["by-hand"] != 3 {
		t.Fatalf("answers are %v", seen)
	}
	m, err := describeModel(t.Context(), s.api, "by-hand")
	if err != nil || m.scores == nil {
		t.Errorf("the model's tags have no scores (%v)", err)
	}
	s.wire(s.schema)
	s.deploy("first")
	s.truth(3)
}

func TestWithoutProbesNothingIsNamedWhileSomebodyChangesTheEndpoint(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.trainOnly("first", "linear-learner", 400)
	s.deploy("first")
	out, err := s.score(3)
	if err != nil || out.Model != "first" {
		t.Fatalf("got %+v, %v", out, err)
	}
	s.trainOnly("second", "linear-learner", 500)
	s.byHand("config-2", "second", nil)
	s.updateByHand("config-2")
	s.serves("first", true)
	if _, err := s.score(3); !isKind(err, failure.Unavailable) {
		t.Errorf("got %v, want no answer", err)
	}
	if err := s.order("second"); err == nil {
		t.Error("a swap was ordered that could not be told")
	}
}
