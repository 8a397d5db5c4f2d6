package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"gateway/internal/learn"
	"gateway/internal/sandbox"
)

// front is a runtime of SageMaker in front of the stand-in. It answers with the models of the
// stand-in. Its server is small, so that its cost does not dominate the measurement.
type front struct {
	aws   *sandbox.Server
	tally tally
	slots slots
	// scores are the answers of a model's container to a row, by model and then by the
	// bytes of the row. The stand-in computes each of them once.
	scores sync.Map // string → *scored
	conns  sync.Map // a set of net.Conn
}

type scored struct {
	artifact *learn.Artifact
	mu       sync.RWMutex
	rows     map[string]string
}

// maxRows is the maximum number of cached rows of a model.
const maxRows = 100_000

// serve answers connections until the listener is closed.
func (r *front) serve(l net.Listener) {
	for {
		tcp, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // for example, no file descriptors are left
			continue
		}
		r.conns.Store(tcp, nil)
		r.tally.count(func(c *counts) { c.Accepted++ })
		go func() {
			defer r.conns.Delete(tcp)
			defer tcp.Close()
			r.converse(tcp)
		}()
	}
}

// become sets the behaviour of the runtime.
func (r *front) become(b behaviour) {
	r.tally.become(b)
	r.slots.resize(b.Concurrent)
}

func (r *front) converse(tcp net.Conn) {
	in := newReader(tcp)
	var out []byte
	for {
		m, err := in.next()
		if err != nil {
			return
		}
		out, err = r.answer(out[:0], &m)
		if errors.Is(err, errReset) {
			if t, ok := tcp.(*net.TCPConn); ok {
				_ = t.SetLinger(0) // makes Close send a reset
			}
			return
		}
		if err != nil {
			out = refusal(out[:0], "400 Bad Request", "ValidationError", err.Error())
		}
		if _, err := tcp.Write(out); err != nil || m.close {
			return
		}
	}
}

var errReset = errors.New("the connection is to be reset")

func (r *front) answer(out []byte, m *message) ([]byte, error) {
	endpoint, found := invocation(m.line)
	if !found {
		return out, fmt.Errorf("not an invocation: %.80s", m.line)
	}
	repeated := len(m.attempt) > 0 && !bytes.HasPrefix(m.attempt, []byte("attempt=1"))
	v, b := r.tally.call(repeated, time.Now())
	switch v {
	case throttle:
		return appendAnswer(out, "400 Bad Request", "", []byte(`{"message":null}`)), nil
	case reset:
		return out, errReset
	}
	at := r.slots.take()
	defer r.slots.give()
	r.tally.count(func(c *counts) { c.MaxConcurrent = max(c.MaxConcurrent, at) })
	lines := bytes.Split(bytes.TrimSpace(m.body), []byte("\n"))
	if wait := b.Latency + time.Duration(len(lines))*b.PerRow; wait > 0 {
		time.Sleep(wait)
	}
	for { // a stall may start while calls are in flight
		wait := time.Until(r.tally.now().StallUntil)
		if wait <= 0 {
			break
		}
		time.Sleep(min(wait, 10*time.Millisecond))
	}
	who, err := r.aws.Answering(endpoint)
	if err != nil {
		return out, err
	}
	nonsense := ""
	if v == bad && who.Model != b.Sound {
		nonsense = b.Nonsense
		r.tally.count(func(c *counts) { c.Bad++ })
	}
	if nonsense == serverError {
		return modelError(out), nil
	}
	body, err := r.predictions(&who, lines, nonsense)
	if err != nil {
		return out, err
	}
	if nonsense == "" {
		r.tally.count(func(c *counts) { c.Rows += len(lines) })
	}
	return appendAnswer(out, "200 OK", "X-Amzn-Invoked-Production-Variant: "+who.Variant+"\r\n", body), nil
}

// invocation returns the name of the endpoint in the request line.
func invocation(line []byte) (endpoint string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("POST /endpoints/"))
	if !ok {
		return "", false
	}
	name, _, ok := bytes.Cut(rest, []byte("/invocations HTTP/1."))
	return string(name), ok
}

func (r *front) predictions(who *sandbox.Answering, lines [][]byte, nonsense string) ([]byte, error) {
	if nonsense == notJSON {
		return []byte("Segmentation fault (core dumped)\n"), nil
	}
	if nonsense == tooFew {
		lines = lines[:len(lines)-1]
	}
	known, _ := r.scores.LoadOrStore(who.Model, &scored{artifact: who.Artifact, rows: make(map[string]string)})
	body := []byte(`{"predictions": [`)
	for i, line := range lines {
		text, err := known.(*scored).of(who, line)
		if err != nil {
			return nil, err
		}
		if nonsense == notANumber && i == 0 {
			text = `{"score": NaN, "predicted_label": 0.0}`
		}
		if i > 0 {
			body = append(body, ", "...)
		}
		body = append(body, text...)
	}
	return append(body, "]}"...), nil
}

func (s *scored) of(who *sandbox.Answering, line []byte) (string, error) {
	s.mu.RLock()
	text, found := s.rows[string(line)]
	s.mu.RUnlock()
	if found {
		return text, nil
	}
	text, err := who.Prediction(string(line))
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) >= maxRows {
		clear(s.rows)
	}
	s.rows[string(line)] = text
	return text, nil
}

func appendAnswer(out []byte, status, headers string, body []byte) []byte {
	out = append(append(out, "HTTP/1.1 "...), status...)
	out = append(append(out, "\r\nContent-Type: application/json\r\nx-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\n"...), headers...)
	out = append(strconv.AppendInt(append(out, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
	return append(out, body...)
}

func refusal(out []byte, status, code, message string) []byte {
	body := `{"__type":` + strconv.Quote(code) + `,"message":` + strconv.Quote(message) + `}`
	return appendAnswer(out, status, "X-Amzn-ErrorType: "+code+"\r\n", []byte(body))
}

// modelError appends the answer of the runtime for a failed container.
func modelError(out []byte) []byte {
	const message = `Received server error (500) from primary with message \"Internal Server Error\".`
	body := `{"Message":"` + message + `","OriginalMessage":"Internal Server Error","OriginalStatusCode":500,"LogStreamArn":""}`
	return appendAnswer(out, "424 Failed Dependency", "X-Amzn-ErrorType: ModelError\r\n", []byte(body))
}

// newStandIn starts a stand-in in which an hour takes about a second.
func newStandIn(ctx context.Context) (*sandbox.Server, error) {
	s, err := sandbox.New(sandbox.Options{Pace: sandbox.RealPace().Faster(500)})
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx, bucket, "customers"); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// bucket is the bucket for exports, training data and models.
const bucket = "load"
