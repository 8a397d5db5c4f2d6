package sandbox

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// order is a fault in the HTTP interface.
type order struct {
	Fault     `json:",inline"`
	Operation string `json:"operation"`
	Delay     string `json:"delay,omitzero"` // such as 1.5s
}

// control answers /sandbox/…: the faults and the journal, over HTTP.
//
//	POST   /sandbox/faults  {"operation": "InvokeEndpoint", "kind": "throttle", "times": 3}
//	GET    /sandbox/faults  the faults that are still to happen
//	DELETE /sandbox/faults  cancel all faults, and release what a stick holds
//	GET    /sandbox/calls   the journal; ?operation=InvokeEndpoint
//	DELETE /sandbox/calls   empty the journal
//	GET    /sandbox/kinds   the kinds of faults, and what they do
//	POST   /sandbox/scale   {"endpoint": "e", "variant": "AllTraffic", "count": 3}: as autoscaling
//	POST   /sandbox/maintain {"endpoint": "e"}: the status SystemUpdating for a while
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(append(marshal(map[string]string{"error": message}), '\n'))
	}
	send := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(append(marshal(v), '\n'))
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /sandbox/faults":
		var o order
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<16), &o, json.RejectUnknownMembers(true)); err != nil {
			fail(http.StatusBadRequest, err.Error())
			return
		}
		if o.Delay != "" {
			d, err := time.ParseDuration(o.Delay)
			if err != nil || d < 0 {
				fail(http.StatusBadRequest, "delay: want a duration such as 1.5s")
				return
			}
			o.Fault.Delay = d
		}
		if _, err := s.faults.add(o.Operation, o.Fault); err != nil {
			fail(http.StatusBadRequest, err.Error())
			return
		}
		send(http.StatusCreated, o)
	case "GET /sandbox/faults":
		send(http.StatusOK, s.faults.list())
	case "DELETE /sandbox/faults":
		s.CancelFaults()
		w.WriteHeader(http.StatusNoContent)
	case "GET /sandbox/calls":
		send(http.StatusOK, append([]Call{}, s.Calls(r.URL.Query()["operation"]...)...))
	case "DELETE /sandbox/calls":
		s.ForgetCalls()
		w.WriteHeader(http.StatusNoContent)
	case "GET /sandbox/kinds":
		does := make(map[Kind]string)
		for _, k := range Kinds() {
			does[k] = k.Does()
		}
		send(http.StatusOK, does)
	case "POST /sandbox/scale", "POST /sandbox/maintain":
		var in struct {
			Endpoint string `json:"endpoint"`
			Variant  string `json:"variant"`
			Count    int64  `json:"count"`
		}
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<16), &in, json.RejectUnknownMembers(true)); err != nil {
			fail(http.StatusBadRequest, err.Error())
			return
		}
		err := s.change(r.URL.Path, in.Endpoint, in.Variant, in.Count)
		if err != nil {
			fail(http.StatusConflict, err.Error())
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path)
	}
}

func (s *Server) change(what, endpoint, variant string, count int64) error {
	if what == "/sandbox/maintain" {
		return s.SystemUpdate(endpoint)
	}
	return s.Autoscale(endpoint, variant, count)
}

// list returns the faults that are still to happen.
func (q *faults) list() []order {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := []order{}
	for _, o := range q.orders {
		if o.left == 0 {
			continue
		}
		one := order{Fault: o.Fault, Operation: o.operation}
		one.Times, one.Skip = o.left, o.skip
		if o.Delay > 0 {
			one.Delay = o.Fault.Delay.String()
		}
		out = append(out, one)
	}
	return out
}
