package admission

import (
	"context"
	"errors"
	"time"

	"gateway/internal/failure"
)

// A stream lasts as long as its caller likes, so it holds no place while it waits for the
// caller. It takes a turn for each chunk of its rows, and returns it when they are scored.
// Turns are separate from the places of other requests: a stream waits for other streams,
// and never takes a place from a prediction.

// turnPlaces is how many places one turn corresponds to. There are as many turns as
// correspond to half of Options.Floor.
const turnPlaces = 8

// OpenStream is a stream that was admitted.
type OpenStream struct {
	l      *Limit
	caller string
	scores bool // has a turn
}

// Open admits a stream, or returns why it is refused. key is the name of the caller's API
// key, as for Enter. The stream is charged to caller, which is never empty. The error
// matches ErrShare if that caller has too many streams.
func (l *Limit) Open(key, caller string) (*OpenStream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := l.fairShares.of(key, now)
	if err := l.refuse(s, Stream, 1, now); err != nil {
		return nil, err
	}
	switch err := l.streams.Take(caller, 1); {
	case errors.Is(err, ErrShare):
		l.metrics.shed(streamsOpen, Stream, l.fairShares.kindOf(s, l.taken))
		return nil, err
	case err != nil:
		return nil, l.refused(streamsOpen, s, Stream, time.Second)
	}
	return &OpenStream{l: l, caller: caller}, nil
}

// Begin waits for a turn to score rows. The stream that has waited longest is next. At the
// deadline of ctx it returns a *failure.Error of kind Unavailable.
func (s *OpenStream) Begin(ctx context.Context) error {
	select {
	case s.l.turns <- struct{}{}:
		s.scores = true
		return nil
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &failure.Error{Kind: failure.Unavailable, Detail: details[streamTurns], RetryAfter: time.Second}
	}
	return ctx.Err()
}

// Done returns the turn. It may be called again.
func (s *OpenStream) Done() {
	if s.scores {
		s.scores = false
		<-s.l.turns
	}
}

// Close ends the stream. It may be called once.
func (s *OpenStream) Close() {
	s.Done()
	s.l.streams.Give(s.caller, 1)
}
