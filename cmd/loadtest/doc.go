// Loadtest puts a real gateway under load and prints what came of it, as
// tables in Markdown: `make load`.
//
//	make load                              every scenario
//	make load SCENARIO=quick               a short form of each, three minutes in all
//	make load SCENARIO='overload faults'   these
//	make load ARGS='-race -soak 5m' SCENARIO=soak
//
// Figures are to be read beside others of the same run: how fast a machine is,
// and what else it does, changes from day to day.
//
// # What runs
//
// This process is the client. It starts the others, each of which ends with it:
//
//	endpoint   the stand-in for AWS (package sandbox), and before it a runtime
//	           of its own: fast, of a size that can be set, with faults
//	gateway    the binary, on SQLite in a new data dir, with ledger, validation
//	           and metrics on; its models were trained by its own renewals
//	floor      a bare chi handler with a fixed answer: what HTTP itself costs
//	proxy      httputil.ReverseProxy before the runtime
//
// # What is checked
//
// Every score. A score depends on the row and on the model; the client has the
// rows and reads the models' artifacts, so it computes by itself what the model
// named in an answer says about the row that was sent. One wrong answer fails
// the run.
//
// # How time is measured
//
// In a closed loop every connection sends its next request when it has an
// answer. In an open loop requests are due at times fixed in advance, and a
// latency counts from then: a stall shows in all the requests it held up.
// Processor time is what the kernel counts for a process, over the same window
// as the requests.
package main
