package app

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
	"gateway/internal/testsize"
)

// TestModelsAreSwappedOnSageMakerUnderLoad renews the model again and again while
// clients predict at a steady rate. SageMaker takes two of the swaps back, one
// of them without a word. Every answer must come, and its model must be the one
// that answered, by the stand-in's own account; what SageMaker took back must
// not be said to serve.
func TestModelsAreSwappedOnSageMakerUnderLoad(t *testing.T) {
	const clients, each = 3, 20 * time.Millisecond
	swaps := testsize.Of(4, 10)
	s := gatewaytest.StartSandbox(t)
	cfg := awsConfig(t, s)
	g := start(t, cfg)
	g.model(t)
	s.ForgetCalls()

	const customers = 16
	type pair struct {
		model    string
		customer int
	}
	type answer struct {
		pair
		score float64
	}
	var (
		mu      sync.Mutex
		answers = map[string]answer{} // by prediction
		load    sync.WaitGroup
	)
	ctx, stop := context.WithCancel(t.Context())
	for c := range clients {
		load.Go(func() {
			tick := time.NewTicker(each)
			defer tick.Stop()
			for i := c; ctx.Err() == nil; i++ {
				features := gatewaytest.Sample()
				features["duration"], features["age"] = 40*(i%customers), 20+i%customers
				p, err := g.client.Predict(context.Background(), api.PredictionRequest{Features: features})
				if err != nil || p.Score < 0 || p.Score > 1 || math.IsNaN(p.Score) {
					t.Errorf("a prediction failed: %+v, %v", p, err)
					return
				}
				mu.Lock()
				answers[p.PredictionID] = answer{pair{p.Model, i % customers}, p.Score}
				mu.Unlock()
				<-tick.C
			}
		})
	}
	algorithms := []string{"linear-learner", "xgboost"}
	faults := map[int]sandbox.Kind{swaps / 3: sandbox.RollBack, 2 * swaps / 3: sandbox.RollBackSilently}
	serving, takenBack := "", 0
	for i := range swaps {
		want := modelswap.Succeeded
		if kind, ok := faults[i]; ok {
			s.Order("UpdateEndpoint", sandbox.Fault{Kind: kind, Reason: "the alarm went off"})
			want = modelswap.Failed
			takenBack++
		}
		r := g.renew(t, api.RetrainRequest{Force: true, Overrides: modelswap.Overrides{
			Training:        modelswap.Training{Algorithm: algorithms[i%2]},
			Hyperparameters: hyperparameters(algorithms[i%2], i)}})
		if r.Status != want {
			t.Fatalf("renewal %d is %s: %s; want %s", i, r.Status, r.Error, want)
		}
		if want == modelswap.Succeeded {
			serving = *r.Model
		}
		name, err := g.models[0].engine.Serving(t.Context())
		if err != nil || name != serving {
			t.Errorf("after renewal %d %q serves (%v), want %s", i, name, err, serving)
		}
	}
	stop()
	load.Wait()

	models, alone := map[string]int{}, 0
	scores := map[pair]float64{}
	for _, c := range s.Calls("InvokeEndpoint") {
		a, ok := answers[c.InferenceID]
		if !ok {
			continue // of `verify`, or of several predictions
		}
		delete(answers, c.InferenceID)
		models[c.Model]++
		alone++
		scores[a.pair] = a.score
		if a.model != c.Model {
			t.Errorf("prediction %s says %s, and %s answered", c.InferenceID, a.model, c.Model)
		}
	}
	// The others shared calls. What a model said of a customer alone it must have
	// said in company.
	shared := 0
	for id, a := range answers {
		score, known := scores[a.pair]
		if !known {
			continue
		}
		shared++
		models[a.model]++
		if score != a.score {
			t.Errorf("prediction %s of %s has score %v, and alone it gave %v", id, a.model, a.score, score)
		}
	}
	if unknown := len(answers) - shared; unknown > (alone+shared)/10 {
		t.Errorf("%d predictions cannot be checked, and %d can", unknown, alone+shared)
	}
	t.Logf("%d predictions by %d models, none failed, %d of them in shared calls; %d of %d swaps were taken back",
		alone+len(answers), len(models), len(answers), takenBack, swaps)
	// Those taken back answered too, for as long as the traffic was theirs, which
	// may be too short for one of several.
	if len(models) < testsize.Of(swaps+1-takenBack, swaps) {
		t.Errorf("only %d models answered: %v", len(models), fmt.Sprint(models))
	}
}
