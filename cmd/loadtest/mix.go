package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"gateway/internal/demo"
	"gateway/internal/schema"
)

// mix is a load of all routes for apps, with right and wrong requests. Plain requests are a load
// with connections of their own, because the gateway reads them in another way. The n-th
// request of a load has kind n modulo the number of kinds.
type mix struct {
	plain  []kind
	others []kind
	names  []string     // of the kinds
	oracle *oracle      // for rows that are sent
	stored *oracle      // for stored customers
	key    atomic.Value // string
}

// kind is a kind of request with its expected answer.
type kind struct {
	name    string
	status  int
	request func(n int, headers string) []byte
	right   func(n int, m *message) bool // checks an answer of that status; nil: none is wrong
	refused func(m *message) bool        // checks an answer of another status; nil: honest
}

// batchRows is the number of rows of a batch in the mix.
const batchRows = 5

func newMix(ctx context.Context, o *oracle) (*mix, error) {
	stored, err := storedRows()
	if err != nil {
		return nil, err
	}
	x := &mix{oracle: o, stored: &oracle{rows: stored, read: o.read}}
	predictions := kind{"a prediction", http.StatusOK,
		func(n int, headers string) []byte {
			return post("/predict", headers, "application/json", o.row(n).instance())
		},
		func(n int, m *message) bool { return o.right(ctx, n, m.body) }, nil}
	once := kind{"with a key of its own", http.StatusOK,
		func(n int, headers string) []byte {
			return post("/predict", headers+fmt.Sprintf("Idempotency-Key: load-%d\r\n", n), "application/json", o.row(n).instance())
		}, predictions.right, nil}
	customers := kind{"a stored customer", http.StatusOK,
		func(n int, headers string) []byte {
			return post("/predict", headers, "application/json", []byte(`{"customer_id":"`+stored[n%len(stored)].id+`"}`))
		},
		func(n int, m *message) bool { return x.stored.right(ctx, n, m.body) }, nil}
	batches := kind{"a batch", http.StatusOK,
		func(n int, headers string) []byte { return o.list(n, batchRows, headers) },
		func(n int, m *message) bool { return o.rightList(ctx, n, batchRows, m.body) }, nil}
	invocations := kind{"an invocation", http.StatusOK,
		func(n int, headers string) []byte {
			return post("/endpoints/"+endpointName+"/invocations", headers, "text/csv", o.row(n).csv)
		},
		func(n int, m *message) bool { return o.raw(ctx, string(m.model), n, m.body) },
		func(m *message) bool { return strings.Contains(string(m.body), `"message":`) }} // as in errors of AWS
	outcomes := kind{"an outcome", http.StatusAccepted,
		func(n int, headers string) []byte {
			c := stored[n%len(stored)].id
			return post("/outcomes", headers, "application/json", []byte(`{"customer_id":"`+c+`","outcome":`+strconv.Itoa(n/len(stored)%2)+`}`))
		}, nil, nil}
	faulty := kind{"a bad request", http.StatusUnprocessableEntity,
		func(_ int, headers string) []byte {
			return post("/predict", headers, "application/json", []byte(`{"features":{"age":-1,"colour":"red"}}`))
		},
		func(_ int, m *message) bool { return strings.Contains(string(m.body), `"/features/colour"`) }, nil}
	stranger := kind{"without a key", http.StatusUnauthorized,
		func(n int, _ string) []byte { return post("/predict", "", "application/json", o.row(n).instance()) }, nil, nil}
	for _, part := range []struct {
		kind
		share int
	}{{predictions, 10}, {once, 1}, {customers, 3}, {batches, 2}, {invocations, 1}, {outcomes, 1}, {faulty, 1}, {stranger, 1}} {
		x.names = append(x.names, part.name)
		for range part.share {
			if part.name == batches.name {
				x.others = append(x.others, part.kind)
			} else {
				x.plain = append(x.plain, part.kind)
			}
		}
	}
	return x, nil
}

// storedRows returns the customers that the gateway generates for its demo.
func storedRows() ([]row, error) {
	const seed = 1 // of the gateway
	customers, err := demo.Customers(schema.Bank(), maxDistinct, seed)
	if err != nil {
		return nil, err
	}
	return encode(schema.Bank(), customers, "")
}

// start starts both loads with a total number of requests per second.
func (x *mix) start(ctx context.Context, addr string, perSecond float64) (loads []*run, err error) {
	const most = 512 // maximum of connections of each load
	for _, kinds := range [][]kind{x.plain, x.others} {
		share := perSecond * float64(len(kinds)) / float64(len(x.plain)+len(x.others))
		load, err := start(ctx, x.target(addr, kinds), most, share)
		if err != nil {
			for _, l := range loads {
				l.close()
			}
			return nil, err
		}
		loads = append(loads, load)
	}
	return loads, nil
}

// target returns a load of some kinds. Requests have the key that is current when they are
// sent.
func (x *mix) target(addr string, kinds []kind) target {
	of := func(n int) *kind { return &kinds[n%len(kinds)] }
	return target{addr: addr,
		request: func(n int) []byte { return of(n).request(n, "X-Api-Key: "+x.key.Load().(string)+"\r\n") },
		right: func(n int, m *message) bool {
			k := of(n)
			switch {
			case m.status() == k.status:
				return k.right == nil || k.right(n, m)
			case k.refused != nil:
				return k.refused(m)
			}
			return honest(m)
		},
		kind: func(n int) uint8 { return uint8(slices.Index(x.names, of(n).name)) },
	}
}

// status returns the status of a record's request if there is no fault.
func (x *mix) status(r *record) int {
	for _, k := range slices.Concat(x.plain, x.others) {
		if k.name == x.names[r.kind] {
			return k.status
		}
	}
	return 0
}
