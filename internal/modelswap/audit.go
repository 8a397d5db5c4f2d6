package modelswap

import "time"

// Act is something that an operator did, or tried to: an entry of the audit
// log. It is recorded before it is done, and its end afterwards, so that an
// act that takes the process down is in the log as well, without an end.
type Act struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Token     string    `json:"token"`                  // name of the token that was shown
	Address   string    `json:"address"`                // that the request came from
	Forwarded string    `json:"forwarded_for,omitzero"` // what a proxy, or whoever pretends to be one, says of the caller
	RequestID string    `json:"request_id"`
	Action    string    `json:"action"` // method and route
	Target    string    `json:"target"` // the renewal or model that it was about, once that is known
	Detail    string    `json:"detail"` // the request's body where it holds no customers
	Status    int       `json:"status"` // of the answer; 0 while there is none
}
