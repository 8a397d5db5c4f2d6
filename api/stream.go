package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"gateway/api/edge"
)

// Media types of streams.
const (
	csvType    = "text/csv"
	ndjsonType = "application/x-ndjson"
)

const (
	spillMemory = 256 << 10 // bytes of a response that wait in memory
	copyBuffer  = 32 << 10

	// EndTrailer is the trailer that says whether the response is complete.
	EndTrailer = "X-Stream-End"
	// Complete is the value of EndTrailer of a complete response.
	Complete = "complete"
	failed   = "failed"

	// discardMax and discardTime bound how much of a body is read and discarded after an
	// early end. Some clients read the response only when they have sent everything.
	discardMax  = 64 << 20
	discardTime = 5 * time.Second
)

// stream is an exchange in which the request is read and the response is written at the
// same time. The caller must send at a pace of StreamRate, with pauses of up to StreamIdle.
// The connection is closed if the caller neither reads nor sends for StreamIdle. There is
// no other deadline.
//
// The response begins with the first line. Until then an error can become a problem.
type stream struct {
	w    http.ResponseWriter
	body io.Reader
	rc   *http.ResponseController
	idle time.Duration
	pace pace

	buffer  *spillBuffer
	begun   bool
	cut     error         // why the body cannot be read any further; nil: it can
	stopped error         // why the gateway reads no more of it; nil: it reads on
	copied  chan struct{} // closed when copy has returned
}

// newStream makes a stream, which sets the connection's deadlines from then on. Files are
// charged to caller. end or cancel must be called at the end.
func (a *api) newStream(w http.ResponseWriter, r *http.Request, caller string) *stream {
	s := &stream{w: w, body: r.Body, rc: http.NewResponseController(w), idle: a.o.StreamIdle,
		pace:   newPace(a.o.StreamRate, a.o.StreamIdle),
		buffer: newSpillBuffer(a.d.SpoolDir, spillMemory, a.spills, caller, a.o.StreamIdle/2),
		copied: make(chan struct{})}
	// A server of HTTP/1 reads the whole body before it answers, unless full duplex
	// is enabled. HTTP/2 is always full duplex, and the call fails there.
	_ = s.rc.EnableFullDuplex()
	w.Header().Set("Connection", "close") // the stream's deadlines must not remain for a next request
	return s
}

// Read reads the body, if it comes at its pace. A caller that sends has not left, even if
// it reads nothing yet, so each byte that arrives also extends the deadline for writing.
func (s *stream) Read(p []byte) (int, error) {
	if s.stopped != nil {
		return 0, s.stopped
	}
	if s.cut != nil {
		return 0, s.cut // net/http reports once that a body breaks off; later reads return io.EOF
	}
	start := time.Now()
	_ = s.rc.SetReadDeadline(start.Add(s.pace.credit))
	n, err := s.body.Read(p)
	s.pace.spend(time.Since(start), n)
	if n > 0 {
		_ = s.rc.SetWriteDeadline(time.Now().Add(s.idle))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.cut = s.readError(err)
		err = s.cut
	}
	return n, err
}

func (s *stream) readError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &edge.Refusal{Reason: edge.SlowBody, Err: err, Detail: fmt.Sprintf(
			"the body comes too slowly: a stream must bring %d bytes a second, with pauses of up to %s", s.pace.rate, s.pace.maxCredit)}
	}
	return edge.BodyError(err)
}

// Write queues whole lines for the caller, and returns the length of the lines that are
// queued. If there is no room for more and the caller reads nothing, it returns a refusal
// for the last line.
func (s *stream) Write(lines []byte) (int, error) {
	if len(lines) == 0 {
		return 0, nil
	}
	if !s.begun {
		s.begin()
	}
	n, err := s.buffer.Write(lines)
	if !errors.Is(err, errNotRead) {
		return n, err
	}
	s.stopped = &edge.Refusal{Reason: edge.Unavailable, RetryAfter: time.Second, Err: err,
		Detail: "the answers are not read, and there is no room to keep more of them; read while you send"}
	if n > 0 && lines[n-1] != '\n' { // queue the rest of a line that is queued in part
		rest := lines[n : n+bytes.IndexByte(lines[n:], '\n')+1]
		if err := s.buffer.WriteLast(rest); err != nil {
			return n, err
		}
		n += len(rest)
	}
	return n, s.stopped
}

// last queues the last line, also if there is no room.
func (s *stream) last(line []byte) error {
	if !s.begun {
		s.begin()
	}
	return s.buffer.WriteLast(line)
}

func (s *stream) begin() {
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", ndjsonType)
	h.Set("Cache-Control", "no-store")
	h.Set("Trailer", EndTrailer)
	h.Set("X-Accel-Buffering", "no") // proxies must not collect the lines
	s.w.WriteHeader(http.StatusOK)
	go s.copy()
}

// copy sends what is queued until the queue ends or the caller has left. After begin it is
// the only function that writes to the connection.
func (s *stream) copy() {
	defer close(s.copied)
	buffer := make([]byte, copyBuffer)
	for {
		n, err := s.buffer.Read(buffer)
		if n > 0 {
			_ = s.rc.SetWriteDeadline(time.Now().Add(s.idle))
			if _, err := s.w.Write(buffer[:n]); err != nil {
				s.buffer.abandon(err)
				return
			}
			if s.buffer.drained() {
				err = errors.Join(err, s.rc.Flush())
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			s.buffer.abandon(err)
			return
		}
	}
}

// end waits until everything has been sent, and sets the trailer to state.
func (s *stream) end(state string) error {
	if state == failed {
		s.discard()
	}
	if !s.begun {
		s.begin()
	}
	s.buffer.finish()
	<-s.copied
	s.w.Header().Set(EndTrailer, state)
	defer s.buffer.Close()
	s.buffer.mu.Lock()
	defer s.buffer.mu.Unlock()
	return s.buffer.err
}

// cancel ends a stream in any state. After end it does nothing.
func (s *stream) cancel() {
	if s.begun {
		s.buffer.abandon(errors.New("the stream was cancelled"))
		select {
		case <-s.copied:
			// copy has returned; it waited in the buffer, or was done.
		default:
			_ = s.rc.SetWriteDeadline(time.Now())
			<-s.copied
		}
	}
	_ = s.buffer.Close()
}

// discard reads on for a while after an early end. Otherwise a client that reads the
// response only when it has sent everything would not see why the stream ended. Afterwards
// the response has the time idle to be sent.
func (s *stream) discard() {
	until := time.Now().Add(discardTime)
	buffer := make([]byte, copyBuffer)
	for total := 0; s.cut == nil && total < discardMax && time.Now().Before(until); {
		_ = s.rc.SetReadDeadline(until)
		n, err := s.body.Read(buffer)
		_ = s.rc.SetWriteDeadline(time.Now().Add(s.idle))
		total += n
		s.cut = err
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.idle))
}
