package aws

import (
	"testing"

	"gateway/internal/modelswap"
)

// TestAModelWhoseDatabaseWasLostIsAChampion renews with an empty database while
// the endpoint serves a model: it is listed from the start, compared with, and can
// be rolled back to.
func TestAModelWhoseDatabaseWasLostIsAChampion(t *testing.T) {
	t.Parallel()
	r := startRenewing(t)
	first := r.renew(t, modelswap.TriggerRequest{})
	if first.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", first.Status, first.Error)
	}
	lost := r.stand.renewing()
	models, err := lost.engine.Models(t.Context())
	if err != nil || len(models) != 1 || models[0].Name != *first.Model || !models[0].Serving ||
		models[0].Schema != r.schema.Fingerprint() || models[0].Algorithm == "" || models[0].DeployedAt == nil {
		t.Errorf("the models are %+v (%v), want the one that serves", models, err)
	}
	second := lost.renew(t, modelswap.TriggerRequest{Overrides: modelswap.Overrides{
		Hyperparameters: modelswap.Hyperparameters{"wd": "0.01"}}})
	if second.Status != modelswap.Succeeded || second.Metrics.Champion == nil || second.State.Champion != *first.Model {
		t.Fatalf("the renewal is %s (%s), compared with %q: %+v; want success, compared with the model that served",
			second.Status, second.Error, second.State.Champion, second.Metrics)
	}
	if m, err := lost.engine.Rollback(t.Context(), ""); err != nil || m.Name != *first.Model {
		t.Errorf("rolled back to %+v (%v), want %s", m, err, *first.Model)
	}
}
