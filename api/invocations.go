package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-chi/chi/v5"
)

// invocationsBody is SageMaker's limit on a request, in bytes.
const invocationsBody = 6 << 20

// noEndpoint refuses a name that is not the endpoint's. The caller may have sent
// anything as the name, so it is in the message for AWS SDKs only.
func noEndpoint(name string) error {
	return &edge.AWSRefusal{Refusal: edge.Refuse(edge.NotFound, "there is no such endpoint"),
		Message: fmt.Sprintf("Endpoint %s of account 000000000000 not found.", name)} // as SageMaker says it
}

// invocations implements InvokeEndpoint of SageMaker's runtime. The body is CSV without a
// header: rows of numbers in the columns of the schema, without the label. The response
// has a score for each row. The rows name neither customer nor features, so they are not
// recorded in the ledger.
func (a *api) invocations(w http.ResponseWriter, r *http.Request) error {
	if name := chi.URLParam(r, "name"); name != a.o.EndpointName {
		return noEndpoint(name)
	}
	if err := targets(r); err != nil {
		return err
	}
	form := acceptable(r, edge.JSON, jsonLinesType, csvType)
	if form == "" {
		return edge.Refuse(edge.NotAcceptable, "Accept type %s is not supported", edge.Printable(r.Header.Get("Accept"), maxShown))
	}
	if err := edge.PlainEncoding(r); err != nil {
		return err
	}
	if _, err := edge.MediaType(r, csvType); err != nil {
		return err
	}
	doc := a.documents.get()
	defer a.documents.release(doc)
	if err := a.edge.ReadBody(w, r, &doc.text, invocationsBody); err != nil {
		return err
	}
	rows, err := a.servingRows(r, &doc.text)
	if err != nil {
		return err
	}
	ctx, cancel, err := edge.WithTimeout(r, a.o.PredictTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	scores, err := a.d.Predict.Score(ctx, rows, false)
	if err != nil {
		return err
	}
	q := edge.Of(r.Context())
	q.Rows, q.Model = len(rows), scores.Model
	h := w.Header()
	h.Set("X-Amzn-Invoked-Production-Variant", modelswap.Variant)
	h.Set("X-Amzn-RequestId", q.ID)
	h.Set("X-Amzn-SageMaker-Custom-Attributes", "model="+scores.Model)
	switch form {
	case csvType:
		edge.Write(w, http.StatusOK, "text/csv; charset=utf-8", appendScoresCSV(nil, scores))
	case jsonLinesType:
		edge.Write(w, http.StatusOK, jsonLinesType, appendScoreLines(nil, scores))
	default:
		edge.Write(w, http.StatusOK, form, appendScores(nil, scores))
	}
	return nil
}

const (
	jsonLinesType = "application/jsonlines"
	// maxShown bounds how much of a header is repeated in an error, in bytes.
	maxShown = 100
)

// targets checks the headers that choose one of several models of an endpoint. This
// endpoint has one model.
func targets(r *http.Request) error {
	for _, target := range []struct{ header, name, has string }{
		{"X-Amzn-SageMaker-Target-Variant", "variant", modelswap.Variant},
		{"X-Amzn-SageMaker-Target-Model", "target model", ""},
		{"X-Amzn-SageMaker-Inference-Component", "inference component", ""},
	} {
		if given := r.Header.Get(target.header); given != "" && given != target.has {
			return &edge.AWSRefusal{Refusal: edge.Refuse(edge.Invalid, "the endpoint has no such target"),
				Message: fmt.Sprintf("The endpoint has no %s %q.", target.name, edge.Printable(given, maxShown))}
		}
	}
	return nil
}

// servingRows reads the rows of the body. Blank lines are allowed at the end only.
func (a *api) servingRows(r *http.Request, body *bytes.Buffer) ([]schema.Vector, error) {
	text := bytes.TrimRight(body.Bytes(), "\r\n")
	if len(text) == 0 {
		return nil, failure.Errorf(failure.Invalid, "unable to evaluate payload provided: it is empty")
	}
	minBytes := 2*a.d.Predict.Schema().Width() - 1 // of a row: one digit a column, and the commas
	maxRows := min(bytes.Count(text, []byte("\n")), len(text)/minBytes) + 1
	if err := a.holdRows(r, body, maxRows, scoreCost(a.d.Predict.Schema())); err != nil {
		return nil, err
	}
	rows := make([]schema.Vector, 0, maxRows)
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		row, err := a.d.Predict.Schema().ParseCSV(bytes.TrimSuffix(line, []byte("\r")))
		if err != nil {
			return nil, failure.Errorf(failure.Invalid, "unable to evaluate payload provided: line %d: %v", len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// appendScores appends {"predictions": [...]}, as both algorithms of SageMaker write it.
func appendScores(dst []byte, scores predict.Scores) []byte {
	dst = append(dst, `{"predictions":[`...)
	for i := range scores.Score {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendScore(dst, scores, i)
	}
	return append(dst, `]}`...)
}

// appendScoreLines appends one prediction a line.
func appendScoreLines(dst []byte, scores predict.Scores) []byte {
	for i := range scores.Score {
		dst = append(appendScore(dst, scores, i), '\n')
	}
	return dst
}

// appendScoresCSV appends one score a line, as XGBoost writes them.
func appendScoresCSV(dst []byte, scores predict.Scores) []byte {
	for _, score := range scores.Score {
		dst = append(strconv.AppendFloat(dst, score, 'g', -1, 64), '\n')
	}
	return dst
}

// appendScore appends a prediction. Labels have a fraction (1.0), as linear learner writes
// them.
func appendScore(dst []byte, scores predict.Scores, i int) []byte {
	dst = strconv.AppendFloat(append(dst, `{"score":`...), scores.Score[i], 'g', -1, 64)
	dst = strconv.AppendInt(append(dst, `,"predicted_label":`...), int64(scores.Label[i]), 10)
	return append(dst, ".0}"...)
}
