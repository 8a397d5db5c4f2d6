package app

import (
	"log/slog"
	"time"

	"gateway/internal/modelswap"
)

// Options say how an app runs, besides its settings.
type Options struct {
	Log         *slog.Logger
	Version     string
	MemoryLimit int64        // of the process, in bytes; 0: none
	LogDropped  func() int64 // number of log lines that were dropped; nil: none are
	// DrainTime is how long a stopping app goes on taking requests while
	// clients hold connections that they may use at any moment.
	DrainTime time.Duration
	// ForCommand says that the app runs for one command: it starts no renewals by
	// itself and has no traces.
	ForCommand bool

	// function says that the app has no listeners: OpenFunction sets it.
	function bool
	// simulation makes times and ids for Simulate, which works in the past; nil: the
	// present.
	simulation *simulation

	// WrapPorts changes the ports of the renewal engine, for tests of crashes; nil
	// leaves them as they are.
	WrapPorts func(modelswap.Ports) modelswap.Ports
	// DemoCustomers is how many customers the demo generates; zero: 6000.
	DemoCustomers int
	// These are shorter in tests; zero: the packages' own.
	secretRefresh, databaseLifetime, maxHandling time.Duration
	// withoutInsights says that nothing is counted for insights, for measurements of
	// what that costs.
	withoutInsights bool
}

// DrainTime is the drainTime of a service.
const DrainTime = 3 * time.Second
