package app

import (
	"fmt"
	"math"
	"testing"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/demo"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

// awsConfig is a gateway on the stand-in.
func awsConfig(t *testing.T, s *sandbox.Server, settings ...string) config.Config {
	t.Helper()
	gatewaytest.UseSandbox(t, s, settings...)
	return newConfig(t)
}

func TestTheLoopOnSageMaker(t *testing.T) {
	s := gatewaytest.StartSandbox(t)
	g := start(t, awsConfig(t, s))
	few, err := demo.Customers(schema.Bank(), 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.models[0].customers.PutCustomers(t.Context(), few); err != nil {
		t.Fatal(err)
	}
	first := g.renew(t, api.RetrainRequest{})
	if first.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s\n%s", first.Status, first.Error, g.logs)
	}
	g.ready(t)
	ctx := t.Context()
	p, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer", Features: gatewaytest.Sample()})
	if err != nil || p.Model != *first.Model || p.Schema != schema.Bank().Fingerprint() {
		t.Fatalf("got %+v (%v), want a score of the first model", p, err)
	}
	explainsAll(t, g)
	if _, err := g.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: 1}); err != nil {
		t.Fatal(err)
	}
	second := g.renew(t, api.RetrainRequest{Force: true})
	if second.Status != modelswap.Succeeded {
		t.Fatalf("the second renewal is %s: %s\n%s", second.Status, second.Error, g.logs)
	}
	if got := fmt.Sprint(second.Step(modelswap.Convert).Detail["new_labels"]); got != "1" {
		t.Errorf("new_labels is %s, want the one outcome", got)
	}
	after, err := g.client.Predict(ctx, api.PredictionRequest{Features: gatewaytest.Sample()})
	if err != nil || after.Model != *second.Model {
		t.Errorf("model %q answers (%v), want %s", after.Model, err, *second.Model)
	}
	explainsAll(t, g)
}

// explainsAll checks that a prediction is explained as soon as the model's artifact has
// been read: base and contributions make the log-odds of the score.
func explainsAll(t *testing.T, g *gatewayUnderTest) {
	t.Helper()
	var p api.Prediction
	gatewaytest.Eventually(t, "the model is explained", func() (is bool) {
		var err error
		p, err = g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample(), Explain: schema.ExplainAll})
		if err != nil {
			t.Fatal(err)
		}
		if p.Reasons == nil && p.Unexplained != "the artifact of the model is being read" {
			t.Fatalf("no reasons: %s", p.Unexplained)
		}
		return p.Reasons != nil
	})
	sum := *p.Base
	for _, r := range p.Reasons {
		sum += r.Contribution
	}
	if want := math.Log(p.Score / (1 - p.Score)); math.Abs(sum-want) > 1e-9 || len(p.Reasons) != len(schema.Bank().Features) {
		t.Errorf("base and %d contributions make %v, want %v", len(p.Reasons), sum, want)
	}
}
