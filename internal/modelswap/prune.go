package modelswap

import (
	"context"
	"errors"
	"slices"
	"time"
)

// keepFiles is how many renewals keep their intermediate files: the newest, so
// that they can be resumed and looked into.
const keepFiles = 5

// tidy removes the files of older renewals and the models that are too old to
// go back to. It goes over them after each renewal and at each start, so what a
// process that died has left goes too.
func (e *Engine) tidy(ctx context.Context) {
	const look = 20
	// The models first: whichever is on the list, its renewal is on the other one.
	models, err := e.Models(ctx)
	newest, err2 := e.ports.Renewals.Renewals(ctx, look, "")
	err = errors.Join(err, err2)
	keep := make(map[string]bool) // renewals that may go on
	for i, r := range newest {
		if i < keepFiles || !r.Status.Final() {
			keep[r.ID] = true
			continue
		}
		err = errors.Join(err, e.ports.Files.RemoveAll(ctx, r.folder()))
		if r.State.Export != "" {
			err = errors.Join(err, e.ports.Files.RemoveAll(ctx, r.State.Export))
		}
	}
	if err == nil {
		err = e.removeModels(ctx, models, keep)
	}
	if err != nil && ctx.Err() == nil {
		e.log.Warn("what old renewals left could not be removed", "error", err)
	}
}

// folder is where a renewal keeps its files.
func (r *Renewal) folder() string { return "renewals/" + r.ID }

// removeModels removes all models but the one that serves, the last good ones,
// and those of renewals that may go on. Their records stay. A model is removed
// before that is noted: a process that dies in between removes it again.
func (e *Engine) removeModels(ctx context.Context, models []Model, renewals map[string]bool) error {
	good := slices.DeleteFunc(slices.Clone(models), func(m Model) bool { return m.DeployedAt == nil || m.RemovedAt != nil || m.Serving })
	slices.SortFunc(good, func(a, b Model) int { return b.DeployedAt.Compare(*a.DeployedAt) })
	keep, kept := make(map[string]bool), make(map[string]int) // kept by schema
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
			continue // it serves elsewhere: for gateways of another schema
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		faults = append(faults, e.ports.Models.MarkRemoved(ctx, m.Name, time.Now().UTC().Truncate(time.Millisecond)))
		e.log.Info("an old model was removed", "model", m.Name)
	}
	return errors.Join(faults...)
}
