package app

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/config"
	"gateway/internal/demo"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
	"gateway/internal/schema"
)

// startWithModel starts a gateway with customers and a model of theirs, on each database.
func startWithModel(t *testing.T, database string, cfg config.Config) *gatewayUnderTest {
	t.Helper()
	cfg.Demo = false
	if database == "sqlite" {
		return startPrepared(t, cfg, generated(1500))
	}
	cfg.DBSecretID = secretOf(t, pgtest.Database(t), map[string]any{"sslmode": "disable"})
	g := start(t, cfg)
	g.learn(t, 1500, false)
	return g
}

// ask predicts n generated customers that change has changed.
func (g *gatewayUnderTest) ask(t *testing.T, n int, seed uint64, change func(features map[string]any)) (asked []map[string]any, answers []api.BatchItem) {
	t.Helper()
	customers, err := demo.Customers(schema.Bank(), n, seed)
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for _, c := range customers {
		var features map[string]any
		if err := json.Unmarshal(c.Features, &features); err != nil {
			t.Fatal(err)
		}
		change(features)
		asked = append(asked, features)
		if err := json.NewEncoder(&lines).Encode(map[string]any{"features": features}); err != nil {
			t.Fatal(err)
		}
	}
	for item, err := range g.client.PredictBatch(t.Context(), "application/x-ndjson", &lines) {
		if err != nil || item.PredictionID == "" {
			t.Fatalf("%+v %v", item, err)
		}
		answers = append(answers, item)
	}
	gatewaytest.Eventually(t, "the outbox is empty", func() bool { return g.components.outbox.Stats().Rows == 0 })
	return asked, answers
}

// renewed waits for a renewal of the trigger to end.
func (g *gatewayUnderTest) renewed(t *testing.T, trigger string) (r *modelswap.Renewal) {
	t.Helper()
	gatewaytest.Eventually(t, "a renewal by "+trigger+" has ended", func() bool {
		renewals, err := g.client.Renewals(t.Context(), 1, "")
		if err != nil {
			t.Fatal(err)
		}
		r = renewals[0]
		return r.Trigger == trigger && r.Status.Final()
	})
	return r
}

// metric returns the value of a metric without labels.
func (g *gatewayUnderTest) metric(t *testing.T, name string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.client.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("there is no metric %s", name)
	}
	return string(found[1])
}

// look computes quality and drift now, as the gateway does once a minute.
func (g *gatewayUnderTest) look(t *testing.T) {
	t.Helper()
	if err := g.models[0].watch.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Customers other than those of the training data raise the alarm of drift. It starts a
// renewal that says why. The new model has no alarm before it has rows of its own.
func TestDriftStartsARenewal(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			cfg := newConfig(t)
			cfg.Retrain.Drift, cfg.Gate = true, "off"
			g := startWithModel(t, database, cfg)
			g.ask(t, 600, 7, func(map[string]any) {})
			if g.look(t); g.metric(t, "gateway_drift_alarm") != "0" || g.models[0].watch.Alarm() != nil {
				t.Fatal("customers like those of the training data raise an alarm")
			}
			g.ask(t, 600, 8, func(features map[string]any) { features["age"] = 88 })
			if g.look(t); g.metric(t, "gateway_drift_alarm") != "1" {
				t.Error("the metric shows no alarm")
			}
			r := g.renewed(t, modelswap.TriggerDrift)
			if r.Status != modelswap.Succeeded || !strings.HasPrefix(r.Reason, "age has drifted: PSI ") || !strings.Contains(r.Reason, "over 1200 predictions") {
				t.Errorf("the renewal is %s, its reason %q", r.Status, r.Reason)
			}
			g.look(t)
			if g.metric(t, "gateway_drift_alarm") != "0" || g.models[0].watch.Alarm() != nil {
				t.Error("the new model has the alarm of the earlier one")
			}
			drift, err := g.client.Drift(t.Context(), client.InsightQuery{})
			if err != nil || drift.Model != *r.Model || drift.Window.Rows != 0 || drift.Features[0].Insufficient == "" {
				t.Errorf("the drift of the new model is %+v (%v)", drift, err)
			}
		})
	}
}

// The outcomes of some customers become the contrary of what they were. The estimate of
// the quality stays, the measured quality falls, the segment is named, and a renewal
// starts that says why.
func TestAChangeOfConceptStartsARenewal(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Setenv("GATEWAY_OUTCOME_MATURITY", "0")
			cfg := newConfig(t)
			cfg.Retrain.Quality, cfg.Gate = "auc:0.7", "off"
			g := startWithModel(t, database, cfg)
			rng := rand.New(rand.NewPCG(1, 1))
			report := func(seed uint64, isInverted func(features map[string]any) bool) {
				t.Helper()
				asked, answers := g.ask(t, 600, seed, func(map[string]any) {})
				var outcomes []api.Outcome
				for i, p := range answers {
					outcome := 0
					if (rng.Float64() < p.Score) != isInverted(asked[i]) {
						outcome = 1
					}
					outcomes = append(outcomes, api.Outcome{PredictionID: p.PredictionID, Outcome: outcome})
				}
				if _, err := g.client.Outcomes(t.Context(), outcomes); err != nil {
					t.Fatal(err)
				}
			}
			report(7, func(map[string]any) bool { return false })
			g.look(t)
			if a := g.models[0].watch.Alarm(); a != nil {
				t.Fatalf("outcomes as the model expects them raise the alarm %+v", a)
			}
			before, err := g.client.Quality(t.Context(), client.InsightQuery{Segments: true})
			if err != nil {
				t.Fatal(err)
			}
			report(8, func(features map[string]any) bool { return features["contact"] == "telephone" })
			after, err := g.client.Quality(t.Context(), client.InsightQuery{Segments: true})
			if err != nil {
				t.Fatal(err)
			}
			was, is := before.Models[0], after.Models[0]
			if d := *is.Estimated.AUC - *was.Estimated.AUC; d < -0.05 || d > 0.05 || is.AUC.High >= was.AUC.Low {
				t.Errorf("the estimate went from %.3f to %.3f, the AUC from %+v to %+v", *was.Estimated.AUC, *is.Estimated.AUC, was.AUC, is.AUC)
			}
			for _, v := range was.Segments.Values {
				if v.Differs {
					t.Errorf("before the change %s %s differs", v.Feature, v.Label)
				}
			}
			if v := is.Segments.Values[0]; !v.Differs || v.Feature != "contact" || v.Label != "telephone" || v.PositiveRate < v.MeanScore {
				t.Errorf("the segment that differs most is %+v", v)
			}
			g.look(t)
			r := g.renewed(t, modelswap.TriggerQuality)
			if r.Status != modelswap.Succeeded || !strings.HasPrefix(r.Reason, "auc is 0.") || !strings.Contains(r.Reason, "over 1200 mature outcomes, the limit is 0.7") {
				t.Errorf("the renewal is %s, its reason %q", r.Status, r.Reason)
			}
			g.look(t)
			if a := g.models[0].watch.Alarm(); a != nil {
				t.Errorf("the new model has the alarm %+v", a)
			}
		})
	}
}
