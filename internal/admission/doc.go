// Package admission keeps the gateway steady when more requests come than it, or
// the endpoint behind it, can answer.
//
// A [Limit] guards the routes of apps. It has a number of places, and a request holds one
// place or several while it is handled. A request that gets none is refused, before its
// body is read if possible.
//
// The queue of scoring.Batch is a second bound, behind the Limit. The queue bounds calls of
// the endpoint: how many there are, how long they take, which requests can be answered in
// time. The Limit bounds callers: how many requests they have, how much memory these hold,
// and which share of it one caller has. The Limit reads the length of the queue and does
// not estimate it from the duration of requests (decision 18).
package admission
