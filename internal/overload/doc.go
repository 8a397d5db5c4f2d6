// Package overload keeps the gateway steady when more comes than it, or the
// endpoint behind it, can do. It is the one package that knows failsafe-go.
//
//   - A [Limit] stands before the routes of apps. It decides, before a body is
//     read if it can, who gets one of the places in which requests are handled.
//   - A [Breaker] stands before a model, below the queue that puts rows together
//     (scoring.Batch). It stops asking a model that no longer answers.
//
// There is a second bound behind the Limit, the queue of scoring.Batch. They do
// not do the same. The queue knows the endpoint: how many calls it takes, how
// long they last, who can be answered in time. The Limit knows the callers: it
// bounds what the process holds in memory, and sees to it that one caller does
// not take all of it. So the Limit asks the queue how long it is, and does not
// guess that from the time that requests take (docs/decisions/0018).
package overload
