package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gateway/api"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
	"gateway/internal/testsize"
)

// TestTheLoop is the product in one test: a model from nothing, a prediction,
// its outcome, and a next model that has learned from it.
func TestTheLoop(t *testing.T) {
	cfg := newConfig(t)
	g := start(t, cfg)
	g.ready(t)
	ctx := t.Context()

	renewals, err := g.client.Renewals(ctx, 10, "")
	if err != nil || len(renewals) != 1 || renewals[0].Trigger != modelswap.TriggerFirst {
		t.Fatalf("renewals are %v (%v), want the first model's alone", renewals, err)
	}
	p, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer", Features: gatewaytest.Sample()})
	if err != nil || p.Score <= 0 || p.Score >= 1 || p.Schema != schema.Bank().Fingerprint() {
		t.Fatalf("got %+v (%v), want a score from the bank's schema", p, err)
	}
	match, err := g.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: 1})
	if err != nil || match.CustomerID != "newcomer" || *match.Model != p.Model {
		t.Fatalf("the outcome matched %+v (%v), want the newcomer and the model %s", match, err, p.Model)
	}
	if _, err := g.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: 1}); err != nil {
		t.Fatal(err)
	}
	// The newcomer can now be asked about by name alone.
	again, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer"})
	if err != nil || again.Score != p.Score {
		t.Errorf("by customer_id the score is %v (%v), want %v", again.Score, err, p.Score)
	}

	r := g.renew(t, api.RetrainRequest{Reason: "an outcome came in", Force: true})
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	detail := r.Step(modelswap.Convert).Detail
	if got := fmt.Sprint(detail["new_labels"]); got != "1" {
		t.Errorf("new_labels is %s, want the one outcome, sent twice", got)
	}
	first := renewals[0].Step(modelswap.Convert).Detail
	if before, after := first["rows"].(float64), detail["rows"].(float64); after != before+1 {
		t.Errorf("the training data went from %v rows to %v, want one more", before, after)
	}
	row := "1," + string(schema.AppendCSV(nil, encoded(t, gatewaytest.Sample())))
	data := gatewaytest.ReadAll(t, cfg.DataDir+"/renewals/"+r.ID+"/train.csv") + gatewaytest.ReadAll(t, cfg.DataDir+"/renewals/"+r.ID+"/holdout.csv")
	if !strings.Contains(data, row+"\n") {
		t.Error("the newcomer's row, labelled 1, is not in the data of the new model")
	}
	after, err := g.client.Predict(ctx, api.PredictionRequest{Features: gatewaytest.Sample()})
	if err != nil || after.Model != *r.Model || after.Model == p.Model {
		t.Errorf("model %q answers (%v), want the new one, %s", after.Model, err, *r.Model)
	}
	checkInsights(t, g)
	checkContract(t, g, nil)
}

// encoded is what a model sees of some features.
func encoded(t *testing.T, features map[string]any) schema.Vector {
	t.Helper()
	schema := schema.Bank()
	record := schema.NewRecord()
	for name, value := range features {
		if v := schema.SetText(record, schema.Feature(name), fmt.Sprint(value)); v != nil {
			t.Fatal(v)
		}
	}
	return schema.Encode(record)
}

// TestModelsAreSwappedUnderLoad renews the model ten times while clients
// predict. Every answer must come, and its score must be that of the model it
// names, which is asked once more at the end.
func TestModelsAreSwappedUnderLoad(t *testing.T) {
	const clients, customers = 4, 16
	swaps := testsize.Of(4, 10)
	cfg := newConfig(t)
	cfg.Demo, cfg.KeepModels = false, swaps // to ask each of them in the end
	g := startPrepared(t, cfg, generated(600))

	type answer struct {
		customer int
		model    string
		score    float64
	}
	var (
		mu      sync.Mutex
		answers = map[answer]int{}
		failed  atomic.Int64
		load    sync.WaitGroup
	)
	features := make([]map[string]any, customers)
	for i := range features {
		features[i] = gatewaytest.Sample()
		features[i]["duration"], features[i]["age"] = 40*i, 20+i
	}
	ctx, stop := context.WithCancel(t.Context())
	for c := range clients {
		load.Go(func() {
			for i := c; ctx.Err() == nil; i++ {
				p, err := g.client.Predict(context.Background(), api.PredictionRequest{Features: features[i%customers]})
				if err != nil {
					failed.Add(1)
					t.Errorf("a prediction failed: %v", err)
					return
				}
				mu.Lock()
				answers[answer{i % customers, p.Model, p.Score}]++
				mu.Unlock()
			}
		})
	}
	algorithms := []string{"linear-learner", "xgboost"}
	for i := range swaps {
		r := g.renew(t, api.RetrainRequest{Force: true, Overrides: modelswap.Overrides{
			Training:        modelswap.Training{Algorithm: algorithms[i%2]},
			Hyperparameters: hyperparameters(algorithms[i%2], i)}})
		if r.Status != modelswap.Succeeded {
			t.Fatalf("renewal %d is %s: %s", i, r.Status, r.Error)
		}
	}
	stop()
	load.Wait()

	models := map[string]int{}
	total := 0
	for a, n := range answers {
		want, err := g.models[0].deployer.ScoreWith(t.Context(), a.model, []schema.Vector{encoded(t, features[a.customer])})
		if err != nil {
			t.Fatal(err)
		}
		if a.score != want[0] {
			t.Errorf("model %s was named for score %v, and gives %v", a.model, a.score, want[0])
		}
		models[a.model] += n
		total += n
	}
	t.Logf("%d predictions, %d failed, by %d models", total, failed.Load(), len(models))
	if len(models) < swaps/2 {
		t.Errorf("only %d models answered: the load did not see the swaps", len(models))
	}
}

// hyperparameters make each model differ from the one before.
func hyperparameters(algorithm string, i int) modelswap.Hyperparameters {
	if algorithm == "xgboost" {
		return modelswap.Hyperparameters{"num_round": fmt.Sprint(5 + i)}
	}
	return modelswap.Hyperparameters{"wd": fmt.Sprintf("0.%02d1", i)}
}
