package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gateway/api"
	"gateway/api/edge"
)

// tailReader reads the stream of a page that shows predictions as they come.
type tailReader struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

// follow opens the stream that a page names.
func (v *visitor) follow(page answer, headers ...string) *tailReader {
	v.t.Helper()
	named := regexp.MustCompile(`data-tail="([^"]+)"`).FindStringSubmatch(page.body)
	if named == nil {
		v.t.Fatalf("the page names no stream:\n%s", page.body)
	}
	res := v.open(http.MethodGet, strings.ReplaceAll(named[1], "&amp;", "&"), "", headers...)
	v.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		v.t.Fatalf("the stream answers %s, %s", res.Status, res.Header.Get("Content-Type"))
	}
	return &tailReader{v.t, bufio.NewScanner(res.Body), func() { _ = res.Body.Close() }}
}

// next returns the name and data of the next event; empty: the stream has ended.
func (r *tailReader) next() (event, data string) {
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "data":
			return event, value
		}
	}
	return "", ""
}

// rows returns the rows of the next event.
func (r *tailReader) rows() string {
	r.t.Helper()
	event, data := r.next()
	var batch struct{ Rows string }
	if err := json.Unmarshal([]byte(data), &batch); err != nil || event != "predictions" {
		r.t.Fatalf("event %q with %q, error %v", event, data, err)
	}
	return batch.Rows
}

func TestTheConsoleShowsPredictionsAsTheyCome(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	ask := func(customer string) string {
		b.post("/predict", `{"customer_id":"`+customer+`","features":`+technician+`}`).want(200)
		all := b.store.Predictions()
		return all[len(all)-1].ID
	}
	shown := ask("anna")
	page := v.get("predictions").want(200).contains(`data-id="`+shown, "after="+shown)
	between := ask("bert")
	all := v.follow(page)
	if rows := all.rows(); !strings.Contains(rows, `data-id="`+between) || !strings.Contains(rows, `href="predictions?customer=bert"`) || strings.Contains(rows, shown) {
		t.Errorf("the first event has %s", rows)
	}
	ofCarl := v.follow(v.get("predictions?customer=%3Ccarl%3E").want(200).contains("There are none."))
	again := v.follow(page, "Last-Event-ID: "+between)
	ask("anna")
	carls := ask("<carl>")
	if rows := ofCarl.rows(); !strings.Contains(rows, carls) || !strings.Contains(rows, "&lt;carl&gt;") || strings.Count(rows, "<tr") != 1 {
		t.Errorf("the page of one customer is told %s", rows)
	}
	var rows string
	for !strings.Contains(rows, carls) { // two reads of the ledger may have them
		rows += again.rows()
	}
	if strings.Contains(rows, between) {
		t.Errorf("a page that connected again is told of what it has: %s", rows)
	}
	v.get("tail?from=yesterday").want(422)
	for _, past := range []string{"predictions?to=2026-11-30", "predictions?id=" + shown} {
		if body := v.get(past).want(200).body; strings.Contains(body, "data-tail") {
			t.Errorf("%s is shown live", past)
		}
	}
	v.get("predictions?live=off").want(200).contains("data-paused", `name="live" value="off"`)
}

func TestTheTailEndsWithTheSession(t *testing.T) {
	var mu sync.Mutex
	tokens := []edge.Token{{Name: "one", Value: token}}
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) {
		b.edge.Tokens = func() []edge.Token {
			mu.Lock()
			defer mu.Unlock()
			return tokens
		}
	})
	v := operator(t, b)
	stream := v.follow(v.get("predictions").want(200))
	b.post("/predict", `{"features":`+technician+`}`).want(200)
	stream.rows()
	mu.Lock()
	tokens = []edge.Token{{Name: "one", Value: "another"}}
	mu.Unlock()
	b.post("/predict", `{"features":`+technician+`}`).want(200)
	event, _ := stream.next()
	if event == "predictions" { // it was read before the session was checked
		event, _ = stream.next()
	}
	if event != "signed-out" {
		t.Errorf("event %q, want signed-out", event)
	}
	if event, _ := stream.next(); event != "" {
		t.Errorf("event %q after signing out", event)
	}
}

func TestThePagesThatAreLiveAreLimited(t *testing.T) {
	v := operator(t, setup(t))
	page := v.get("predictions").want(200)
	const maxStreams = 64
	streams := make([]*tailReader, maxStreams)
	for i := range streams {
		streams[i] = v.follow(page)
	}
	v.get("tail").want(503)
	v.get("events?every=1").want(503)
	v.get("predictions").want(200)
	for _, s := range streams {
		s.close()
	}
}
