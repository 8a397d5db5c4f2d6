package modelswap

import (
	"context"
	"errors"
	"slices"
	"time"
)

// keepFiles is the number of renewals, the newest, that keep their intermediate
// files, so that they can be resumed and examined. So does the one that made the
// newest training data.
const keepFiles = 5

// tidy removes the files of older renewals and the models that are too old for a
// rollback. It runs after each renewal and at each start, so that it also removes
// what a process that died left behind.
func (e *Engine) tidy(ctx context.Context) {
	const look = 20
	// Models are listed first: the renewal of each listed model is then among the
	// renewals listed below.
	models, err := e.Models(ctx)
	newest, err2 := e.ports.Renewals.Renewals(ctx, look, "")
	err = errors.Join(err, err2)
	keep := make(map[string]bool) // renewals that may continue
	data := false                 // one so far has training data
	for i, r := range newest {
		newestData := !data && r.hasTrainingData(e.opts.Schema.Fingerprint())
		data = data || newestData
		if i < keepFiles || !r.Status.Final() {
			keep[r.ID] = true
			continue
		}
		if newestData {
			continue // TrainingData opens it, although the newer renewals have failed
		}
		err = errors.Join(err, e.ports.Files.RemoveAll(ctx, r.folder()))
		if r.State.Export != "" {
			err = errors.Join(err, e.ports.Files.RemoveAll(ctx, r.State.Export))
		}
	}
	if err == nil {
		err = e.removeModels(ctx, models, keep)
	}
	switch {
	case err == nil:
		e.tidying.Succeeded(e.log.Info, "the files of old renewals are removed again")
	case ctx.Err() == nil:
		e.tidying.Failed(e.log.Warn, err, "cannot remove the files of old renewals; trying again after each renewal")
	}
}

// folder returns the folder of a renewal's files.
func (r *Renewal) folder() string { return "renewals/" + r.ID }

// removeModels removes all models but the serving one, the newest that served,
// and those of renewals that may continue. Their records stay. A model is removed
// before that is recorded: if the process dies in between, it is removed again.
func (e *Engine) removeModels(ctx context.Context, models []Model, renewals map[string]bool) error {
	good := slices.DeleteFunc(slices.Clone(models), func(m Model) bool { return m.DeployedAt == nil || m.RemovedAt != nil || m.Serving })
	slices.SortFunc(good, func(a, b Model) int { return b.DeployedAt.Compare(*a.DeployedAt) })
	keep, kept := make(map[string]bool), make(map[string]int) // number kept, by schema
	for _, m := range good {
		if kept[m.Schema]++; kept[m.Schema] <= e.opts.KeepModels {
			keep[m.Name] = true
		}
	}
	var faults []error
	for _, m := range models {
		if m.Serving || m.RemovedAt != nil || keep[m.Name] || renewals[m.Renewal] {
			continue
		}
		err := e.ports.Deployer.RemoveModel(ctx, m.Name)
		if conflict, _ := isConflict(err); conflict {
			continue // It serves gateways of another schema.
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		faults = append(faults, e.ports.Models.MarkRemoved(ctx, m.Name, e.opts.Now().UTC().Truncate(time.Millisecond)))
		e.log.Info("removed an old model", "model", m.Name)
	}
	return errors.Join(faults...)
}
