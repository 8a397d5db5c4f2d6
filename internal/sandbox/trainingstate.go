package sandbox

import (
	"cmp"
	"slices"
	"time"
)

// noCapacity is the message of SageMaker when it has no instances.
const noCapacity = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."

// messages of the secondary statuses in the wording of the service.
var messages = map[string]string{
	"Starting":            "Preparing the instances for training",
	"Pending":             "Training job waiting for capacity",
	"Downloading":         "Downloading input data",
	"Training":            "Training image download completed. Training in progress.",
	"Uploading":           "Uploading generated training model",
	"Completed":           "Training job completed",
	"Stopping":            "Stopping the training job",
	"Stopped":             "Training job stopped",
	"Interrupted":         "Training job interrupted: the spot instance was reclaimed",
	"MaxRuntimeExceeded":  "Training job runtime exceeded MaxRuntimeInSeconds provided",
	"MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}

// stages returns the stages of a job with its fault.
func (s *Server) stages(j *job) []stage {
	p := s.pace
	whole := []stage{
		{status: "Starting", lasts: p.Starting},
		{status: "Downloading", lasts: p.Downloading, starts: true},
		{status: "Training", lasts: p.Training, waits: true},
		{status: "Uploading", lasts: p.Uploading},
	}
	if j.fault == nil {
		return whole
	}
	switch f := j.fault.Fault; f.Kind {
	case Interrupt:
		again := slices.Clone(whole)
		again[0].status, again[1].starts = "Restarting", false
		return slices.Concat(whole[:2], []stage{{status: "Training", lasts: p.Training / 2}, {status: "Interrupted", lasts: p.Starting}}, again)
	case OddStatus:
		return slices.Insert(whole, 1, stage{status: cmp.Or(f.At, "Defragmenting"), lasts: p.Starting})
	case ExceedWait:
		return append(whole[:1], stage{status: "Pending"})
	}
	return whole
}

// over reports whether the job has ended.
func (j *job) over() bool {
	return j.status == "Completed" || j.status == "Failed" || j.status == "Stopped"
}

// enter changes the secondary status.
func (j *job) enter(status string, now time.Time, s *Server) {
	if n := len(j.transitions); n > 0 {
		j.transitions[n-1].EndTime = at(now)
	}
	j.secondary, j.entered = status, now
	j.transitions = append(j.transitions, transition{Status: status, StartTime: epoch(now), StatusMessage: messages[status]})
	if len(j.stages) > 0 && j.stages[0].status == status && j.stages[0].starts && j.work == nil {
		j.started = now
		j.work = s.startWork(j)
	}
}

// end ends the job.
func (j *job) end(status, secondary, reason string, now time.Time, s *Server) {
	j.stages = nil
	j.status, j.reason, j.ended = status, reason, now
	if w := j.work; w != nil {
		if w.done() && w.reason == "" && status != "Failed" {
			j.artifact = w.artifact // a stopped job may have an artifact, too
		}
		w.cancel()
	}
	if status == "Completed" {
		j.metrics = j.work.metrics
		for i := range j.metrics {
			j.metrics[i].Timestamp = epoch(now)
		}
	}
	j.enter(secondary, now, s)
	if reason != "" {
		j.transitions[len(j.transitions)-1].StatusMessage = reason
	}
	j.transitions[len(j.transitions)-1].EndTime = at(now)
}

// wants reports whether the job waits for its work alone.
func (j *job) wants(s *Server, now time.Time) bool {
	if len(j.stages) == 0 || !j.stages[0].waits || j.kind() == Stick {
		return false
	}
	return !now.Before(minTime(j.entered.Add(j.stages[0].lasts), j.runtimeEnd(s)))
}

// runtimeEnd returns when a job that has started reaches its maximum runtime.
func (j *job) runtimeEnd(s *Server) time.Time {
	return j.started.Add(s.pace.seconds(cmp.Or(j.in.StoppingCondition.MaxRuntimeInSeconds, 24*3600)))
}

func (j *job) kind() Kind {
	if j.fault == nil {
		return ""
	}
	return j.fault.Kind
}

// settle completes what is due by now. The caller holds the lock.
func (j *job) settle(s *Server, now time.Time) {
	for !j.over() {
		due := j.entered.Add(j.stages[0].lasts)
		if j.status == "InProgress" && j.limits(s, now) {
			return
		}
		if j.kind() == Stick && j.secondary == cmp.Or(j.fault.At, "Training") && j.fault.sticks() {
			return
		}
		if now.Before(due) {
			return
		}
		current := j.stages[0]
		if j.status == "Stopping" {
			j.end("Stopped", "Stopped", "", due, s)
			return
		}
		if j.fails(current, due, s) {
			return
		}
		if current.waits && !j.work.done() {
			return // the work has not ended yet
		}
		if current.waits {
			due = later(due, minTime(j.work.at, now))
			if j.work.reason != "" {
				j.end("Failed", "Failed", j.work.reason, due, s)
				return
			}
		}
		j.stages = j.stages[1:]
		if len(j.stages) == 0 {
			j.end("Completed", "Completed", "", due, s)
			return
		}
		j.enter(j.stages[0].status, due, s)
	}
}

// fails ends the job if its fault applies to the current stage.
func (j *job) fails(current stage, due time.Time, s *Server) bool {
	switch j.kind() {
	case NoCapacity:
		j.end("Failed", "Failed", cmp.Or(j.fault.Reason, noCapacity), due, s)
		return true
	case Fail:
		if current.status == cmp.Or(j.fault.At, "Training") {
			j.end("Failed", "Failed", cmp.Or(j.fault.Reason, "InternalServerError: We encountered an internal error. Please try again."), due, s)
			return true
		}
	}
	return false
}

// limits stops the job if it has exceeded its maximum runtime or wait, and reports whether
// nothing more happens now. With a ManualClock it waits for the work, so that a stopped job
// always has a model; on AWS it may have one within two minutes of the signal.
func (j *job) limits(s *Server, now time.Time) bool {
	switch {
	case j.secondary == "Training" && j.stages[0].waits:
		end := j.runtimeEnd(s)
		late := j.entered.Add(j.stages[0].lasts).After(end) || !s.manual() && !j.work.done() && !now.Before(end)
		if j.kind() != ExceedRuntime && !late {
			return false
		}
		if !now.Before(end) && (j.work.done() || !s.manual()) {
			j.end("Stopped", "MaxRuntimeExceeded", "", end, s)
		}
		return true
	case j.kind() == ExceedWait && j.secondary == "Pending":
		end := j.created.Add(s.pace.seconds(cmp.Or(j.in.StoppingCondition.MaxWaitTimeInSeconds, 24*3600)))
		if !now.Before(end) {
			j.end("Stopped", "MaxWaitTimeExceeded", "", end, s)
		}
		return true
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
