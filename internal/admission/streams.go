package admission

import (
	"context"
	"errors"
	"time"

	"gateway/internal/failure"
)

// A stream lasts as long as its caller likes, so it holds no place while it
// waits for the caller. It takes a turn for each chunk of its rows, and gives it
// back when they are scored. Turns are apart from the places of other requests:
// streams wait for each other and never take a place from a prediction.

// turnPlaces is how many places of the floor one turn stands for; streams have
// turns for half of the floor.
const turnPlaces = 8

// OpenStream is a stream that was let in.
type OpenStream struct {
	l      *Limit
	caller string
	scores bool // has a turn
}

// Open lets a stream in, or says why not. key is the caller's API key, as
// for Enter; caller is who is charged for the stream, and is never empty. It
// returns an error that matches ErrShare where that caller has too many.
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

// Begin waits for a turn to score rows. Who has waited longest is next.
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

// Done gives the turn back. It may be called again.
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
