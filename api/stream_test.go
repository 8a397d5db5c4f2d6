package api_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/gatewaytest"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/testsize"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
)

func (b *bundle) stream(contentType, body string) answer {
	b.t.Helper()
	return b.do("POST", "/predict/batch", body, "Content-Type: "+contentType)
}

// items decodes the lines of a stream.
func (a answer) items() []api.BatchItem {
	a.t.Helper()
	var items []api.BatchItem
	for _, line := range a.lines() {
		var item api.BatchItem
		if err := json.Unmarshal([]byte(line), &item); err != nil {
			a.t.Fatalf("%v: %s", err, line)
		}
		items = append(items, item)
	}
	return items
}

func TestStreamOfCSV(t *testing.T) {
	b := setup(t)
	a := b.stream("text/csv", csvHeader+csvRow+strings.Replace(csvRow, "34", "340", 1)+"34,technician\n"+strings.Replace(csvRow, "34", "50", 1)).want(200)
	if got := a.header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("content type %q", got)
	}
	if got := a.trailer.Get("X-Stream-End"); got != "complete" {
		t.Errorf("trailer %q", got)
	}
	items := a.items()
	if len(items) != 4 || items[0].Score != .34 || items[3].Score != .5 {
		t.Fatalf("got %s", a.body)
	}
	if p := items[1].Error; p == nil || fields(*p) != "age out_of_range" || !strings.HasPrefix(p.Detail, "line 3: ") || p.Status != 422 {
		t.Errorf("got %+v", p)
	}
	if p := items[2].Error; p == nil || !strings.HasPrefix(p.Detail, "line 4: ") || p.Status != 422 {
		t.Errorf("got %+v", p)
	}
}

func TestStreamOfNDJSON(t *testing.T) {
	b := setup(t)
	if _, _, err := b.store.PutCustomers(t.Context(), []predict.Customer{{ID: "10042", Features: []byte(technician)}}); err != nil {
		t.Fatal(err)
	}
	b.scorer.Weights = make([]float64, b.deps.Predict.Schema().Width())
	a := b.stream("application/x-ndjson", `{"customer_id":"10042","explain":true}`+"\n\n"+`{"features":`+technician+"}\nnonsense\n"+`{"customer_id":"nobody"}`).want(200)
	items := a.items()
	if len(items) != 4 || items[0].Score != .34 || len(items[0].Reasons) == 0 || items[1].Score != .34 {
		t.Fatalf("got %s", a.body)
	}
	for i, want := range map[int]string{2: "line 4: ", 3: "line 5: "} {
		if p := items[i].Error; p == nil || !strings.HasPrefix(p.Detail, want) {
			t.Errorf("item %d: %+v", i, p)
		}
	}
}

func TestWhatAStreamRefusesBeforeItBegins(t *testing.T) {
	b := setup(t, withOptions(func(o *api.Options) { o.MaxRow = 8192 }))
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		fields                  string
	}{
		{"an empty table", "text/csv", "", 422, ""},
		{"an empty text of NDJSON", "application/x-ndjson", "\n", 422, ""},
		{"a header with a column that is none", "text/csv", "agee," + csvHeader + csvRow, 422, "agee unknown_field"},
		{"a header without a column that is needed", "text/csv", strings.Replace(csvHeader, "age,", "", 1), 422, "age missing"},
		{"a row beyond reason", "text/csv", csvHeader + strings.Repeat("3", 20_000), 422, ""},
		{"a header beyond reason", "text/csv", strings.Repeat("3", 20_000), 422, ""},
		{"a line beyond reason", "application/x-ndjson", `{"customer_id":"` + strings.Repeat("3", 20_000) + `"}`, 422, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			if got := fields(b.stream(test.contentType, test.body).problem(test.status)); got != test.fields {
				t.Errorf("fields %q, want %q", got, test.fields)
			}
		})
	}
	b.logs.await(t, `"error":"the table is empty: the first row must hold the names of the columns"`)
	t.Run("a model that fails", func(t *testing.T) {
		b := *b
		b.t = t
		b.scorer.Fail(&failure.Error{Kind: failure.Unavailable, Detail: "no model serves yet", RetryAfter: 3 * time.Second})
		defer b.scorer.Fail(nil)
		a := b.stream("text/csv", csvHeader+csvRow)
		if p := a.problem(503); !strings.Contains(p.Detail, "line 2 and those after it") || a.header.Get("Retry-After") != "3" {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("no rows are no fault", func(t *testing.T) {
		b := *b
		b.t = t
		if a := b.stream("text/csv", csvHeader).want(200); a.body != "" || a.trailer.Get("X-Stream-End") != "complete" {
			t.Errorf("got %q", a.body)
		}
	})
}

// What a single request may take is too short for rows that wait behind others'.
func TestAStreamHasTime(t *testing.T) {
	var left time.Duration
	model := scorerFunc(func(ctx context.Context, rows []schema.Vector) (predict.Scores, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return predict.Scores{Model: "m", Schema: "s", Score: make([]float64, len(rows)), Label: make([]int, len(rows))}, nil
	})
	b := setup(t, withScorer(model), withOptions(func(o *api.Options) { o.PredictTimeout, o.StreamIdle = time.Second, time.Hour }))
	b.stream("text/csv", csvHeader+csvRow).want(200)
	if left < time.Minute || left > time.Hour {
		t.Errorf("its rows have %v", left)
	}
}

// A quote that does not end would make one row of all that follows.
func TestAQuoteThatDoesNotEndCostsItsRow(t *testing.T) {
	b := setup(t)
	a := b.stream("text/csv", csvHeader+strings.Repeat(csvRow, 300)+"\"34\n"+strings.Repeat(csvRow, 5000)).want(200)
	items := a.items()
	if len(items) != 5301 {
		t.Fatalf("%d items, want 5,301", len(items))
	}
	for i, item := range items {
		switch {
		case i == 300:
			if item.Error == nil || item.Error.Status != 422 || !strings.Contains(item.Error.Detail, "line 302") {
				t.Errorf("the row with the quote gave %+v", item)
			}
		case item.Error != nil:
			t.Fatalf("row %d gave %+v", i+1, item.Error)
		}
	}
	if got := a.trailer.Get("X-Stream-End"); got != "complete" {
		t.Errorf("trailer %q", got)
	}
}

func TestAStreamThatFailsOnTheWaySaysSo(t *testing.T) {
	// The third call of each request fails: the one whose rows are 37.
	model := scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
		if rows[0][0] == 37 {
			return predict.Scores{}, failure.Errorf(failure.BadModel, "the model failed")
		}
		return halves(rows), nil
	})
	for _, test := range []struct {
		name, body string
		status     int
		detail     string
		rows       int
	}{
		{"a row beyond reason", csvHeader + csvRow + strings.Repeat("3", 200_000) + "\n" + csvRow, 422, "longer than", 1},
		{"a model that fails", csvHeader + strings.Repeat(csvRow, 512) + strings.Repeat("37"+csvRow[2:], 5000), 502, "line 514 and those after it were not answered: the model failed", 512},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := setup(t, withScorer(model))
			a := b.stream("text/csv", test.body).want(200)
			items := a.items()
			last := items[len(items)-1]
			if len(items) != test.rows+1 || !last.End || last.Error == nil || last.Error.Status != test.status || !strings.Contains(last.Error.Detail, test.detail) {
				t.Errorf("%d items, the last %+v", len(items), last)
			}
			if got := a.trailer.Get("X-Stream-End"); got != "failed" {
				t.Errorf("trailer %q", got)
			}
			n := 0
			var problem *edge.Problem
			for _, err := range b.client.PredictBatch(t.Context(), "text/csv", strings.NewReader(test.body)) {
				if err != nil {
					problem = new(edge.Problem)
					_ = errors.As(err, &problem)
					break
				}
				n++
			}
			if n != test.rows || problem == nil || problem.Status != test.status {
				t.Errorf("the client got %d rows and %v", n, problem)
			}
		})
	}
}

// rowSource makes rows without holding them.
type rowSource struct {
	rest int
	buf  bytes.Buffer
	sent chan struct{} // closed with the last byte
}

func (s *rowSource) Read(p []byte) (int, error) {
	for s.rest > 0 && s.buf.Len() < len(p) {
		s.buf.WriteString(csvRow)
		s.rest--
	}
	n, err := s.buf.Read(p)
	if errors.Is(err, io.EOF) {
		close(s.sent)
	}
	return n, err
}

func TestAClientThatSendsAllBeforeItReadsGetsAllAnswers(t *testing.T) {
	rows, maxHeap := testsize.Of(70_000, 200_000), int64(testsize.Of(8<<20, 10<<20))
	dir := t.TempDir()
	b := setup(t, withScorer(scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
		return halves(rows), nil
	})), func(b *bundle, _ *api.Options, p *parts) {
		p.ledger = noLedger{} // which would hold all of them
		b.deps.SpoolDir = dir
	})
	before := heap()
	source := &rowSource{rest: rows, sent: make(chan struct{})}
	source.buf.WriteString(csvHeader)
	req, err := http.NewRequestWithContext(t.Context(), "POST", b.url+"/predict/batch", source)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/csv")
	res, err := b.client.HTTP.Do(req) // returns with the header of the answer
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-source.sent
	// Some 12 MB of answers, or 34 MB in the long run, exist now, and the client has read none of them.
	if grown := heap() - before; grown > maxHeap {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	// The file is written in pieces of 64 KiB. Once two of them are in it, it exists and has
	// lost its name. None of the answers has been read, so it is not closed yet.
	gatewaytest.Eventually(t, "answers are in the spool's file", func() bool { return spooled(t, b.deps.Registry) > 128<<10 })
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the spool's directory has %v (%v), want a file without a name", left, err)
	}
	lines := bufio.NewScanner(res.Body)
	n := 0
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte(`{"prediction_id":`)) {
			t.Fatalf("line %d: %s", n, lines.Bytes())
		}
		n++
	}
	if n != rows || lines.Err() != nil || res.Trailer.Get("X-Stream-End") != "complete" {
		t.Errorf("%d lines, %v, trailer %v", n, lines.Err(), res.Trailer)
	}
}

// spooled is how many bytes of answers have room in files.
func spooled(t *testing.T, registry *prometheus.Registry) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "gateway_spool_bytes" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no metric gateway_spool_bytes")
	return 0
}

// A client that sends all before it reads, and for whose answers there is no
// room, gets those that were kept and the line from which they are missing.
func TestAStreamWhoseAnswersHaveNoRoomSaysSo(t *testing.T) {
	t.Parallel()                         // it waits
	rows := testsize.Of(15_000, 100_000) // their answers take some 2.5 MB, or 17 MB in the long run
	b := setup(t, withScorer(scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
		return halves(rows), nil
	})), withOptions(func(o *api.Options) { o.MaxSpool, o.StreamIdle = 1<<20, testsize.Of(4*time.Second, 10*time.Second) }),
		smallBuffers, func(_ *bundle, _ *api.Options, p *parts) { p.ledger = noLedger{} })
	conn := b.dial(rows) // returns when all is sent
	fmt.Fprint(conn, "0\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	items := readAnswer(t, withRequest(res)).items()
	last := items[len(items)-1]
	if !last.End || last.Error == nil || last.Error.Status != 503 || len(items) == rows {
		t.Fatalf("of %d answers the last is %+v", len(items), last)
	}
	for i, item := range items[:len(items)-1] {
		if item.Error != nil || item.Score != .5 {
			t.Fatalf("answer %d is %+v", i, item)
		}
	}
	// The header is line 1, and the first row line 2.
	if want := fmt.Sprintf("line %d and those after it were not answered: ", len(items)+1); !strings.HasPrefix(last.Error.Detail, want) {
		t.Errorf("of %d answers the last says %s", len(items), last.Error.Detail)
	}
}

// smallBuffers bounds what the system holds of what is sent and not read. Otherwise it
// holds several megabytes in each direction.
func smallBuffers(b *bundle, _ *api.Options, _ *parts) { b.socketBuffer = 64 << 10 }

// heap returns the size of what is reachable. The first collection does not free what
// pools hold.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// dial begins a stream by hand, and sends its first rows.
func (b *bundle) dial(rows int) net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	b.bound(conn)
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "POST /predict/batch HTTP/1.1\r\nHost: gateway\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n")
	body := csvHeader + strings.Repeat(csvRow, rows)
	fmt.Fprintf(conn, "%x\r\n%s\r\n", len(body), body)
	return conn
}

func TestAClientThatNoLongerSendsIsToldAndDropped(t *testing.T) {
	b := setup(t, withOptions(func(o *api.Options) { o.StreamIdle = 50 * time.Millisecond }))
	res, err := http.ReadResponse(bufio.NewReader(b.dial(300)), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || strings.Count(string(text), `"prediction_id"`) != 300 {
		t.Errorf("%v in %s", err, text)
	}
	if !strings.Contains(string(text), `"status":408`) || !strings.Contains(string(text), `"end":true`) || res.Trailer.Get("X-Stream-End") != "failed" {
		t.Errorf("it was not told: %s, %v", text[max(0, len(text)-600):], res.Trailer)
	}
	b = setup(t, withOptions(func(o *api.Options) { o.StreamIdle = 50 * time.Millisecond }))
	if text, err := io.ReadAll(b.dial(0)); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 408 ") {
		t.Errorf("before the first row: %v, %s", err, text)
	}
}

func TestAClientThatNoLongerReadsIsDropped(t *testing.T) {
	t.Parallel() // it waits, longer than this process may ever need to send the rows
	b := setup(t, withOptions(func(o *api.Options) { o.StreamIdle = testsize.Of(2*time.Second, 3*time.Second) }),
		smallBuffers, func(b *bundle, _ *api.Options, p *parts) { p.ledger = noLedger{} })
	conn := b.dial(testsize.Of(5_000, 50_000))
	fmt.Fprint(conn, "0\r\n\r\n") // all is sent; now nothing moves
	b.logs.await(t, `"status":499`)
	text, err := io.ReadAll(conn)
	if strings.Contains(string(text), "X-Stream-End: complete") {
		t.Errorf("it was told that all is well (%v)", err)
	}
}

func TestAPanicOnTheWayBreaksTheStreamOff(t *testing.T) {
	calls := 0
	b := setup(t, withScorer(scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
		if calls++; calls == 2 {
			panic("a fault")
		}
		return halves(rows), nil
	})))
	var last error
	n := 0
	for _, err := range b.client.PredictBatch(t.Context(), "text/csv", strings.NewReader(csvHeader+strings.Repeat(csvRow, 1000))) {
		if last = err; err == nil {
			n++
		}
	}
	if last == nil || n > 256 {
		t.Errorf("%d rows, then %v", n, last)
	}
	b.logs.await(t, "panic: a fault") // after the connection has been broken off
	if log := b.logs.String(); !strings.Contains(log, "stack") {
		t.Errorf("the log has %s", log)
	}
}

func TestTheClientMayStopAStream(t *testing.T) {
	b := setup(t)
	for item, err := range b.client.PredictBatch(t.Context(), "text/csv", strings.NewReader(csvHeader+strings.Repeat(csvRow, 1000))) {
		if err != nil || item.Error != nil {
			t.Errorf("got %+v, %v", item, err)
		}
		break
	}
}
