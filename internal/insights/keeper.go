package insights

import (
	"context"
	"log/slog"
	"time"

	"gateway/internal/outage"
	"gateway/internal/predict"
)

// Store keeps the sums of a model line.
type Store interface {
	Profiles
	// Sums returns the sums of periods that begin at from or later, and before to. There
	// may be several of the same key, which are to be added. An empty model: all.
	Sums(ctx context.Context, model string, from, to time.Time) ([]Sum, error)
	// QualitySums are the Sums with Rows, Scores and Outcomes alone.
	QualitySums(ctx context.Context, model string, from, to time.Time) ([]Sum, error)
	// DelaySums are the Sums of all models with Rows and Delays alone.
	DelaySums(ctx context.Context, from, to time.Time) ([]Sum, error)
	// MergeParts merges some of the parts of sums that transactions have left, and
	// reports whether there may be more.
	MergeParts(ctx context.Context) (merged int, more bool, err error)
	// Fold adds the sums of one model in a coarser period before a time to one sum of
	// that period, and reports whether there were any.
	Fold(ctx context.Context, fine, coarse Period, before time.Time) (folded bool, err error)
	// Uncounted returns the oldest predictions that are not counted, at most limit.
	Uncounted(ctx context.Context, limit int) ([]predict.Prediction, error)
	// CountUncounted counts predictions that Uncounted returned, with their bins and
	// outcomes. One that is counted meanwhile is not counted again.
	CountUncounted(ctx context.Context, rows []predict.Prediction) error
}

const (
	// mergeEvery is how often parts are merged. A merge takes as long as storing some tens
	// of predictions. Readers add the parts that are not merged to the sums.
	mergeEvery = 10 * time.Second
	// keepMinutes and keepHours are how old minutes are when they become hours, and hours
	// when they become days. See coarser.
	keepMinutes = time.Hour
	keepHours   = 35 * 24 * time.Hour
	// tidyEvery is how often sums that are too old are looked for, and predictions that
	// are not counted.
	tidyEvery = 10 * time.Minute
	// countedPage is how many predictions are counted before a pause.
	countedPage = 256
)

// Keeper keeps the sums of a line in order, in the background: it merges their parts,
// folds old minutes and hours, and counts predictions that an earlier version of the
// gateway has recorded. Several processes may each run one on the same database.
type Keeper struct {
	store  Store
	binner *Binner
	log    *slog.Logger
	merges outage.Outage
}

// NewKeeper returns the Keeper of a line.
func NewKeeper(store Store, binner *Binner, log *slog.Logger) *Keeper {
	return &Keeper{store: store, binner: binner, log: log}
}

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(mergeEvery)
	defer tick.Stop()
	var tidied time.Time
	for {
		err := k.Merge(ctx)
		if now := time.Now(); err == nil && now.Sub(tidied) >= tidyEvery {
			if err = k.Tidy(ctx, now); err == nil {
				tidied = now
			}
		}
		if ctx.Err() != nil {
			return
		}
		k.merges.Record(k.log, err, "cannot keep the sums of insights in order; they stay complete, and their figures take longer; trying again",
			"the sums of insights are kept in order again")
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Merge merges the parts of sums.
func (k *Keeper) Merge(ctx context.Context) error {
	for more := true; more; {
		var err error
		if _, more, err = k.store.MergeParts(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Tidy counts predictions that are not counted, and folds old sums.
func (k *Keeper) Tidy(ctx context.Context, now time.Time) error {
	if err := k.countOld(ctx); err != nil {
		return err
	}
	if err := k.fold(ctx, Minute, Hour, Hour.Start(now.Add(-keepMinutes))); err != nil {
		return err
	}
	return k.fold(ctx, Hour, Day, Day.Start(now.Add(-keepHours)))
}

func (k *Keeper) fold(ctx context.Context, fine, coarse Period, before time.Time) error {
	for folded := true; folded; {
		var err error
		if folded, err = k.store.Fold(ctx, fine, coarse, before); err != nil {
			return err
		}
	}
	return nil
}

// coarser returns the key of the period that a sum is in, or will be in once the Keeper
// has come to it.
func (k Key) coarser(now time.Time) Key {
	if k.Period == Minute && k.Start.Before(Hour.Start(now.Add(-keepMinutes))) {
		k.Period, k.Start = Hour, Hour.Start(k.Start)
	}
	if k.Period == Hour && k.Start.Before(Day.Start(now.Add(-keepHours))) {
		k.Period, k.Start = Day, Day.Start(k.Start)
	}
	return k
}

// countOld counts the predictions that an earlier version of the gateway has recorded,
// or still records beside this one.
func (k *Keeper) countOld(ctx context.Context) error {
	total := 0
	for {
		start := time.Now()
		rows, err := k.store.Uncounted(ctx, countedPage)
		if err != nil || len(rows) == 0 {
			if total > 0 {
				k.log.Info("counted predictions of an earlier version of the gateway for insights", "rows", total)
			}
			return err
		}
		if err := k.binner.Fill(ctx, rows); err != nil {
			return err
		}
		if err := k.store.CountUncounted(ctx, rows); err != nil {
			return err
		}
		total += len(rows)
		if err := k.Merge(ctx); err != nil {
			return err
		}
		if err := rest(ctx, 2*time.Since(start)); err != nil { // requests come first
			return err
		}
	}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
