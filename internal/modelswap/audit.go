package modelswap

import "time"

// Act is an entry of the audit log: what an operator did or tried to do, or
// failed sign-ins of one address. An operator's act is recorded before it is
// done and its end afterwards, so that an act during which the process dies is
// in the log as well, without an end.
type Act struct {
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
