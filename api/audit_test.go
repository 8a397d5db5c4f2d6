package api_test

import (
	"slices"
	"strings"
	"testing"

	"gateway/internal/audit"
	"gateway/internal/modelswap"
)

// allActs returns the audit log, newest first.
func allActs(t *testing.T, log audit.Log) []audit.Entry {
	t.Helper()
	acts, err := log.Acts(t.Context(), 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	return acts
}

func newestAct(t *testing.T, log audit.Log) audit.Entry {
	t.Helper()
	acts := allActs(t, log)
	if len(acts) == 0 {
		t.Fatal("the audit log is empty")
	}
	return acts[0]
}

func TestWhatOperatorsDoIsRecorded(t *testing.T) {
	b := setup(t)
	hash := b.deps.Predict.Schema().Fingerprint()
	b.swap.models = []modelswap.Model{{Name: "m0", Schema: hash}, {Name: "m1", Schema: hash}}
	failed := b.failed()
	if got := newestAct(t, b.acts); got.Action != "POST /admin/retrain" || got.Target != failed || got.Status != 202 ||
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
		got := newestAct(t, b.acts)
		if got.Target != test.target || got.Detail != test.detail || got.Status != test.status || got.Forwarded != "203.0.113.7" || got.RequestID != "mine" {
			t.Errorf("%s: got %+v, want target %q, detail %q and status %d", test.path, got, test.target, test.detail, test.status)
		}
	}
	b.asOperator("POST", "/admin/customers", csvHeader+csvRow, "Content-Type: text/csv").want(200)
	if got := newestAct(t, b.acts); got.Action != "POST /admin/customers" || got.Detail != "" || got.Status != 200 {
		t.Errorf("got %+v, want an import without the customers in it", got)
	}
	before := len(allActs(t, b.acts))
	b.do("POST", "/admin/rollback", "{}", asJSON).problem(401)
	b.do("POST", "/admin/rollback", "{}", asJSON, "Authorization: Bearer wrong").problem(403)
	b.asOperator("GET", "/admin/models", "").want(200)
	if after := len(allActs(t, b.acts)); after != before {
		t.Errorf("%d entries were made for who may not, and for looking", after-before)
	}
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	b := setup(t)
	b.acts.Fail(errTest)
	p := b.asOperator("POST", "/admin/retrain", "").problem(503)
	if !strings.Contains(p.Detail, "audit") || len(b.swap.renewals) != 0 {
		t.Errorf("got %q and %d renewals, want a refusal that names the audit log", p.Detail, len(b.swap.renewals))
	}
}

func TestAnActThatPanicsHasItsEnd(t *testing.T) {
	b := setup(t, withPorts(modelswap.Ports{})) // to call any of them is a panic
	b.asOperator("POST", "/admin/retrain", "").problem(500)
	if got := newestAct(t, b.acts); got.Status != 500 {
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
