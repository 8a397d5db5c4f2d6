package modelswap_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// halt stops an engine at one point of those that modelswaptest.Crash names, the
// n-th time that the engine gets there.
type halt struct {
	at      string
	n       int
	reached chan struct{}
	release chan struct{}

	mu    sync.Mutex
	count int
}

func haltAt(at string, n int) *halt {
	return &halt{at: at, n: n, reached: make(chan struct{}), release: make(chan struct{})}
}

func (h *halt) reach(point string) {
	if point != h.at {
		return
	}
	h.mu.Lock()
	h.count++
	here := h.count == h.n
	h.mu.Unlock()
	if here {
		close(h.reached)
		<-h.release
	}
}

// lostLog tells when an engine logs that another one works on its renewal.
type lostLog struct {
	slog.Handler
	lost chan struct{}
	once *sync.Once
}

func (l lostLog) Enabled(context.Context, slog.Level) bool { return true }

func (l lostLog) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "claimed the renewal") {
		l.once.Do(func() { close(l.lost) })
	}
	return nil
}

// twoEngines are engines on one back end: first is stopped at a point, second
// runs after it.
type twoEngines struct {
	*bundle
	first, second *modelswap.Engine
	halt          *halt
	lost          chan struct{}
	ports         modelswap.Ports // of the first engine
}

func (w *twoEngines) engine(t *testing.T, ports modelswap.Ports, log *slog.Logger) *modelswap.Engine {
	gate, err := modelswap.ParseGate(w.gate)
	if err != nil {
		t.Fatal(err)
	}
	return modelswap.New(ports, modelswap.Options{Schema: w.Schema, Gate: gate, TempDir: t.TempDir(), Poll: time.Millisecond,
		Heartbeat: time.Millisecond, MaxPause: time.Millisecond}, log, prometheus.NewRegistry())
}

func (w *twoEngines) run(t *testing.T, e *modelswap.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// newTwoEngines makes a back end on which a champion serves and another model
// has served before.
func newTwoEngines(t *testing.T, h *halt, change func(*modelswap.Ports)) *twoEngines {
	w := &twoEngines{bundle: setup(t), halt: h, lost: make(chan struct{})}
	w.gate = "off"
	began := time.Now().Add(-time.Hour)
	w.Serve(modelswap.Model{Name: "champion", Schema: w.Schema.Fingerprint(), DeployedAt: &began})
	ports := w.Ports()
	if change != nil {
		change(&ports)
	}
	w.ports = modelswaptest.Crash(ports, h.reach)
	w.first = w.engine(t, w.ports, slog.New(lostLog{slog.DiscardHandler, w.lost, new(sync.Once)}))
	w.second = w.engine(t, w.Ports(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { // an engine that is still stopped would keep the test from ending
		select {
		case <-h.release:
		default:
			close(h.release)
		}
	})
	return w
}

// takeOver lets the first engine begin a renewal and stop at its point, and the
// second one finish it.
func (w *twoEngines) takeOver(t *testing.T, meanwhile func(id string)) (end *modelswap.Renewal, thaw func()) {
	w.run(t, w.first)
	r, err := w.first.Trigger(t.Context(), modelswap.TriggerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.halt.reached:
	case <-time.After(time.Minute):
		t.Fatalf("the first engine never came to %q", w.halt.at)
	}
	thaw = w.Freeze()
	t.Cleanup(thaw)
	if meanwhile != nil {
		meanwhile(r.ID)
	}
	w.run(t, w.second)
	return w.wait(t), thaw
}

// letGo lets the first engine go on, until it has noticed that the renewal is
// another's.
func (w *twoEngines) letGo(t *testing.T, thaw func()) {
	thaw()
	close(w.halt.release)
	select {
	case <-w.lost:
	case <-time.After(time.Minute):
		t.Fatal("the first engine never noticed that it had lost the renewal")
	}
}

// picture is all that a renewal may change.
func (w *twoEngines) picture(t *testing.T) string {
	serving, err1 := w.second.Serving(t.Context())
	models, err2 := w.second.Models(t.Context())
	slices.SortFunc(models, func(a, b modelswap.Model) int { return strings.Compare(a.Name, b.Name) })
	renewals, err3 := w.second.Renewals(t.Context(), 100, "")
	files := map[string]string{}
	err4 := fs.WalkDir(w.FS(t.Context()), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var text []byte
			text, err = fs.ReadFile(w.FS(t.Context()), name)
			files[name] = string(text)
		}
		return err
	})
	text, err5 := json.MarshalIndent(map[string]any{"serving": serving, "models": models, "renewals": renewals, "files": files}, "", " ")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pointsOfARenewal lists the points before the writes of a renewal, and how
// often it comes to each.
func pointsOfARenewal(t *testing.T) (points []string, counts map[string]int) {
	counts = map[string]int{}
	var mu sync.Mutex
	w := newTwoEngines(t, haltAt("nowhere", 1), nil)
	ended := false
	counting := w.engine(t, modelswaptest.Crash(w.Ports(), func(point string) {
		mu.Lock()
		defer mu.Unlock()
		if ended || !strings.HasSuffix(point, " before") || point == "InsertRenewal before" {
			return
		}
		if counts[point]++; counts[point] == 1 {
			points = append(points, point)
		}
		ended = point == "save succeeded before"
	}), slog.New(slog.DiscardHandler))
	w.run(t, counting)
	if _, err := counting.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
		t.Fatal(err)
	}
	if r := w.wait(t); r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	mu.Lock()
	defer mu.Unlock()
	return points, counts
}

// TestAWriteThatComesLateChangesNothing stops an engine before each write of a
// renewal. Another engine takes the renewal over and finishes it, an operator
// rolls back, and then the first engine goes on.
func TestAWriteThatComesLateChangesNothing(t *testing.T) {
	points, counts := pointsOfARenewal(t)
	if len(points) < 20 {
		t.Fatalf("there are %d points only: %q", len(points), points)
	}
	for _, point := range points {
		for n := range counts[point] {
			t.Run(point, func(t *testing.T) {
				w := newTwoEngines(t, haltAt(point, n+1), nil)
				end, thaw := w.takeOver(t, nil)
				if end.Status != modelswap.Succeeded {
					t.Fatalf("the second engine came to %s: %s", end.Status, end.Error)
				}
				if _, err := w.second.Rollback(t.Context(), "champion"); err != nil {
					t.Fatal(err)
				}
				before := w.picture(t)
				w.letGo(t, thaw)
				if after := w.picture(t); after != before {
					t.Errorf("the late write changed\n%s\nto\n%s", before, after)
				}
				if serving, err := w.second.Serving(t.Context()); serving != "champion" || err != nil {
					t.Errorf("%q serves (%v), want the champion", serving, err)
				}
			})
		}
	}
}

// TestACancelledDeploymentThatComesLateChangesNothing stops an engine before it
// deploys; the renewal is cancelled, which another engine sees to.
func TestACancelledDeploymentThatComesLateChangesNothing(t *testing.T) {
	w := newTwoEngines(t, haltAt("DeployModel before", 1), nil)
	end, thaw := w.takeOver(t, func(id string) {
		if _, err := w.second.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	})
	if end.Status != modelswap.Cancelled {
		t.Fatalf("the renewal is %s: %s", end.Status, end.Error)
	}
	before := w.picture(t)
	w.letGo(t, thaw)
	if after := w.picture(t); after != before {
		t.Errorf("the late deployment changed\n%s\nto\n%s", before, after)
	}
}

// doubtful answers as another model than the one that serves.
type doubtful struct{ predict.Scorer }

func (d doubtful) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	scores, err := d.Scorer.Score(ctx, rows, explain)
	scores.Model = "another"
	return scores, err
}

// TestARollbackOfVerifyThatComesLateChangesNothing stops an engine that doubts
// the new model before it puts the champion back; another engine finds nothing
// to doubt.
func TestARollbackOfVerifyThatComesLateChangesNothing(t *testing.T) {
	w := newTwoEngines(t, haltAt("DeployModel before", 2), func(p *modelswap.Ports) { p.Scorer = doubtful{p.Scorer} })
	end, thaw := w.takeOver(t, nil)
	if end.Status != modelswap.Succeeded {
		t.Fatalf("the second engine came to %s: %s", end.Status, end.Error)
	}
	before := w.picture(t)
	w.letGo(t, thaw)
	if after := w.picture(t); after != before {
		t.Errorf("the late rollback changed\n%s\nto\n%s", before, after)
	}
	if serving, err := w.second.Serving(t.Context()); serving != *end.Model || err != nil {
		t.Errorf("%q serves (%v), want the new model", serving, err)
	}
}

// TestAnOperatorsRollbackThatComesLateChangesNothing stops a gateway that rolls
// back for an operator before each of its writes, while a renewal deploys another
// model.
func TestAnOperatorsRollbackThatComesLateChangesNothing(t *testing.T) {
	for _, point := range []string{"DeployModel before", "MarkServing before"} {
		t.Run(point, func(t *testing.T) {
			w := newTwoEngines(t, haltAt(point, 1), nil)
			w.run(t, w.second)
			if _, err := w.second.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
				t.Fatal(err)
			}
			w.wait(t)
			rolled := make(chan error)
			go func() {
				_, err := w.first.Rollback(t.Context(), "champion")
				rolled <- err
			}()
			<-w.halt.reached
			if _, err := w.second.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
				t.Fatal(err)
			}
			end := w.wait(t)
			if end.Status != modelswap.Succeeded {
				t.Fatalf("the renewal is %s: %s", end.Status, end.Error)
			}
			before := w.picture(t)
			close(w.halt.release)
			if err := <-rolled; !isKind(err, failure.Conflict) || !strings.Contains(err.Error(), "another gateway changed the serving model") {
				t.Errorf("the late rollback gave %v, want a conflict that says why", err)
			}
			if after := w.picture(t); after != before {
				t.Errorf("the late rollback changed\n%s\nto\n%s", before, after)
			}
		})
	}
}

// TestADeploymentOverAModelThatWasNotComparedFails lets an operator roll back
// between evaluation and deployment. The renewal fails and says why; resumed, it
// compares with the model that serves now.
func TestADeploymentOverAModelThatWasNotComparedFails(t *testing.T) {
	h := haltAt("save deploy pending before", 1)
	w := newTwoEngines(t, h, nil)
	old := time.Now().Add(-2 * time.Hour)
	if err := w.InsertModel(t.Context(), modelswap.Model{Name: "older", Schema: w.Schema.Fingerprint(), DeployedAt: &old}, modelswap.Fence{}); err != nil {
		t.Fatal(err)
	}
	w.run(t, w.first)
	r, err := w.first.Trigger(t.Context(), modelswap.TriggerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	<-h.reached
	if _, err := w.second.Rollback(t.Context(), "older"); err != nil {
		t.Fatal(err)
	}
	close(h.release)
	end := w.wait(t)
	const why = "deploy: another gateway changed the serving model from champion to older meanwhile"
	if end.Status != modelswap.Failed || end.Error != why {
		t.Fatalf("the renewal is %s (%s), want failed: %s", end.Status, end.Error, why)
	}
	if serving, _ := w.second.Serving(t.Context()); serving != "older" {
		t.Errorf("%q serves, want what the operator chose", serving)
	}
	if _, err := w.second.Resume(t.Context(), r.ID, modelswap.ResumeRequest{}); err != nil {
		t.Fatal(err)
	}
	end = w.wait(t)
	if end.Status != modelswap.Succeeded || end.Step(modelswap.Evaluate).Attempt != 2 || end.State.Champion != "older" {
		t.Errorf("resumed, it is %s (%s), evaluated in attempt %d against %q; want success, compared with older",
			end.Status, end.Error, end.Step(modelswap.Evaluate).Attempt, end.State.Champion)
	}
}
