// Package admission keeps the gateway steady when more requests come than it, or
// the endpoint behind it, can answer.
//
// A [Limit] stands before the routes of apps. It decides, before a body is read
// where it can, which requests get one of the places in which requests are
// handled.
//
// The queue of scoring.Batch is a second bound, behind the Limit. The queue knows
// the endpoint: how many calls it takes, how long they last, which requests can be
// answered in time. The Limit knows the callers: it bounds the memory that their
// requests hold, and what one caller may take of it. The Limit asks the queue for
// its length and does not estimate it from the duration of requests
// (decision 18).
package admission
