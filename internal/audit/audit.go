// Package audit is the log of what operators did, and of failed sign-ins.
package audit

import (
	"context"
	"time"
)

// Entry is an entry of the audit log: an operator's request, or failed sign-ins of one
// address. An operator's request is recorded before it is handled, and its status
// afterwards. So a request during which the process ends is in the log too, without a
// status.
type Entry struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Token     string    `json:"token"`                  // name of the operator's token; empty for failed sign-ins
	Address   string    `json:"address"`                // IP address of the client
	Forwarded string    `json:"forwarded_for,omitzero"` // the header X-Forwarded-For as it was sent; a client can send any text
	RequestID string    `json:"request_id"`
	Action    string    `json:"action"` // method and route
	Target    string    `json:"target"` // the renewal or model that was changed, once it is known
	Detail    string    `json:"detail"` // the body of the request, unless it has customers
	Status    int       `json:"status"` // of the response; 0 while there is none
	Count     int64     `json:"count"`  // number of failed sign-ins of the entry; 1 for an operator's request
}

// Log is the audit log. Package store implements it in the database.
type Log interface {
	// BeginAct records an operator's request before it is handled.
	BeginAct(ctx context.Context, a Entry) error
	// CountAct records an entry that stands for Count events. If there is an entry with the
	// ID, it gets the new Count and Detail.
	CountAct(ctx context.Context, a Entry) error
	// CheckClock returns an error if now may come from a wrong clock. Nothing may be removed
	// by its age then.
	CheckClock(ctx context.Context, now time.Time) error
	// RemoveSignIns removes entries of failed sign-ins that are older than a time.
	RemoveSignIns(ctx context.Context, before time.Time) error
	// EndAct records the status of a request that has been handled, and its target.
	EndAct(ctx context.Context, id string, status int, target string) error
	// Acts returns at most limit entries, newest first, that are older than the entry with
	// the id before; empty: from the newest.
	Acts(ctx context.Context, limit int, before string) ([]Entry, error)
}
