package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const body = `{"features": {"age": 34, "job": "technician", "marital": "married", "education": "high.school",
	"default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "jun",
	"day_of_week": "wed", "duration": 190, "campaign": 1, "pdays": 3, "previous": 4,
	"poutcome": "success", "emp_var_rate": -1.7, "cons_price_idx": 94.055,
	"cons_conf_idx": -39.8, "euribor3m": 0.715, "nr_employed": 4991.6}}`

// load is clients that ask for predictions until it ends.
type load struct {
	url    string
	client *http.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	result report
	took   []time.Duration
}

type report struct {
	answered, failed int
	slow             int // answered, whose body took 300 ms
	ids              []string
	reasons          map[string]int
	p99              time.Duration
}

func (r report) String() string {
	return fmt.Sprintf("%d requests answered, %d failed, p99 %s", r.answered, r.failed, r.p99.Round(100*time.Microsecond))
}

// generateLoad starts 16 clients that ask 20 times a second, and 4 whose
// requests take 300 ms to send, so that some are under way at each change.
func (d *deployment) generateLoad(t *testing.T) *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	transport := &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: d.times.proxyIdle / 2, DisableKeepAlives: d.proxy.closesIdle()}
	l := &load{url: "http://" + d.proxy.address() + "/predict", cancel: cancel,
		client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	l.result.reasons = map[string]int{}
	for i := range 20 {
		slow := i >= 16
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.ask(slow)
				pause(ctx, 50*time.Millisecond)
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) ask(slow bool) {
	var text io.Reader = strings.NewReader(body)
	if slow {
		text = io.MultiReader(strings.NewReader(body[:200]), &delay{300 * time.Millisecond}, strings.NewReader(body[200:]))
	}
	began := time.Now()
	id, err := l.predict(text)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.result.failed++
		l.result.reasons[err.Error()]++
	case slow:
		l.result.slow++
		fallthrough
	default:
		l.result.answered++
		l.result.ids = append(l.result.ids, id)
		if !slow {
			l.took = append(l.took, took)
		}
	}
}

// predict hides the reader's kind from the client, which would repeat a request
// that it can read again.
func (l *load) predict(text io.Reader) (id string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.url, struct{ io.Reader }{text})
	if err != nil {
		return "", err
	}
	req.ContentLength = int64(len(body))
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var prediction struct {
		ID    string `json:"prediction_id"`
		Score *float64
	}
	if err := json.Unmarshal(answer, &prediction); resp.StatusCode != http.StatusOK || err != nil || prediction.ID == "" || prediction.Score == nil {
		return "", fmt.Errorf("%s: %.200s", resp.Status, answer)
	}
	return prediction.ID, nil
}

// wait waits until n more requests have ended.
func (l *load) wait(t *testing.T, n int) {
	t.Helper()
	goal := l.count() + n
	eventually(t, "load", func() error {
		if have := l.count(); have < goal {
			return fmt.Errorf("%d of %d requests have ended", have, goal)
		}
		return nil
	})
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result.answered + l.result.failed
}

// end lets the requests that are under way end.
func (l *load) end() report {
	l.cancel()
	l.done.Wait()
	l.client.CloseIdleConnections()
	if n := len(l.took); n > 0 {
		slices.Sort(l.took)
		l.result.p99 = l.took[min(n-1, n*99/100)]
	}
	return l.result
}

// delay is a reader of nothing that takes a time.
type delay struct{ d time.Duration }

func (r *delay) Read([]byte) (int, error) {
	pause(context.Background(), r.d)
	return 0, io.EOF
}
