package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// Function runs a compiled Lambda function: a program that asks Lambda's runtime API for
// events, as on provided.al2023. It handles one event at a time. A program that has ended is
// started again for the next event.
type Function struct {
	name, path string
	env        []string
	output     io.Writer
	timeout    atomic.Int64 // of an event, a time.Duration

	turn sync.Mutex // held while an event is handled

	mu      sync.Mutex
	program *program // the last one; nil: there was none
}

// program is a process of a function, with a runtime API of its own.
type program struct {
	arn     string
	process *exec.Cmd
	server  *http.Server
	events  chan *invocation
	ended   chan struct{}

	extended atomic.Bool // an extension was registered

	mu       sync.Mutex
	handling *invocation
}

// invocation is an event and its end.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	done     chan struct{}
	answer   []byte
	failed   bool
}

// NewFunction makes a function that the program at path runs. The program has these variables
// and those of Lambda in its environment. What it prints is written to output.
func NewFunction(name, path string, env []string, output io.Writer) *Function {
	f := &Function{name: name, path: path, env: env, output: output}
	f.SetTimeout(30 * time.Second)
	return f
}

// SetTimeout sets how long the function may handle an event from now on; 30 s at first. A
// program that takes longer is killed.
func (f *Function) SetTimeout(d time.Duration) { f.timeout.Store(int64(d)) }

// FunctionARN returns the ARN of a function.
func FunctionARN(name string) string {
	return "arn:aws:lambda:" + Region + ":" + Account + ":function:" + name
}

// ARN returns the ARN of the function.
func (f *Function) ARN() string { return FunctionARN(f.name) }

// Invoke lets the function handle an event and returns its answer. An error that the function
// returns is an error with its JSON.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	p, err := f.running()
	if err != nil {
		return nil, fmt.Errorf("the program of the function: %w", err)
	}
	call := &invocation{id: uuid.NewString(), event: event, deadline: time.Now().Add(time.Duration(f.timeout.Load())), done: make(chan struct{})}
	ctx, cancel := context.WithDeadline(ctx, call.deadline)
	defer cancel()
	events := p.events
	for {
		select {
		case events <- call:
			events = nil
			continue
		case <-call.done:
		case <-p.ended:
			return nil, errors.New("the program of the function has ended")
		case <-ctx.Done():
			f.Kill()
			return nil, fmt.Errorf("the program of the function was ended: %w", ctx.Err())
		}
		break
	}
	if call.failed {
		return nil, fmt.Errorf("the function failed: %s", call.answer)
	}
	return call.answer, nil
}

// running returns the program, which it starts unless it runs.
func (f *Function) running() (*program, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.program != nil {
		select {
		case <-f.program.ended:
		default:
			return f.program, nil
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &program{arn: f.ARN(), events: make(chan *invocation), ended: make(chan struct{})}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet()}
	p.process = exec.CommandContext(context.Background(), f.path) // it lasts until Kill
	p.process.Stdout, p.process.Stderr = f.output, f.output
	p.process.Env = slices.Concat(os.Environ(), f.env, []string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(),
		"AWS_LAMBDA_FUNCTION_NAME=" + f.name, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128"})
	if err := p.process.Start(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	go func() { _ = p.server.Serve(listener) }()
	go func() {
		_ = p.process.Wait() // how it ended says nothing that its output does not
		_ = p.server.Close()
		close(p.ended)
	}()
	f.program = p
	return p, nil
}

// Kill ends the program at once, and waits for its end.
func (f *Function) Kill() { f.end(os.Kill) }

// Shutdown ends the program with SIGTERM, which Lambda sends to a program with an extension
// before it ends it, and waits for its end. It returns the exit code.
func (f *Function) Shutdown() int { return f.end(syscall.SIGTERM) }

func (f *Function) end(signal os.Signal) (code int) {
	f.mu.Lock()
	p := f.program
	f.mu.Unlock()
	if p == nil {
		return 0
	}
	_ = p.process.Process.Signal(signal) // it may have ended already
	<-p.ended
	return p.process.ProcessState.ExitCode()
}

// Extended reports whether the program has registered an extension.
func (f *Function) Extended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.program != nil && f.program.extended.Load()
}

const (
	runtimeAPI    = "/2018-06-01/runtime/"
	extensionsAPI = "/2020-01-01/extension/"
)

// ServeHTTP is Lambda's runtime API, and of its API for extensions what one of the program's
// own needs that takes no events.
func (p *program) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case extensionsAPI + "register":
		p.extended.Store(true)
		w.Header().Set("Lambda-Extension-Identifier", uuid.NewString())
		return
	case extensionsAPI + "event/next":
		<-r.Context().Done()
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, runtimeAPI)
	if ok && r.Method == http.MethodGet && path == "invocation/next" {
		p.next(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 6<<20))
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	call := p.handling
	var id, result string
	if parts := strings.Split(path, "/"); ok && len(parts) == 3 && parts[0] == "invocation" {
		id, result = parts[1], parts[2]
	}
	if call == nil || call.id != id || result != "response" && result != "error" {
		http.Error(w, `{"errorType": "InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	p.handling = nil
	call.answer, call.failed = bytes.TrimSpace(body), result == "error"
	close(call.done)
	w.WriteHeader(http.StatusAccepted)
}

// next gives the program the next event.
func (p *program) next(w http.ResponseWriter, r *http.Request) {
	select {
	case call := <-p.events:
		p.mu.Lock()
		p.handling = call
		p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", call.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(call.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", p.arn)
		_, _ = w.Write(call.event)
	case <-r.Context().Done():
	}
}
