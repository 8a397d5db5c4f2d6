package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/sandbox"
	"gateway/internal/scoring"
)

// onSageMakerWithAModel is a gateway whose model an endpoint of the stand-in serves.
func onSageMakerWithAModel(t *testing.T, s *sandbox.Server, change func(*config.Config)) *gatewayUnderTest {
	t.Helper()
	cfg := awsConfig(t, s)
	if change != nil {
		change(&cfg)
	}
	g := start(t, cfg)
	g.model(t)
	return g
}

// breakerState asks GET /admin/status.
func (g *gatewayUnderTest) breakerState(t *testing.T) string {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/admin/status", nil)
	req.Header.Set("Authorization", "Bearer "+g.client.Token)
	res, err := g.client.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var page struct{ Breaker *scoring.BreakerStatus }
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || page.Breaker == nil {
		t.Fatalf("no breaker in the status: %v", err)
	}
	return page.Breaker.State
}

// TestAnEndpointThatFailsIsLeftAlone, said so, and found to be well again.
func TestAnEndpointThatFailsIsLeftAlone(t *testing.T) {
	s := gatewaytest.StartSandbox(t)
	g := onSageMakerWithAModel(t, s, nil)
	if state := g.breakerState(t); state != "closed" {
		t.Fatalf("the breaker is %s", state)
	}
	ask := func() *edge.Problem {
		_, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()})
		var p *edge.Problem
		if err != nil && !errors.As(err, &p) {
			t.Errorf("got %v", err)
		}
		return p
	}
	order := s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Unavailable, Times: -1})
	defer order.Cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				p := ask()
				if p == nil || p.Status != http.StatusBadGateway && p.Status != http.StatusServiceUnavailable {
					t.Errorf("got %v of an endpoint that fails", p)
					return
				}
				if strings.Contains(p.Detail, "calls are suspended") {
					return
				}
			}
		})
	}
	all.Wait()
	if state := g.breakerState(t); state == "closed" {
		t.Errorf("the breaker is %s", state)
	}
	gatewaytest.Eventually(t, "/readyz is 200 and says so", func() bool {
		ready, err := g.client.Ready(t.Context())
		return err == nil && ready.Status == "degraded" && ready.Dependencies["endpoint"].State == "degraded"
	})
	// The endpoint is not called for a while.
	if p := ask(); p == nil || p.Status != http.StatusServiceUnavailable && p.Status != http.StatusBadGateway {
		t.Errorf("got %v", p)
	}
	order.Cancel()
	gatewaytest.Eventually(t, "predictions are answered again", func() bool { return ask() == nil })
	if state := g.breakerState(t); state != "closed" {
		t.Errorf("the breaker is %s", state)
	}
	gatewaytest.Eventually(t, "/readyz is ok", func() bool {
		ready, err := g.client.Ready(t.Context())
		return err == nil && ready.Status == "ok"
	})
	if !strings.Contains(g.logs.String(), "the circuit breaker before the endpoint is open") {
		t.Error("the log does not say so")
	}
}

// TestASlowCallOfTheEndpointIsHedged, where the setting says so.
func TestASlowCallOfTheEndpointIsHedged(t *testing.T) {
	s := gatewaytest.StartSandbox(t)
	g := onSageMakerWithAModel(t, s, func(cfg *config.Config) { cfg.Hedge = "100ms" })
	for range 20 {
		g.predicts(t)
	}
	s.ForgetCalls()
	s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Hang, Times: 1})
	g.predicts(t) // else it would be a 504
	gatewaytest.Eventually(t, "two calls were made", func() bool { return s.Count("InvokeEndpoint") == 2 })
}
