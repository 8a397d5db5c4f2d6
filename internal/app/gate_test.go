package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gateway/api"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/testsize"
)

// firstCustomer is the id of the first generated customer; the others follow.
const firstCustomer = 10_001

// trained is a gateway with n generated customers and a first model.
func trained(t *testing.T, n int) *gatewayUnderTest {
	t.Helper()
	cfg := newConfig(t)
	cfg.Demo = false
	return startPrepared(t, cfg, generated(n))
}

// TestShuffledLabelsAreRejected gives every customer the label of another one:
// what can be learned from that is worth nothing, and must not serve.
func TestShuffledLabelsAreRejected(t *testing.T) {
	g := trained(t, 3000)
	champion, err := g.models[0].engine.Serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var customers []predict.Customer
	var labels []*int
	err = g.components.store.EachCustomer(t.Context(), func(c predict.Customer) error {
		customers, labels = append(customers, c), append(labels, c.Label)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(testsize.Of(1, 2)) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
		for i := range customers {
			customers[i].Label = labels[i]
		}
		if _, _, err := g.components.store.PutCustomers(t.Context(), customers); err != nil {
			t.Fatal(err)
		}
		for _, algorithm := range []string{"linear-learner", "xgboost"} {
			r := g.renew(t, api.RetrainRequest{Overrides: modelswap.Overrides{Training: modelswap.Training{Algorithm: algorithm}}})
			t.Logf("shuffle %d, %s: %s (%s)", seed, algorithm, r.Status, r.Error)
			if r.Status != modelswap.Rejected || r.Metrics.Challenger == nil || r.Metrics.Champion == nil {
				t.Errorf("the renewal is %s (%s) with %+v, want rejected with the numbers", r.Status, r.Error, r.Metrics)
			}
			if serving, err := g.models[0].engine.Serving(t.Context()); err != nil || serving != champion {
				t.Errorf("%q serves (%v), want the champion", serving, err)
			}
		}
	}
}

// TestAModelThatPassesTheGateAndFailsVerifyIsRolledBackUnderLoad trains with
// balanced classes: the order of the scores, and so the AUC, stays as good, and
// every score is much higher. No prediction fails meanwhile.
func TestAModelThatPassesTheGateAndFailsVerifyIsRolledBackUnderLoad(t *testing.T) {
	g := trained(t, 3000)
	champion, err := g.models[0].engine.Serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var answered, failed atomic.Int64
	for c := range 4 {
		load.Go(func() {
			for i := c; ctx.Err() == nil; i++ {
				if _, err := g.client.Predict(context.Background(), api.PredictionRequest{CustomerID: fmt.Sprint(firstCustomer + i%1000)}); err != nil {
					failed.Add(1)
					t.Errorf("a prediction failed: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	defer func() { stop(); load.Wait() }()
	gatewaytest.Eventually(t, "the champion has been asked about many customers", func() bool { return answered.Load() > 2000 })

	r := g.renew(t, api.RetrainRequest{Overrides: modelswap.Overrides{
		Hyperparameters: modelswap.Hyperparameters{"positive_example_weight_mult": "balanced"}}})
	verify := r.Step(modelswap.Verify)
	if r.Step(modelswap.Evaluate).Status != modelswap.StepSucceeded || r.Status != modelswap.Failed || verify.Status != modelswap.StepFailed ||
		!strings.Contains(r.Error, "recent traffic have shifted") || verify.Detail["rolled_back_to"] != champion {
		t.Errorf("the renewal is %s (%s), verify %s with %v; want it to pass the gate, fail verify and go back", r.Status, r.Error, verify.Status, verify.Detail)
	}
	if serving, err := g.models[0].engine.Serving(t.Context()); err != nil || serving != champion {
		t.Errorf("%q serves (%v), want the champion", serving, err)
	}
	// A model that is only different may serve: another algorithm, say.
	if r := g.renew(t, api.RetrainRequest{Overrides: modelswap.Overrides{Training: modelswap.Training{Algorithm: "xgboost"}, Gate: "auc:-0.05"}}); r.Status != modelswap.Succeeded {
		t.Errorf("the next renewal is %s: %s", r.Status, r.Error)
	} else {
		t.Logf("another algorithm shifts the scores by %.3f over %v customers", r.Step(modelswap.Verify).Detail["traffic_shift"], r.Step(modelswap.Verify).Detail["traffic_rows"])
	}
	t.Logf("%s; %d predictions, %d failed", r.Error, answered.Load(), failed.Load())
}
