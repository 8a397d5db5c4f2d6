// Package audit is the log of what operators did, and of failed sign-ins.
package audit

import (
	"context"
	"time"
)

// Entry is an entry of the audit log: what an operator did or tried to do, or
// failed sign-ins of one address. An operator's act is recorded before it is
// done and its end afterwards, so that an act during which the process dies is
// in the log as well, without an end.
type Entry struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Token     string    `json:"token"`                  // name of the token that was shown
	Address   string    `json:"address"`                // IP address of the client
	Forwarded string    `json:"forwarded_for,omitzero"` // X-Forwarded-For as it came; a client can write anything there
	RequestID string    `json:"request_id"`
	Action    string    `json:"action"` // method and route
	Target    string    `json:"target"` // the renewal or model that it was about, once that is known
	Detail    string    `json:"detail"` // the request's body where it holds no customers
	Status    int       `json:"status"` // of the answer; 0 while there is none
	Count     int64     `json:"count"`  // of the failed sign-ins that the entry stands for; 1 for an operator's act
}

// Log is the audit log. Package store has it in the database.
type Log interface {
	// BeginAct records what an operator is about to do.
	BeginAct(ctx context.Context, a Entry) error
	// CountAct records an act that stands for Count equal ones. An act that has
	// the ID already takes the new Count and Detail.
	CountAct(ctx context.Context, a Entry) error
	// CheckClock returns an error while now may be the time of a wrong clock, so
	// that nothing may be removed by its age.
	CheckClock(ctx context.Context, now time.Time) error
	// RemoveSignIns removes the failed sign-ins that began before a time.
	RemoveSignIns(ctx context.Context, before time.Time) error
	// EndAct records what came of it.
	EndAct(ctx context.Context, id string, status int, target string) error
	// Acts returns the newest, newest first, at most limit, older than the one
	// named before (empty: from the newest).
	Acts(ctx context.Context, limit int, before string) ([]Entry, error)
}
