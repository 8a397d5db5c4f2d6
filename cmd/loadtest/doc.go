// Loadtest loads a gateway and prints the results as tables in Markdown: `make load`.
//
//	make load                              every scenario
//	make load SCENARIO=quick               a short form of each, 3 minutes in all
//	make load SCENARIO='overload faults'   these scenarios
//	make load ARGS='-race -soak 5m' SCENARIO=soak
//
// Compare figures only within one run: the speed of a machine and its other load change from
// day to day.
//
// # Processes
//
// This process is the client. It starts the others, which end with it:
//
//	endpoint   the stand-in for AWS (package sandbox) and, in front of it, a fast
//	           runtime with a configurable capacity and faults
//	gateway    the binary, on SQLite in a new data dir, with ledger, validation
//	           and metrics on; its own renewals have trained its models
//	floor      a chi handler with a fixed answer: the cost of HTTP itself
//	proxy      httputil.ReverseProxy before the runtime
//
// # Checks
//
// The client checks every score. It has the rows and the artifacts of the models, and computes
// the score of the sent row with the model that the answer names. One wrong answer fails the
// run.
//
// # Time
//
// In a closed loop each connection sends its next request when it has an answer. In an open
// loop requests are due at fixed times, and a latency counts from that time, so that a stall
// shows in all requests that it delays. Processor time is that of the kernel for a process
// within the window of the requests.
package main
