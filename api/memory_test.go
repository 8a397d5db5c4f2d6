package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/admission"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// withMemory sets the memory for large requests, in bytes.
func withMemory(bytes int64) option {
	return func(b *bundle, _ *api.Options, _ *parts) {
		b.edge.Limit = admission.NewLimit(admission.Options{Memory: bytes}, b.deps.Registry)
	}
}

// memory returns the number of bytes that large requests hold.
func (b *bundle) memory() int64 {
	b.t.Helper()
	var status struct {
		Limit admission.LimitStatus `json:"limit"`
	}
	b.asOperator("GET", "/admin/status", "").want(200).decode(&status)
	return status.Limit.Memory
}

// TestLargeRequestsShareMemory: while the lists being scored hold all of the memory,
// further lists are refused, and small requests are answered.
func TestLargeRequestsShareMemory(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	scorer := scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
		if len(rows) > 1 {
			entered <- struct{}{}
			<-finish
		}
		return halves(rows), nil
	})
	b := setup(t, withMemory(2<<20), withScorer(scorer))
	prediction := `{"features":` + technician + `}`
	list := `{"instances":[` + listOf(prediction, 150) + `]}` // 150 × 4,016 bytes and twice the body, of 1 MiB
	first := make(chan answer)
	go func() { first <- b.post("/predict/batch", list) }()
	<-entered
	if held := b.memory(); held < 150*4000 || held > 1<<20 {
		t.Errorf("a list of 150 holds %d bytes", held)
	}
	a := b.post("/predict/batch", list)
	if p := a.problem(http.StatusServiceUnavailable); a.header.Get("Retry-After") == "" || !strings.Contains(p.Detail, "one caller") {
		t.Errorf("a second list: %v, %s", a.header, p.Detail)
	}
	b.post("/predict", prediction).want(200)
	b.post("/outcomes", `{"outcomes":[{},{}]}`).want(202)
	close(finish)
	(<-first).want(200)
	for path, body := range map[string]string{
		"/predict/batch": `{"instances":[` + listOf(prediction, 1000) + `]}`,
		"/outcomes":      `{"outcomes":[` + listOf(`0`, 5000) + `]}`, // no object, and charged all the same
	} {
		if p := b.post(path, body).problem(http.StatusRequestEntityTooLarge); !strings.Contains(p.Detail, "memory") {
			t.Errorf("a list that never has room: %s", p.Detail)
		}
	}
	if held := b.memory(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// TestReplaysShareMemory: a small request may get a large answer that was kept.
func TestReplaysShareMemory(t *testing.T) {
	b := setup(t, withMemory(2<<20), withKeys(sqliteKeys(t)))
	list := `{"outcomes":[` + listOf(`{}`, 400) + `]}`
	first := b.post("/outcomes", list, withKey("k")).want(202)
	if len(first.body) <= 16<<10 {
		t.Fatalf("an answer of %d bytes is small", len(first.body))
	}
	var others [2]admission.Memory
	for i := range others {
		if err := b.edge.Limit.Hold(&others[i], string(rune('a'+i)), "", admission.Outcome, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if a := b.post("/outcomes", list, withKey("k")); a.header.Get("Retry-After") == "" {
		t.Errorf("a replay while all memory is held: %d %v", a.status, a.header)
	} else {
		a.problem(http.StatusServiceUnavailable)
	}
	for i := range others {
		others[i].Free()
	}
	if again := b.post("/outcomes", list, withKey("k")).want(202); again.body != first.body || again.header.Get("Idempotent-Replayed") == "" {
		t.Errorf("a replay once there is memory: %v", again.header)
	}
	if held := b.memory(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// TestAllMemoryIsGivenBack, whatever became of its request.
func TestAllMemoryIsGivenBack(t *testing.T) {
	b := setup(t, withMemory(64<<20), withKeys(sqliteKeys(t)))
	b.store10042()
	good := `{"features":` + technician + `}`
	space := strings.Repeat(" ", 100_000)
	for _, body := range []string{
		space + good, space + "{", strings.Repeat(" ", 2<<20), `{"outcomes":[` + listOf(`{}`, 500) + `]}`,
		`{"instances":[` + listOf(good, 100) + `]}`, `{"instances":[` + listOf(good, 100) + `,`, `{"outcomes":[` + listOf(`{}`, 500) + `,`,
	} {
		for _, path := range []string{"/predict", "/predict/batch", "/outcomes"} {
			b.post(path, body)
			b.post(path, body, "Idempotency-Key: "+path[1:]+body[len(body)-20:][:5])
		}
	}
	b.do("POST", "/predict/batch", csvHeader+strings.Repeat(csvRow, 300), "Content-Type: text/csv").want(200)
	b.do("POST", "/endpoints/ServiceEndpoint/invocations", strings.Repeat("1,2\n", 10_000), "Content-Type: text/csv")
	if held := b.memory(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}
