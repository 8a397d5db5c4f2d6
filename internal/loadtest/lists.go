package main

import (
	"bytes"
	"context"
	"encoding/json"
)

// row is the n-th one.
func (o *oracle) row(n int) *row { return &o.rows[n%len(o.rows)] }

// list is a request of many rows, from the n-th on.
func (o *oracle) list(n, many int, headers string) []byte {
	rows := make([][]byte, many)
	for i := range rows {
		rows[i] = o.row(n + i).instance()
	}
	body := append([]byte(`{"instances":[`), bytes.Join(rows, []byte(","))...)
	return post("/predict/batch", headers, "application/json", append(body, "]}"...))
}

// rightList reports whether the answer to a list has the right score for each
// row, or says that this row failed, as it may where the endpoint fails.
func (o *oracle) rightList(ctx context.Context, n, many int, body []byte) bool {
	var answer struct {
		Predictions []json.RawMessage
		Failed      int
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Predictions) != many {
		return false
	}
	failed := 0
	for i, item := range answer.Predictions {
		if bytes.HasPrefix(item, []byte(`{"error":{"type":`)) {
			failed++
		} else if !o.right(ctx, n+i, item) {
			return false
		}
	}
	return failed == answer.Failed
}

// rawList is list for the runtime itself.
func (o *oracle) rawList(n, many int) []byte {
	rows := make([][]byte, many)
	for i := range rows {
		rows[i] = o.row(n + i).csv
	}
	return post("/endpoints/"+endpointName+"/invocations", "", "text/csv", bytes.Join(rows, []byte("\n")))
}

// rightRawList is rightList for the runtime's answer, under a model.
func (o *oracle) rightRawList(ctx context.Context, model string, n, many int, body []byte) bool {
	var answer struct{ Predictions []json.RawMessage }
	if json.Unmarshal(body, &answer) != nil || len(answer.Predictions) != many {
		return false
	}
	for i, item := range answer.Predictions {
		if !o.raw(ctx, model, n+i, item) {
			return false
		}
	}
	return true
}
