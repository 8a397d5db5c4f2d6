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

// Media types of bodies that are read and answered row by row.
const (
	csvType    = "text/csv"
	ndjsonType = "application/x-ndjson"
)

const (
	spillMemory = 256 << 10 // of answers held in memory for one caller
	copyBuffer  = 32 << 10

	// EndTrailer tells, after the last line, whether the stream is whole.
	EndTrailer = "X-Stream-End"
	// Complete is the value of EndTrailer of a stream that is whole.
	Complete = "complete"
	failed   = "failed"

	// discardMax and discardTime bound how much of a body is read for nothing
	// after an early end, for the sake of clients that read the answer last.
	discardMax  = 64 << 20
	discardTime = 5 * time.Second
)

// stream is an exchange in which request and answer flow at the same time, for
// as long as it takes. The caller must send at a pace of StreamRate, with pauses
// of up to StreamIdle, and is dropped where it reads nothing for StreamIdle while
// it does not send either. Other than that, no deadline applies.
//
// The answer begins with the first line, so that until then an error can still
// be a problem with a status of its own.
type stream struct {
	w    http.ResponseWriter
	body io.Reader
	rc   *http.ResponseController
	idle time.Duration
	pace pace

	buffer  *spillBuffer
	begun   bool
	cut     error         // why the body cannot be read any further
	stopped error         // why no more of it is wanted
	copied  chan struct{} // closed when copy has ended
}

// newStream takes over the connection's deadlines. What is spooled is charged to
// caller. end or cancel must be called in the end.
func (a *api) newStream(w http.ResponseWriter, r *http.Request, caller string) *stream {
	s := &stream{w: w, body: r.Body, rc: http.NewResponseController(w), idle: a.o.StreamIdle,
		pace:   newPace(a.o.StreamRate, a.o.StreamIdle),
		buffer: newSpillBuffer(a.d.SpoolDir, spillMemory, a.spills, caller, a.o.StreamIdle/2),
		copied: make(chan struct{})}
	// A server of HTTP/1 reads the whole body before it answers, unless full duplex
	// is enabled. HTTP/2 is always full duplex, and the call fails there.
	_ = s.rc.EnableFullDuplex()
	w.Header().Set("Connection", "close") // our deadlines must not outlive the stream
	return s
}

// Read reads the request's body, as long as it comes at its pace. A caller that
// sends is alive, even if it reads nothing yet, so each byte that comes in also
// renews the answer's deadline.
func (s *stream) Read(p []byte) (int, error) {
	if s.stopped != nil {
		return 0, s.stopped
	}
	if s.cut != nil {
		return 0, s.cut // net/http tells only once that a body broke off, then it is an io.EOF
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
			"the body comes too slowly: a stream must bring %d bytes a second, with pauses of up to %s", s.pace.rate, s.pace.most)}
	}
	return edge.BodyError(err)
}

// Write queues whole lines for the caller, and returns the length of those that
// the caller will get. Where there is no room for more, and the caller reads
// nothing, the error is a refusal that the last line can tell.
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
	if n > 0 && lines[n-1] != '\n' { // a line was cut
		rest := lines[n : n+bytes.IndexByte(lines[n:], '\n')+1]
		if err := s.buffer.WriteLast(rest); err != nil {
			return n, err
		}
		n += len(rest)
	}
	return n, s.stopped
}

// last queues the last line, also where there is no room.
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

// copy sends what is in the spool until it is finished or the caller is gone.
// From begin on it is the only one that writes to the caller.
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

// end waits until the caller has everything, and says whether that is all
// there should have been.
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

// cancel ends a stream in whatever state it is. It does nothing after end.
func (s *stream) cancel() {
	if s.begun {
		s.buffer.abandon(errors.New("the stream was given up"))
		select {
		case <-s.copied:
			// It was over, or waited in the spool.
		default:
			_ = s.rc.SetWriteDeadline(time.Now())
			<-s.copied
		}
	}
	_ = s.buffer.Close()
}

// discard reads on for a while after an early end: a client that reads the
// answer only when all is sent would else never see why it ended. It leaves
// the answer a deadline of its own.
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
