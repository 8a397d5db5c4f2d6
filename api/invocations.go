package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
)

// invocationsBody is SageMaker's limit on a request, in bytes.
const invocationsBody = 6 << 20

// variant is the production variant's name. It is constant, because
// autoscaling hangs on it; the model is told in the custom attributes.
const variant = "Users"

// noEndpoint is the answer to a name that is not ours. The name is for the
// caller alone: anything may be in it, so it stays out of the log.
type noEndpoint struct{ name string }

func (e *noEndpoint) Error() string { return "there is no such endpoint" }
func (e *noEndpoint) Unwrap() error { return refuse(notFound, "there is no such endpoint") }

// message is the real service's.
func (e *noEndpoint) message() string {
	return fmt.Sprintf("Endpoint %s of account 000000000000 not found.", e.name)
}

// invocations speaks SageMaker's runtime: rows of numbers in the columns that
// the model is served, without header or label, and a score for each. Such
// rows name no customer and no features, so they are not in the ledger.
func (a *api) invocations(w http.ResponseWriter, r *http.Request) error {
	if name := chi.URLParam(r, "name"); name != a.o.EndpointName {
		return &noEndpoint{name}
	}
	if err := plainEncoding(r); err != nil {
		return err
	}
	if err := mediaType(r, csvType); err != nil {
		return err
	}
	doc := a.documents.get()
	defer a.documents.release(doc)
	if err := a.readBody(w, r, &doc.text, invocationsBody); err != nil {
		return err
	}
	rows, err := a.servingRows(doc.text.Bytes())
	if err != nil {
		return err
	}
	ctx, cancel, err := a.inTime(r)
	if err != nil {
		return err
	}
	defer cancel()
	scores, err := a.d.Predict.Score(ctx, rows, false)
	if err != nil {
		return err
	}
	e := eventOf(r.Context())
	e.rows, e.model = len(rows), scores.Model
	h := w.Header()
	h.Set("X-Amzn-Invoked-Production-Variant", variant)
	h.Set("X-Amzn-RequestId", e.id)
	h.Set("X-Amzn-SageMaker-Custom-Attributes", "model="+scores.Model)
	write(w, http.StatusOK, "application/json", appendScores(nil, scores))
	return nil
}

// servingRows reads the body. A blank line is passed over only at the end,
// where files have one.
func (a *api) servingRows(text []byte) ([]predict.Vector, error) {
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return nil, predict.Errorf(predict.Invalid, "unable to evaluate payload provided: it is empty")
	}
	shortest := 2*a.d.Predict.Schema().Width() - 1 // one digit a column, and the commas
	rows := make([]predict.Vector, 0, min(bytes.Count(text, []byte("\n")), len(text)/shortest)+1)
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		row, err := a.d.Predict.Schema().ParseCSV(bytes.TrimSuffix(line, []byte("\r")))
		if err != nil {
			return nil, predict.Errorf(predict.Invalid, "unable to evaluate payload provided: line %d: %v", len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// appendScores writes labels as linear learner does, with a fraction: 1.0.
func appendScores(dst []byte, scores predict.Scores) []byte {
	dst = append(dst, `{"predictions":[`...)
	for i, score := range scores.Score {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(append(dst, `{"score":`...), score, 'g', -1, 64)
		dst = strconv.AppendInt(append(dst, `,"predicted_label":`...), int64(scores.Label[i]), 10)
		dst = append(dst, ".0}"...)
	}
	return append(dst, `]}`...)
}
