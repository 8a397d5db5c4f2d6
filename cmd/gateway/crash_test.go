package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/testsize"
)

// crashDirVariable names the folder through which a test tells a gateway where
// to die, and learns what it has done: in the file "at" stands the point at
// which it kills itself, and to the file "reached" it adds each point. The
// gateway waits, once, at the point that stands in the file "hold", until the
// test makes the file "go".
const crashDirVariable = "CRASH_DIR"

// crashPoints makes a gateway die where a test asks it to; nil where none does.
func crashPoints() func(modelswap.Ports) modelswap.Ports {
	dir := os.Getenv(crashDirVariable)
	if dir == "" {
		return nil
	}
	reached, err := os.OpenFile(filepath.Join(dir, "reached"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return func(p modelswap.Ports) modelswap.Ports {
		return modelswaptest.Crash(p, func(point string) {
			if _, err := reached.WriteString(point + "\n"); err != nil {
				panic(err)
			}
			if hold, err := os.ReadFile(filepath.Join(dir, "hold")); err == nil && string(hold) == point {
				_ = os.Remove(filepath.Join(dir, "hold"))
				for !exists(filepath.Join(dir, "go")) {
					time.Sleep(10 * time.Millisecond)
				}
			}
			at, err := os.ReadFile(filepath.Join(dir, "at"))
			if err != nil || string(at) != point {
				return
			}
			_ = os.Remove(filepath.Join(dir, "at")) // the next process lives
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // not a line further
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// victim is a data dir, with a database in it or elsewhere, and a gateway on
// it that dies and is started again.
type victim struct {
	t         *testing.T
	env       []string
	dir       string // the data dir
	crash     string // see crashDirVariable
	cmd       *exec.Cmd
	output    *gatewaytest.Buffer
	client    *client.Client
	succeeded int // renewals so far
}

// newVictim starts a gateway that has the small data and a first model. With a
// database secret it is one on Postgres.
func newVictim(t *testing.T, file, schema, secret string) *victim {
	t.Helper()
	v := &victim{t: t, dir: t.TempDir(), crash: t.TempDir()}
	addr := gatewaytest.FreePort(t)
	tokens := gatewaytest.WriteFile(t, "tokens.json", `{"tokens": ["test-token"]}`)
	v.env = []string{"GATEWAY_DATA_DIR=" + v.dir, "GATEWAY_SCHEMA=" + schema, "GATEWAY_LOG_FORMAT=json", "GATEWAY_DEMO=false",
		"GATEWAY_TRAINING_ALGORITHM=xgboost", "GATEWAY_ADDR=" + addr, "GATEWAY_ADMIN_SECRET_ID=file:" + tokens,
		"GATEWAY_KEEP_MODELS=1", "GATEWAY_VERIFY_MAX_SHIFT=0.5", crashDirVariable + "=" + v.crash}
	if secret != "" {
		v.env = append(v.env, "GATEWAY_DB_SECRET_ID=file:"+secret)
	}
	v.client = &client.Client{BaseURL: "http://" + addr, Token: "test-token"}
	t.Cleanup(func() {
		if t.Failed() && v.output != nil {
			t.Log(v.output.String())
		}
	})
	v.start()
	customers, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer customers.Close()
	if _, err := v.client.Import(t.Context(), "text/csv", customers, client.ImportOptions{Strict: true}, nil); err != nil {
		t.Fatal(err)
	}
	v.renew(v.retrain())
	return v
}

// start starts the gateway and waits until it answers.
func (v *victim) start() {
	v.t.Helper()
	v.cmd, v.output = process(v.t, v.env, "serve")
	gatewaytest.Eventually(v.t, "the gateway answers", func() bool {
		res, err := http.Get(v.client.BaseURL + "/livez")
		return err == nil && res.Body.Close() == nil
	})
}

// retrain asks for a renewal. The gateway may die before it answers; then the
// id is empty, and may be found in the list.
func (v *victim) retrain() string {
	v.t.Helper()
	r, err := v.client.Retrain(v.t.Context(), api.RetrainRequest{})
	var refused *edge.Problem
	if errors.As(err, &refused) {
		v.t.Fatal(err)
	}
	return r.ID
}

// dead waits until the gateway has killed itself.
func (v *victim) dead(point string) {
	v.t.Helper()
	err := v.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		v.t.Fatalf("%s: the gateway ended with %v, want that it killed itself", point, err)
	}
}

// renew waits for the end of the renewal and holds what came of it. An empty id
// means that its request was not answered: then there may be none, and one
// more is asked for.
func (v *victim) renew(id string) {
	v.t.Helper()
	if id == "" {
		newest, err := v.client.Renewals(v.t.Context(), 1, "")
		if err != nil {
			v.t.Fatal(err)
		}
		if len(newest) == 1 && !newest[0].Status.Final() {
			id = newest[0].ID
		} else {
			id = v.retrain()
		}
	}
	var r *modelswap.Renewal
	gatewaytest.Eventually(v.t, "the renewal has ended", func() bool {
		var err error
		r, err = v.client.Renewal(v.t.Context(), id)
		return err == nil && r.Status.Final()
	})
	v.succeeded++
	v.hold(r)
}

// hold wants one model of the renewal, serving, each step in its first attempt,
// one export, and nothing left over.
func (v *victim) hold(r *modelswap.Renewal) {
	v.t.Helper()
	if r.Status != modelswap.Succeeded {
		v.t.Errorf("the renewal is %s: %s", r.Status, r.Error)
	}
	for _, s := range r.Steps {
		if s.Attempt != 1 || s.Status != modelswap.StepSucceeded {
			v.t.Errorf("step %s is %s in attempt %d, want success in the first", s.Name, s.Status, s.Attempt)
		}
	}
	models, err := v.client.Models(v.t.Context())
	if err != nil || len(models) != v.succeeded {
		v.t.Errorf("there are %d models (%v), want one of each of %d renewals", len(models), err, v.succeeded)
	}
	renewals := map[string]bool{}
	for _, m := range models {
		if renewals[m.Renewal] {
			v.t.Errorf("renewal %s made two models", m.Renewal)
		}
		renewals[m.Renewal] = true
		if m.Serving != (r.Model != nil && m.Name == *r.Model) {
			v.t.Errorf("model %s serves: %v", m.Name, m.Serving)
		}
	}
	// The newest renewals keep their files. What is older, and what a process
	// that died has left, goes once the renewal has ended.
	gatewaytest.Eventually(v.t, "nothing is left over", func() bool {
		exports, _ := os.ReadDir(filepath.Join(v.dir, "exports"))
		folders, _ := os.ReadDir(filepath.Join(v.dir, "renewals"))
		return len(exports) <= 5 && len(folders) <= 5 && len(leftOver(v.t, v.dir)) == 0
	})
}

// leftOver lists files that are half written.
func leftOver(t *testing.T, dir string) (found []string) {
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".part") {
			found = append(found, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is being removed
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// reached returns the points that were reached since the last call.
func (v *victim) reached() []string {
	v.t.Helper()
	path := filepath.Join(v.crash, "reached")
	text, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		v.t.Fatal(err)
	}
	return gatewaytest.Lines(string(text))
}

// killAt lets a renewal die at a point, and go on. It reports whether the
// renewal came by that point: training that ends at once is never seen running.
func (v *victim) killAt(point string) bool {
	v.t.Helper()
	at := filepath.Join(v.crash, "at")
	if err := os.WriteFile(at, []byte(point), 0o600); err != nil {
		v.t.Fatal(err)
	}
	v.reached()
	id := v.retrain()
	var ended time.Time // when the renewal was seen to have
	gatewaytest.Eventually(v.t, "the gateway has died, or will not", func() bool {
		if _, err := os.Stat(at); err != nil {
			return true
		}
		if r, err := v.client.Renewal(v.t.Context(), id); ended.IsZero() && err == nil && r.Status.Final() {
			ended = time.Now()
		}
		return !ended.IsZero() && time.Since(ended) > 5*time.Second // it tidies up after the end
	})
	if err := os.Remove(at); err == nil {
		v.renew(id)
		return false
	}
	v.dead(point)
	died := time.Now()
	v.start()
	v.renew(id)
	if n := strings.Count(strings.Join(v.reached(), "\n")+"\n", "DeployModel after\n"); n != 1 {
		v.t.Errorf("%s: models were deployed %d times, want once", point, n)
	}
	v.t.Logf("killed at %q, done %s later", point, time.Since(died).Round(10*time.Millisecond))
	return true
}

// killSometime lets a renewal die at no point in particular.
func (v *victim) killSometime(after time.Duration) {
	v.t.Helper()
	v.reached()
	id := v.retrain()
	<-time.After(after)
	_ = v.cmd.Process.Kill()
	v.dead(after.String())
	v.start()
	v.renew(id)
}

// TestARenewalSurvivesKill9 kills the gateway with SIGKILL at every point that a
// renewal goes through: before and after each call that a step makes, in the
// middle of each file, and around each save; and then some more, at random. It
// starts it again and lets the renewal come to its end: one model, deployed
// once, no step in a second attempt, nothing left over. The quick run takes a few
// of the points.
//
// The points are shared among several gateways, since on Postgres most of the
// time goes by until a lease has run out.
func TestARenewalSurvivesKill9(t *testing.T) {
	newConfig(t)
	file, schema := gatewaytest.SmallData(t)
	for _, engine := range []struct {
		name     string
		gateways int
		sample   int // points of each gateway in the quick run
		random   int // kills by each gateway
		secret   func(*testing.T) string
	}{
		{"SQLite", testsize.Of(1, 4), 2, testsize.Of(1, 5), func(*testing.T) string { return "" }},
		{"Postgres", testsize.Of(1, 8), 1, testsize.Of(0, 3), gatewaytest.DatabaseSecret},
	} {
		for i := range engine.gateways {
			t.Run(fmt.Sprintf("%s, gateway %d", engine.name, i), func(t *testing.T) {
				t.Parallel()
				v := newVictim(t, file, schema, engine.secret(t))
				points := v.points()
				killed := 0
				var passed []string // by, without being killed
				for _, point := range sampleOf(points, engine.sample) {
					hash := fnv.New32()
					_, _ = hash.Write([]byte(point))
					switch {
					case int(hash.Sum32())%engine.gateways != i:
					case v.killAt(point):
						killed++
					default:
						passed = append(passed, point)
					}
				}
				if len(passed) > 2 {
					t.Errorf("renewals did not come by %q", passed)
				}
				for range engine.random {
					v.killSometime(time.Duration(rand.Int64N(int64(time.Second))))
				}
				t.Logf("killed at %d of %d points, and %d times at random", killed, len(points), engine.random)
			})
		}
	}
}

// sampleOf returns all points in the long run. In the quick run it returns the
// one after which a model serves that is not recorded yet, and n more at random;
// a failure names its point.
func sampleOf(points []string, n int) []string {
	if testsize.Long {
		return points
	}
	sample := []string{"DeployModel after"}
	for _, i := range rand.Perm(len(points))[:n] {
		sample = append(sample, points[i])
	}
	slices.Sort(sample)
	return slices.Compact(sample)
}

// points lists what an undisturbed renewal goes through, once there have been
// enough of them that there are old models and files to be removed. The quick
// run does not wait for those.
func (v *victim) points() []string {
	v.t.Helper()
	for range testsize.Of(1, 7) {
		v.renew(v.retrain())
	}
	v.reached()
	v.renew(v.retrain())
	points := v.reached()
	slices.Sort(points)
	points = slices.Compact(points)
	if len(points) < 60 {
		v.t.Fatalf("a renewal goes through %d points, want more: %q", len(points), points)
	}
	return points
}
