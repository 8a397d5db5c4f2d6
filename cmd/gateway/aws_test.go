package main

import (
	"fmt"
	"testing"

	"gateway/api"
	"gateway/internal/demo"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

// awsConfig is a gateway on the stand-in.
func awsConfig(t *testing.T, s *sandbox.Server, settings ...string) Config {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": sandbox.Region, "AWS_ACCESS_KEY_ID": "AKIASTANDIN", "AWS_SECRET_ACCESS_KEY": "stand-in",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "",
		"GATEWAY_PLATFORM": "sagemaker", "GATEWAY_S3_BUCKET": "bank", "GATEWAY_S3_PREFIX": "gateway", "GATEWAY_EXECUTION_ROLE_ARN": sandbox.Role,
		"GATEWAY_RENEWAL_POLL": "20ms",
	} {
		t.Setenv(name, value)
	}
	for i := 0; i < len(settings); i += 2 {
		t.Setenv(settings[i], settings[i+1])
	}
	return config(t)
}

// standIn is a stand-in whose hours are seconds.
func standIn(t *testing.T) *sandbox.Server {
	t.Helper()
	return sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(500)})
}

func TestTheLoopOnSageMaker(t *testing.T) {
	s := standIn(t)
	g := start(t, awsConfig(t, s))
	few, err := demo.Customers(schema.Bank(), 3000, 1)
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
	p, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer", Features: sample()})
	if err != nil || p.Model != *first.Model || p.Schema != schema.Bank().Fingerprint() {
		t.Fatalf("got %+v (%v), want a score of the first model", p, err)
	}
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
	after, err := g.client.Predict(ctx, api.PredictionRequest{Features: sample()})
	if err != nil || after.Model != *second.Model {
		t.Errorf("model %q answers (%v), want %s", after.Model, err, *second.Model)
	}
}
