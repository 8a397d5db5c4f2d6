package app

import (
	"context"
	"log/slog"
	"time"

	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/scoring"
	"gateway/internal/store"
)

// backEnd is what differs between the platforms.
type backEnd struct {
	scorer    liveScorer
	exporter  modelswap.Exporter
	converter modelswap.Converter // nil: the engine converts
	files     modelswap.Files
	trainer   modelswap.Trainer
	deployer  modelswap.Deployer
	customers customerStore
	ledger    predict.Ledger
	// count counts the customers. What the platform does not count is
	// unknownCount.
	count func(context.Context) (store.Counts, error)
	// follow keeps up, until ctx ends, with which model serves.
	follow func(ctx context.Context, log *slog.Logger)
	// remote is the chain before the endpoint, the same as scorer. Nil, as the
	// next: the model is in this process.
	remote *scoring.Chain
	// noRetriesWhile stops the repeating of its calls while a function says so.
	noRetriesWhile func(func() bool)
	// poll is how often to look at work that takes time; zero: the engine's own.
	poll time.Duration
}

// unknownCount stands for what the platform does not count.
const unknownCount = -1

type liveScorer interface {
	predict.Scorer
	Ready(context.Context) error
}

type customerStore interface {
	predict.Customers
	predict.CustomerStore
}
