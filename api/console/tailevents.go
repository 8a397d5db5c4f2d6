package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
)

// tailCheck is how often the session of a page that shows predictions as they come is checked.
// Each check also sends something, so that a connection that broke is noticed.
const tailCheck = 5 * time.Second

// tailEvent is the data of an event "predictions". Its id is that of the newest prediction,
// where a browser that connects again goes on.
type tailEvent struct {
	Rows    string `json:"rows"` // rows of the table, as the page has them, the newest first
	Count   int    `json:"count"`
	Lost    int    `json:"lost"` // predictions that the page should have and does not get
	Gap     bool   `json:"gap"`  // it is more than Lost
	Failing bool   `json:"failing"`
}

// tailEvents sends a page the predictions that come, by the customer, the model and the time
// of its search.
func (c *Console) tailEvents(w http.ResponseWriter, r *http.Request) error {
	filter, err := tailFilterOf(r)
	if err != nil {
		return err
	}
	done, err := c.takeStream()
	if err != nil {
		return err
	}
	defer done()
	stream, down := edge.NewEventStream(w), c.d.Edge.ShuttingDown(r)
	stream.Begin()
	if r.Method == http.MethodHead {
		return nil
	}
	watcher := c.tail.join(filter)
	defer c.tail.leave(watcher)
	check := time.NewTicker(tailCheck)
	defer check.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-down:
			return nil
		case <-check.C:
			err = stream.Beat()
		case batch := <-watcher.batches:
			err = c.sendTail(stream, &batch)
		}
		if err != nil || c.signedOut(r, stream) {
			return nil // an error means that the browser has left
		}
	}
}

// tailFilterOf reads the query of the stream: that of the search, and after, the id of the
// newest prediction that the page has.
func tailFilterOf(r *http.Request) (f tailFilter, err error) {
	form := r.URL.Query()
	f = tailFilter{customer: form.Get("customer"), model: form.Get("model"), after: form.Get("after")}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		f.after = last
	}
	var ok bool
	if f.since, ok = timeField(form.Get("from")); !ok {
		return f, &failure.Error{Kind: failure.Invalid, Detail: "a parameter of the query is wrong",
			Violations: []failure.Violation{{Field: "from", Code: failure.CodeFormat, Detail: "must be a date, or a date and a time"}}}
	}
	return f, nil
}

// sendTail sends a batch. A browser that connects again sends the id back.
func (c *Console) sendTail(stream *edge.EventStream, b *tailBatch) error {
	var rows bytes.Buffer
	if err := c.templates["predictions"].ExecuteTemplate(&rows, "prediction-rows", b.rows); err != nil {
		return err
	}
	data, err := json.Marshal(tailEvent{Rows: strings.TrimSpace(rows.String()), Count: len(b.rows), Lost: b.lost, Gap: b.gap, Failing: b.failing})
	if err != nil {
		return err
	}
	newest := ""
	if len(b.rows) > 0 {
		newest = b.rows[0].ID
	}
	return stream.Send(newest, "predictions", data)
}

// findForTail reads the ledger within the budget of pages.
func (c *Console) findForTail(ctx context.Context, q predict.Search) (predict.Found, error) {
	select {
	case c.reads <- struct{}{}:
		defer func() { <-c.reads }()
		return c.d.Ledger.Search(ctx, q)
	case <-ctx.Done():
		return predict.Found{}, ctx.Err()
	}
}
