package api_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/internal/audit"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// actLog is an audit log in memory.
type actLog struct {
	mu    sync.Mutex
	acts  []audit.Entry // newest first
	err   error
	clock error // of CheckClock
}

func (s *actLog) BeginAct(_ context.Context, a audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		a.Count = 1
		s.acts = append([]audit.Entry{a}, s.acts...)
	}
	return s.err
}

func (s *actLog) EndAct(_ context.Context, id string, status int, target string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.acts {
		if a := &s.acts[i]; a.ID == id {
			a.Status = status
			a.Target = cmp.Or(target, a.Target)
		}
	}
	return s.err
}

func (s *actLog) CountAct(_ context.Context, a audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if i := slices.IndexFunc(s.acts, func(known audit.Entry) bool { return known.ID == a.ID }); i >= 0 {
		s.acts[i].Count, s.acts[i].Detail = a.Count, a.Detail
		return nil
	}
	s.acts = append([]audit.Entry{a}, s.acts...)
	return nil
}

func (s *actLog) CheckClock(context.Context, time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *actLog) RemoveSignIns(_ context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = slices.DeleteFunc(s.acts, func(a audit.Entry) bool { return a.Token == "" && a.At.Before(before) })
	return s.err
}

func (s *actLog) Acts(_ context.Context, limit int, before string) ([]audit.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := 1 + slices.IndexFunc(s.acts, func(a audit.Entry) bool { return a.ID == before })
	if before != "" && from == 0 {
		return nil, failure.Errorf(failure.NotFound, "there is no act with this id")
	}
	return slices.Clone(s.acts[from:min(from+limit, len(s.acts))]), s.err
}

// fail makes all calls fail with err, until it is nil.
func (s *actLog) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *actLog) doubtClock(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = err
}

func (s *actLog) newest(t *testing.T) audit.Entry {
	t.Helper()
	acts, err := s.Acts(t.Context(), 1, "")
	if err != nil || len(acts) == 0 {
		t.Fatalf("got %v (%v), want an act", acts, err)
	}
	return acts[0]
}

func TestWhatOperatorsDoIsRecorded(t *testing.T) {
	b := setup(t)
	hash := b.deps.Predict.Schema().Fingerprint()
	b.swap.models = []modelswap.Model{{Name: "m0", Schema: hash}, {Name: "m1", Schema: hash}}
	failed := b.failed()
	if got := b.acts.newest(t); got.Action != "POST /admin/retrain" || got.Target != failed || got.Status != 202 ||
		got.Token != "ops" || got.Address != "127.0.0.1" || got.RequestID == "" || got.At.IsZero() {
		t.Errorf("got %+v, want who started which renewal, from where", got)
	}
	for _, test := range []struct {
		path, body, target, detail string
		status                     int
	}{
		{"/admin/renewals/" + failed + "/resume", `{"from":"export"}`, failed, `{"from":"export"}`, 202},
		{"/admin/renewals/" + failed + "/cancel", ``, failed, ``, 202},
		{"/admin/renewals/none/cancel", ``, "none", ``, 404},
		{"/admin/rollback", `{"model":"m0"}`, "m0", `{"model":"m0"}`, 200},
		{"/admin/rollback", `{"model":`, "", `{"model":`, 400},
		{"/admin/retrain", "{\"reason\":\"\x00\xff\"}", "", "{\"reason\":\"\ufffd\ufffd\"}", 400},
		{"/admin/retrain", `{"reason":"` + strings.Repeat("r", 5000) + `"}`, "", `{"reason":"` + strings.Repeat("r", 4096-len(`{"reason":"`)) + "…", 422},
	} {
		b.asOperator("POST", test.path, test.body, asJSON, "X-Forwarded-For: 203.0.113.7", "X-Request-Id: mine").want(test.status)
		got := b.acts.newest(t)
		if got.Target != test.target || got.Detail != test.detail || got.Status != test.status || got.Forwarded != "203.0.113.7" || got.RequestID != "mine" {
			t.Errorf("%s: got %+v, want target %q, detail %q and status %d", test.path, got, test.target, test.detail, test.status)
		}
	}
	b.asOperator("POST", "/admin/customers", csvHeader+csvRow, "Content-Type: text/csv").want(200)
	if got := b.acts.newest(t); got.Action != "POST /admin/customers" || got.Detail != "" || got.Status != 200 {
		t.Errorf("got %+v, want an import without the customers in it", got)
	}
	before := len(b.acts.acts)
	b.do("POST", "/admin/rollback", "{}", asJSON).problem(401)
	b.do("POST", "/admin/rollback", "{}", asJSON, "Authorization: Bearer wrong").problem(403)
	b.asOperator("GET", "/admin/models", "").want(200)
	if after := len(b.acts.acts); after != before {
		t.Errorf("%d entries were made for who may not, and for looking", after-before)
	}
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	b := setup(t)
	b.acts.err = errTest
	p := b.asOperator("POST", "/admin/retrain", "").problem(503)
	if !strings.Contains(p.Detail, "audit") || len(b.swap.renewals) != 0 {
		t.Errorf("got %q and %d renewals, want a refusal that names the audit log", p.Detail, len(b.swap.renewals))
	}
}

func TestAnActThatPanicsHasItsEnd(t *testing.T) {
	b := setup(t, withPorts(modelswap.Ports{})) // to call any of them is a panic
	b.asOperator("POST", "/admin/retrain", "").problem(500)
	if got := b.acts.newest(t); got.Status != 500 {
		t.Errorf("got status %d, want 500", got.Status)
	}
}

func TestTheAuditLogIsReadByPages(t *testing.T) {
	b := setup(t)
	for range 5 {
		b.asOperator("POST", "/admin/renewals/none/cancel", "").want(404)
	}
	var ids []string
	for before := ""; ; {
		acts, err := b.client.Audit(t.Context(), 2, before)
		if err != nil {
			t.Fatal(err)
		}
		if len(acts) == 0 {
			break
		}
		for _, a := range acts {
			ids = append(ids, a.ID)
		}
		before = ids[len(ids)-1]
	}
	if !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) || len(ids) != 5 {
		t.Errorf("got %v, want five ids, newest first", ids)
	}
	if p := b.asOperator("GET", "/admin/audit?limit=x", "").problem(422); fields(p) != "limit format" {
		t.Errorf("got %q", fields(p))
	}
	b.asOperator("GET", "/admin/audit?before=none", "").problem(404)
}
