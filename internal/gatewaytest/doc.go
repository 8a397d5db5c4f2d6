// Package gatewaytest is what tests of whole gateways share, be the gateway in the
// test's process (internal/app) or a process of its own (cmd/gateway): waiting,
// data dirs that were prepared once, sample data, load, and the services that a
// gateway needs.
package gatewaytest
