package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"gateway/internal/learn"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

// roleARN is a role that can be assumed in the stand-in.
const roleARN = sandbox.Role

// stage has the processes of a scenario: an endpoint and a gateway that is ready. close ends
// them.
type stage struct {
	o        options
	report   *report
	dir      string
	rows     []row
	endpoint *endpoint
	gateway  *gateway
	oracle   *oracle
	started  []*process // oldest first
}

// newStage starts the endpoint and, if settings is not nil, the gateway. settings returns the
// settings of the gateway and the operators' token in them.
func newStage(ctx context.Context, o options, r *report, settings func(dir string) (list []string, token string, err error)) (_ *stage, err error) {
	s := &stage{o: o, report: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp(o.dir, "load-"); err != nil {
		return nil, err
	}
	if s.rows, err = rowsOf(schema.Bank()); err != nil {
		return nil, err
	}
	if s.endpoint, err = s.startEndpoint(); err != nil {
		return nil, err
	}
	s.oracle = &oracle{rows: s.rows, read: func(ctx context.Context, model string) (*learn.Artifact, error) {
		return s.endpoint.artifact(ctx, model)
	}}
	var list []string
	var token string
	if settings != nil {
		if list, token, err = settings(s.dir); err != nil {
			return nil, err
		}
	}
	s.gateway, err = startGateway(ctx, o.gateway, s.dir, s.endpoint, token, list)
	if s.gateway != nil {
		s.started = append(s.started, s.gateway.process)
	}
	if err != nil {
		return nil, err
	}
	return s, s.pin(s.gateway.process)
}

func (s *stage) startEndpoint() (*endpoint, error) {
	p, line, err := s.play("endpoint")
	if err != nil {
		return nil, err
	}
	e := &endpoint{process: p}
	if err := json.Unmarshal([]byte(line), &e.places); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	return e, nil
}

// play starts a role and returns the first line of its output.
func (s *stage) play(name string, args ...string) (*process, string, error) {
	p, out, err := role(s.dir, name, args...)
	if err != nil {
		return nil, "", err
	}
	s.started = append(s.started, p)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		<-p.ended
		return nil, "", fmt.Errorf("%s did not start: %s", name, tail(p.log))
	}
	return p, strings.TrimSpace(line), nil
}

// pin reserves the last processor for the measured process if the flag -pin is set.
func (s *stage) pin(p *process) error {
	if !s.o.pin {
		return nil
	}
	last := runtime.NumCPU() - 1
	if last == 0 {
		return errors.New("-pin needs at least two processors")
	}
	others := make([]int, last)
	for i := range others {
		others[i] = i
	}
	return errors.Join(pin(os.Getpid(), others...), pin(s.endpoint.pid, others...), pin(p.pid, last))
}

// close ends all processes, the newest first, and removes their files.
func (s *stage) close() error {
	var faults []error
	for i := len(s.started) - 1; i >= 0; i-- {
		faults = append(faults, s.started[i].stop())
	}
	if s.o.keep {
		s.report.note("The files of the processes are in %s.", s.dir)
	} else if s.dir != "" {
		faults = append(faults, os.RemoveAll(s.dir))
	}
	return errors.Join(faults...)
}

// through returns requests to the gateway of one prediction each.
func (s *stage) through(ctx context.Context) target {
	requests := s.oracle.predictions("/predict", "")
	return target{addr: s.gateway.addr,
		request: func(n int) []byte { return requests[n%len(requests)] },
		right:   orHonest(func(n int, body []byte) bool { return s.oracle.right(ctx, n, body) })}
}

// orHonest returns a check for a right answer or an honest refusal.
func orHonest(right func(n int, body []byte) bool) func(n int, m *message) bool {
	return func(n int, m *message) bool {
		if m.status() == http.StatusOK {
			return right(n, m.body)
		}
		return honest(m)
	}
}

// honest reports whether a refusal is as documented: a problem document with the same status,
// and a Retry-After if a retry may help.
func honest(m *message) bool {
	status := m.status()
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && !m.retry {
		return false
	}
	told, found := member(m.body, `"status":`, ',')
	return found && string(told) == strconv.Itoa(status)
}

// serving returns the name of the serving model.
func (s *stage) serving(ctx context.Context) (string, error) {
	text, err := ask(ctx, http.MethodPost, s.gateway.url+"/predict", "", []byte(`{"features":`+string(s.rows[0].features)+`}`))
	if err != nil {
		return "", err
	}
	model, _ := member(text, `"model":"`, '"')
	return string(model), nil
}

// measured are the results of a run within its window.
type measured struct {
	records records       // due in the window
	done    int           // requests with an answer of any status
	window  time.Duration // length
	cpu     time.Duration // processor time of the watched process in the window
	begin   time.Duration // of the window, since the start of the run
	seen    counts        // of the runtime, approximately for the window
}

func (m *measured) perSecond() float64 { return float64(m.done) / m.window.Seconds() }

// perRequest returns the processor time of a request.
func (m *measured) perRequest() time.Duration { return m.cpu / time.Duration(max(m.done, 1)) }

// measure runs a load: first for warm to warm up, then for the window of length long.
func (s *stage) measure(ctx context.Context, p *process, t target, conns int, rate float64, warm, long time.Duration) (*measured, error) {
	r, err := start(ctx, t, conns, rate)
	if err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			r.stop()
		}
	}()
	if err := wait(ctx, warm); err != nil {
		return nil, err
	}
	if _, err := s.endpoint.counts(ctx); err != nil {
		return nil, err
	}
	before, err := processorTime(p.pid)
	if err != nil {
		return nil, err
	}
	m := &measured{begin: r.now()}
	if err := wait(ctx, long); err != nil {
		return nil, err
	}
	end := r.now()
	after, err := processorTime(p.pid)
	if err != nil {
		return nil, errors.Join(err, p.alive())
	}
	if m.seen, err = s.endpoint.counts(ctx); err != nil {
		return nil, err
	}
	all := r.stop()
	stopped = true
	m.window, m.cpu = end-m.begin, after-before
	for i := range all {
		if at := all[i].end(); at >= m.begin && at < end && all[i].status != 0 {
			m.done++
		}
	}
	m.records = all.within(m.begin, end)
	s.report.judge(r, all)
	return m, nil
}

// build builds the binary under test from this module.
func build(ctx context.Context, to string, race bool) error {
	args := []string{"build", "-o", to}
	env := os.Environ()
	if race {
		args = append(args, "-race")
	} else {
		env = append(env, "CGO_ENABLED=0")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "gateway/cmd/gateway")...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the gateway: %w: %s", err, out)
	}
	return nil
}

// binary returns the path of the binary under test: of the flag, or of one that it builds.
func binary(ctx context.Context, o options, dir string, say io.Writer) (string, error) {
	if o.gateway != "" {
		return filepath.Abs(o.gateway)
	}
	to := filepath.Join(dir, "gateway")
	fmt.Fprintln(say, "building the gateway")
	return to, build(ctx, to, o.race)
}
