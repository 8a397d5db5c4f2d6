package api_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// The context of a prediction has the deadline, and ends with the prediction. The
// request's own context goes on: the end must not look like a caller who has left.
func TestTheDeadlineOfAPredictionEndsWithIt(t *testing.T) {
	contexts, children := make(chan context.Context, 1), make(chan context.Context, 1)
	b := setup(t, withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }), withScorer(scorerFunc(
		func(ctx context.Context, _ []schema.Vector) (predict.Scores, error) {
			if until, ok := ctx.Deadline(); !ok || time.Until(until) > time.Minute || time.Until(until) < 50*time.Second {
				t.Errorf("the deadline is %v, %v", until, ok)
			}
			child, cancel := context.WithTimeout(ctx, time.Hour) // needs ctx.Done
			t.Cleanup(cancel)
			if until, _ := child.Deadline(); time.Until(until) > time.Minute || child.Err() != nil {
				t.Errorf("a context made from it ends at %v, with %v", until, child.Err())
			}
			contexts <- ctx
			children <- child
			return predict.Scores{}, failure.Errorf(failure.BadModel, "nonsense")
		})))
	b.post("/predict", `{"features":`+technician+`}`).problem(502)
	b.logs.await(t, `"status":502`)
	child := <-children
	<-child.Done()
	if err := (<-contexts).Err(); !errors.Is(err, context.Canceled) || !errors.Is(child.Err(), context.Canceled) {
		t.Errorf("afterwards the context ended with %v, and one made from it with %v", err, child.Err())
	}
}

func TestAPredictionEndsWhenItsCallerLeaves(t *testing.T) {
	begun, ended := make(chan bool), make(chan error, 1)
	b := setup(t, withScorer(scorerFunc(func(ctx context.Context, _ []schema.Vector) (predict.Scores, error) {
		if caller, at := callctx.Split(ctx); caller == ctx || at.IsZero() {
			t.Errorf("the context is a %T, and makes a timer", ctx)
		}
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return predict.Scores{}, ctx.Err()
	})))
	conn, body := dialBundle(t, b), `{"features":`+technician+`}`
	fmt.Fprintf(conn, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	<-begun
	_ = conn.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	b.logs.await(t, `"status":499`)
}
