package predict_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/callctx"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/schema"
)

// listener is a scorer that hears how its calls are named.
type listener struct {
	predicttest.Scorer
	ids []string
}

func (l *listener) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	l.ids = append(l.ids, callctx.CallID(ctx))
	return l.Scorer.Score(ctx, rows, explain)
}

func TestACallForOnePredictionBearsItsName(t *testing.T) {
	schema := schema.Bank()
	scorer, store := &listener{Scorer: predicttest.Scorer{Model: "m"}}, predicttest.NewStore()
	service := predict.NewService(schema, scorer, store, store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	request := func(id string) predict.Request {
		return predict.Request{ID: id, Features: record(t, schema, sample)}
	}
	one, err := service.Predict(t.Context(), request(""))
	if err != nil {
		t.Fatal(err)
	}
	given, err := service.Predict(t.Context(), request("given"))
	if err != nil {
		t.Fatal(err)
	}
	many := service.PredictBatch(t.Context(), []predict.Request{request(""), request("")})
	if scorer.ids[0] != one.ID || scorer.ids[1] != "given" || given.ID != "given" {
		t.Errorf("calls are named %v, the predictions %s and %s", scorer.ids, one.ID, given.ID)
	}
	if id := scorer.ids[2]; id == "" || id == many[0].Prediction.ID || id == many[1].Prediction.ID {
		t.Errorf("a call for many is named %q, like one of %s and %s", id, many[0].Prediction.ID, many[1].Prediction.ID)
	}
}
