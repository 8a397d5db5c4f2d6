package gatewaytest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"gateway/api"

	"golang.org/x/time/rate"
)

// Load is clients that predict by features, and what they were answered.
type Load struct {
	url     string
	stop    chan struct{}
	clients sync.WaitGroup

	mu       sync.Mutex
	answered map[string]bool // ids of predictions

	N      atomic.Int64 // number of answers
	Failed atomic.Int64
	First  string // the first failure
}

// StartLoad lets clients predict until End is called, or until the gateway is
// gone, if it may be killed.
func StartLoad(url string, clients int, mayDie bool) *Load {
	return StartPaced(url, clients, rate.Inf, mayDie)
}

// StartPaced is StartLoad with a maximum number of predictions a second.
func StartPaced(url string, clients int, perSecond rate.Limit, mayDie bool) *Load {
	pace := rate.NewLimiter(perSecond, clients)
	l := &Load{url: url, stop: make(chan struct{}), answered: map[string]bool{}}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	body, _ := json.Marshal(map[string]any{"features": Sample()})
	for range clients {
		l.clients.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				_ = pace.Wait(context.Background())
				id, err := PredictOnce(&http.Client{Transport: transport}, url, body)
				switch {
				case err == nil:
					l.Add(id)
					l.N.Add(1)
				case mayDie:
					return
				default:
					if l.Failed.Add(1) == 1 {
						l.First = err.Error()
					}
				}
			}
		})
	}
	return l
}

// Add notes the id of an answered prediction, also of another client.
func (l *Load) Add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered[id] = true
}

// End stops the clients and returns the ids that they were answered.
func (l *Load) End() map[string]bool {
	close(l.stop)
	l.clients.Wait()
	return l.answered
}

// PredictOnce asks a gateway for one prediction and returns its id.
func PredictOnce(client *http.Client, url string, body []byte) (id string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/predict", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var p api.Prediction
	if err := json.Unmarshal(text, &p); err != nil || res.StatusCode != http.StatusOK || p.PredictionID == "" {
		return "", fmt.Errorf("%d %s", res.StatusCode, text)
	}
	return p.PredictionID, nil
}

// InLedger returns how often each prediction is in the database.
func InLedger(t *testing.T, driver, source string) map[string]int {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT id FROM predictions`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]int{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		found[id]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// WantOnce holds every answered prediction to be in the ledger once.
func WantOnce(t *testing.T, answered map[string]bool, ledger map[string]int) {
	t.Helper()
	missing, doubled := 0, 0
	for id := range answered {
		switch n := ledger[id]; {
		case n == 0:
			missing++
		case n > 1:
			doubled++
		}
	}
	if missing+doubled > 0 {
		t.Errorf("of %d answered predictions %d are not in the ledger and %d more than once", len(answered), missing, doubled)
	}
}
