package console

import (
	"time"

	"gateway/api/console/chart"
	"gateway/internal/modelswap"
)

// gridOf draws the attempts of each step of a renewal.
func gridOf(steps, attempts []modelswap.Step, now time.Time) chart.Grid {
	grid := chart.Grid{Title: "Steps by attempt", Empty: "No step has started."}
	for _, step := range steps {
		row := chart.GridStep{Name: string(step.Name)}
		for _, one := range attempts {
			if one.Name == step.Name {
				row.Attempts = append(row.Attempts, cellOf(one, now))
			}
		}
		if len(row.Attempts) == 0 {
			row.Attempts = []chart.GridAttempt{cellOf(step, now)}
		}
		grid.Steps = append(grid.Steps, row)
	}
	return grid
}

func cellOf(step modelswap.Step, now time.Time) chart.GridAttempt {
	cell := chart.GridAttempt{State: cellStates[step.Status], Duration: tookOf(step, now)}
	if step.Error != nil {
		cell.Note = *step.Error
	}
	return cell
}

var cellStates = map[modelswap.StepStatus]chart.State{
	modelswap.StepPending:   chart.Pending,
	modelswap.StepRunning:   chart.Running,
	modelswap.StepSucceeded: chart.Succeeded,
	modelswap.StepFailed:    chart.Failed,
	modelswap.StepSkipped:   chart.Skipped,
	modelswap.StepCancelled: chart.Cancelled,
}
