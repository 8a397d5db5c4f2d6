package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

// lists returns requests to the gateway of several predictions each.
func (s *stage) lists(ctx context.Context, many int) target {
	return target{addr: s.gateway.addr,
		request: func(n int) []byte { return s.oracle.list(n, many, "") },
		right:   orHonest(func(n int, body []byte) bool { return s.oracle.rightList(ctx, n, many, body) })}
}

// rawLists returns requests to the runtime itself, which serves the model.
func (s *stage) rawLists(ctx context.Context, model string, many int) target {
	return target{addr: s.endpoint.Runtime,
		request: func(n int) []byte { return s.oracle.rawList(n, many) },
		right: func(n int, m *message) bool {
			return m.status() == http.StatusOK && s.oracle.rightRawList(ctx, model, n, many, m.body)
		}}
}

// row returns the n-th row.
func (o *oracle) row(n int) *row { return &o.rows[n%len(o.rows)] }

// list returns a request with many rows from the n-th on.
func (o *oracle) list(n, many int, headers string) []byte {
	rows := make([][]byte, many)
	for i := range rows {
		rows[i] = o.row(n + i).instance()
	}
	body := append([]byte(`{"instances":[`), bytes.Join(rows, []byte(","))...)
	return post("/predict/batch", headers, "application/json", append(body, "]}"...))
}

// rightList reports whether the answer to a list has for each row the right score or, as with a
// failing endpoint, an error.
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

// rawList is like list, for the runtime itself.
func (o *oracle) rawList(n, many int) []byte {
	rows := make([][]byte, many)
	for i := range rows {
		rows[i] = o.row(n + i).csv
	}
	return post("/endpoints/"+endpointName+"/invocations", "", "text/csv", bytes.Join(rows, []byte("\n")))
}

// rightRawList is like rightList, for an answer of the runtime with a model.
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
