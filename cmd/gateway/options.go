package main

import (
	"log/slog"
	"time"

	"gateway/internal/modelswap"
)

// options say how an app runs, besides its settings.
type options struct {
	log         *slog.Logger
	version     string
	memoryLimit int64        // of the process, in bytes; 0: none
	logDropped  func() int64 // number of log lines that were dropped; nil: none are
	// drainTime is how long a stopping app goes on taking requests while
	// clients hold connections that they may use at any moment.
	drainTime time.Duration
	// forCommand says that the app runs for one command: it starts no renewals by
	// itself and has no traces.
	forCommand bool

	// wrapPorts changes the ports of the renewal engine, for tests of crashes; nil
	// leaves them as they are.
	wrapPorts func(modelswap.Ports) modelswap.Ports
	// These are shorter in tests; zero: the packages' own.
	secretRefresh, databaseLifetime, maxHandling time.Duration
}

// serviceDrainTime is the drainTime of a service.
const serviceDrainTime = 3 * time.Second
