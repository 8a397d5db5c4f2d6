package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/gatewaytest"
	"gateway/internal/testsize"
)

// TestAFileLargerThanTheOutboxGoesThrough streams many times what the outbox may
// hold through POST /predict/batch, with the policy that refuses. The stream
// goes at the pace of the database: nothing is refused, of the stream nor of
// a caller that asks meanwhile, and all of it is in the ledger.
func TestAFileLargerThanTheOutboxGoesThrough(t *testing.T) {
	rows := testsize.Of(8_000, 25_000) // some 600 bytes each
	cfg := newConfig(t)
	cfg.Demo = false
	cfg.Outbox.MaxSize, cfg.Outbox.Policy, cfg.Outbox.Sync = 1<<20, "refuse", "interval"
	g := startPrepared(t, cfg, generated(600))
	line, err := json.Marshal(api.PredictionRequest{Features: gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe()
	go func() {
		for range rows {
			if _, err := writer.Write(append(line, '\n')); err != nil {
				return // the test says why
			}
		}
		_ = writer.Close()
	}()
	others := gatewaytest.StartLoad(g.url, 1, false)
	res, err := http.Post(g.url+"/predict/batch", "application/x-ndjson", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answered := map[string]bool{}
	most := int64(0)
	answers := bufio.NewScanner(res.Body)
	for answers.Scan() {
		var item api.BatchItem
		if err := json.Unmarshal(bytes.TrimSpace(answers.Bytes()), &item); err != nil || item.Error != nil {
			t.Fatalf("after %d answers: %s", len(answered), answers.Text())
		}
		answered[item.PredictionID] = true
		if len(answered)%500 == 0 {
			most = max(most, g.components.outbox.Stats().Bytes)
		}
	}
	if err := answers.Err(); err != nil || len(answered) != rows {
		t.Errorf("%d answers (%v), want %d", len(answered), err, rows)
	}
	for id := range others.End() {
		answered[id] = true
	}
	if n := others.Failed.Load(); n > 0 {
		t.Errorf("%d predictions of others failed, the first with %s", n, others.First)
	}
	if most > int64(cfg.Outbox.MaxSize)*3/4 {
		t.Errorf("the outbox had up to %d bytes, and the bound is %d", most, cfg.Outbox.MaxSize)
	}
	g.drained(t)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(g.logs.String(), "the outbox is full") {
		t.Error("the outbox was full")
	}
	gatewaytest.WantOnce(t, answered, gatewaytest.InLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db")))
	t.Logf("%d predictions through an outbox of %d bytes, of which at most %d were used", len(answered), cfg.Outbox.MaxSize, most)
}
