// Package audittest has an audit log for tests.
package audittest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gateway/internal/audit"
	"gateway/internal/failure"
)

var _ audit.Log = (*Log)(nil)

// Log is an audit log in memory.
type Log struct {
	mu    sync.Mutex
	acts  []audit.Entry // newest first
	err   error
	clock error // of CheckClock
}

// BeginAct implements audit.Log.
func (s *Log) BeginAct(_ context.Context, a audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		a.Count = 1
		s.acts = append([]audit.Entry{a}, s.acts...)
	}
	return s.err
}

// EndAct implements audit.Log.
func (s *Log) EndAct(_ context.Context, id string, status int, target string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.acts {
		if a := &s.acts[i]; a.ID == id {
			a.Status = status
			a.Target = cmp.Or(target, a.Target)
		}
	}
	return s.err
}

// CountAct implements audit.Log.
func (s *Log) CountAct(_ context.Context, a audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if i := slices.IndexFunc(s.acts, func(known audit.Entry) bool { return known.ID == a.ID }); i >= 0 {
		s.acts[i].Count, s.acts[i].Detail = a.Count, a.Detail
		return nil
	}
	s.acts = append([]audit.Entry{a}, s.acts...)
	return nil
}

// CheckClock implements audit.Log.
func (s *Log) CheckClock(context.Context, time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

// RemoveSignIns implements audit.Log.
func (s *Log) RemoveSignIns(_ context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = slices.DeleteFunc(s.acts, func(a audit.Entry) bool { return a.Token == "" && a.At.Before(before) })
	return s.err
}

// Acts implements audit.Log.
func (s *Log) Acts(_ context.Context, limit int, before string) ([]audit.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := 1 + slices.IndexFunc(s.acts, func(a audit.Entry) bool { return a.ID == before })
	if before != "" && from == 0 {
		return nil, failure.Errorf(failure.NotFound, "there is no act with this id")
	}
	return slices.Clone(s.acts[from:min(from+limit, len(s.acts))]), s.err
}

// Fail makes all calls fail with err, until it is nil.
func (s *Log) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// DoubtClock makes CheckClock return err.
func (s *Log) DoubtClock(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = err
}
