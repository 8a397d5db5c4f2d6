package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
)

// noon is when the tests' predictions were made.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newPrediction(i int) predict.Prediction {
	return predict.Prediction{ID: fmt.Sprintf("p%06d", i), CustomerID: fmt.Sprintf("c%d", i%7), CreatedAt: noon.Add(time.Duration(i) * time.Millisecond),
		Caller: "shop", Features: []byte(`{"age":34,"job":"technician","n":` + fmt.Sprint(i) + `}`), Score: 0.25, Label: i % 2,
		Model: "model-1", Schema: "schema-1", Latency: 120 * time.Microsecond}
}

func newPredictions(from, n int) []predict.Prediction {
	all := make([]predict.Prediction, n)
	for i := range all {
		all[i] = newPrediction(from + i)
	}
	return all
}

// database is a ledger in memory that may be down, slow, or refuse rows.
type database struct {
	*predicttest.Store
	mu     sync.Mutex
	calls  []call                         // of Append
	refuse func(predict.Prediction) error // nil: takes all
	delay  time.Duration
	// flushed is how many rows it had when Flush was called.
	flushed int
}

func (d *database) Flush(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushed = len(d.Predictions())
	return nil
}

// Flushed returns the rows that a power cut leaves.
func (d *database) Flushed() []predict.Prediction {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Predictions()[:d.flushed]
}

// call is a call of Append that came through.
type call struct {
	at   time.Time
	rows int
}

func (d *database) Append(ctx context.Context, rows []predict.Prediction) error {
	if d.delay > 0 {
		time.Sleep(d.delay)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range rows {
		if d.refuse == nil {
			break
		}
		if err := d.refuse(p); err != nil {
			return err
		}
	}
	err := d.Store.Append(ctx, rows)
	if err == nil {
		d.calls = append(d.calls, call{time.Now(), len(rows)})
	}
	return err
}

// Calls returns a copy of the calls.
func (d *database) Calls() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

var errDown = errors.New("the database is down")

// bench is an outbox with what is around it.
type bench struct {
	*Outbox
	dir  string
	db   *database
	logs *lockedBuffer
}

func newDatabase() *database { return &database{Store: predicttest.NewStore()} }

func openBench(t testing.TB, dir string, db *database, options Options) *bench {
	t.Helper()
	b := &bench{dir: dir, db: db, logs: &lockedBuffer{}}
	var err error
	b.Outbox, err = Open(dir, db, options, slog.New(slog.NewTextHandler(b.logs, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func setup(t testing.TB, options Options) *bench {
	return openBench(t, t.TempDir(), newDatabase(), options)
}

// run lets the drainer work until the test, or stop, ends it.
func (b *bench) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); b.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return stop
}

// crash opens what a killed process would have left at this moment.
func (b *bench) crash(t testing.TB, options Options) *bench {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		t.Fatal(err)
	}
	return openBench(t, dir, b.db, options)
}

func (b *bench) mustAppend(t testing.TB, rows ...predict.Prediction) {
	t.Helper()
	if err := b.Append(context.Background(), rows); err != nil {
		t.Fatal(err)
	}
}

// mustAppendEach appends rows in several calls, as each goes into one segment.
func (b *bench) mustAppendEach(t testing.TB, rows []predict.Prediction) {
	t.Helper()
	for chunk := range slices.Chunk(rows, 50) {
		b.mustAppend(t, chunk...)
	}
}

func (b *bench) mustDrain(t testing.TB) {
	t.Helper()
	if err := b.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Rows != 0 || s.Bytes != 0 {
		t.Errorf("after the drain %d rows and %d bytes wait", s.Rows, s.Bytes)
	}
}

// stored holds the database's rows to be those, each once and in order.
func (b *bench) stored(t testing.TB, want ...predict.Prediction) {
	t.Helper()
	got := b.db.Predictions()
	if len(got) != len(want) {
		t.Errorf("the database has %d rows, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if reflect.DeepEqual(got[i], want[i]) {
			continue // as nearly all are, and cheaper than their text
		}
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want[i]) {
			t.Fatalf("row %d is\n%+v\nwant\n%+v", i, got[i], want[i])
		}
	}
}

// files are the names in the folder or one below it.
func (b *bench) files(t testing.TB, below string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, below))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// change rewrites a segment.
func (b *bench) change(t testing.TB, name string, fn func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fn(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// said counts the log's lines that hold the text.
func (b *bench) said(text string) int { return strings.Count(b.logs.String(), text) }

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// histogram is the interface, so that a test may embed it.
type histogram = prometheus.Histogram
