package sandbox

import (
	"cmp"
	"slices"
	"time"
)

const noHosts = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a different ML instance type or after some time."

// rollout is the deployment of a new fleet, or its rollback.
type rollout struct {
	next    *fleet
	begun   time.Time
	entered time.Time // start of the current phase
	phases  []phase   // the current one and those that follow
	fault   *Ordered

	// The state after the last phase.
	status string
	takes  bool // the new fleet serves
	reason string
}

// phase is a time in which the new fleet has a constant share of the traffic.
type phase struct {
	lasts   time.Duration
	share   float64
	status  string // EndpointStatus
	variant string // VariantStatus of the new fleet
}

// creation returns the rollout of a new endpoint.
func (s *Server) creation(next *fleet, fault *Ordered, now time.Time) *rollout {
	r := &rollout{next: next, begun: now, entered: now, fault: fault, status: "InService", takes: true,
		phases: []phase{{lasts: s.pace.Creating, status: "Creating", variant: "Creating"}}}
	if next.fault != "" {
		r.status, r.takes, r.reason = "Failed", false, next.fault
	}
	if fault != nil {
		switch fault.Kind {
		case Fail:
			r.status, r.takes, r.reason = "Failed", false, cmp.Or(fault.Reason, sprintf(unhealthy, next.variants[0].name))
		case NoCapacity:
			r.status, r.takes, r.reason = "Failed", false, cmp.Or(fault.Reason, noHosts)
		}
	}
	return r
}

// update returns the rollout of another configuration.
func (s *Server) update(next *fleet, deployment *deploymentConfig, fault *Ordered, now time.Time) *rollout {
	r := &rollout{next: next, begun: now, entered: now, fault: fault, status: "InService", takes: true}
	r.phases = append([]phase{{lasts: s.pace.Updating, status: "Updating", variant: "Creating"}}, deployment.phases(s.pace)...)
	kind, reason := Kind(""), ""
	if fault != nil {
		kind, reason = fault.Kind, fault.Reason
	}
	if next.fault != "" {
		kind, reason = Fail, next.fault
	}
	back := phase{lasts: s.pace.RollBack, status: "RollingBack", variant: "Deleting"}
	shifting := min(2, len(r.phases)) // the phases until both fleets answer
	switch kind {
	case Fail: // the new fleet never becomes healthy
		r.phases = append(r.phases[:1:1], back)
		r.takes, r.reason = false, cmp.Or(reason, sprintf(unhealthy, next.variants[0].name))
	case NoCapacity:
		r.phases = append(r.phases[:1:1], back)
		r.takes, r.reason = false, cmp.Or(reason, noHosts)
	case RollBack:
		r.phases = append(r.phases[:shifting:shifting], back)
		r.takes, r.reason = false, cmp.Or(reason, "The deployment was rolled back: the alarm gateway-errors went to ALARM.")
	case RollBackSilently:
		back.status = "Updating"
		r.phases = append(r.phases[:shifting:shifting], back)
		r.takes = false
	case RollBackFailed:
		back.share = 0.5
		r.phases = append(r.phases[:shifting:shifting], back)
		r.status, r.takes, r.reason = "UpdateRollbackFailed", false, cmp.Or(reason, noHosts)
	}
	return r
}

// settle completes what is due by now. The caller holds the lock.
func (e *endpoint) settle(s *Server, now time.Time) {
	if r := e.rollout; r != nil && e.status != "UpdateRollbackFailed" {
		for {
			p := r.phases[0]
			e.status = p.status
			due := r.entered.Add(p.lasts)
			stuck := r.fault != nil && r.fault.Kind == Stick && (len(r.phases) == 1 || p.share > 0) && r.fault.sticks()
			if now.Before(due) || stuck {
				return
			}
			r.entered = due
			if len(r.phases) == 1 {
				e.finish(r, due)
				return
			}
			r.phases = r.phases[1:]
		}
	}
	if e.settled.IsZero() || now.Before(e.settled) {
		return
	}
	switch e.status {
	case "Deleting":
		delete(s.endpoints, e.name)
		delete(s.tags, e.arn)
	case "Updating", "SystemUpdating":
		for _, v := range e.serving.variants {
			v.count, v.weight = v.desiredCount, v.desiredWeight
		}
		e.status, e.modified = "InService", e.settled
	}
	e.settled = time.Time{}
}

// finish ends a rollout.
func (e *endpoint) finish(r *rollout, now time.Time) {
	e.status, e.reason, e.modified = r.status, r.reason, now
	switch {
	case r.takes:
		e.serving, e.rollout = r.next, nil
	case r.status == "UpdateRollbackFailed":
		// The rollout stays, so that both fleets answer.
	default:
		e.rollout = nil
	}
}

// deploymentConfig is how the traffic shifts to a new fleet.
type deploymentConfig struct {
	BlueGreenUpdatePolicy *struct {
		TrafficRoutingConfiguration *struct {
			Type                  string
			WaitIntervalInSeconds *int64
			CanarySize            *capacity `json:",omitzero"`
			LinearStepSize        *capacity `json:",omitzero"`
		}
		TerminationWaitInSeconds         int64 `json:",omitzero"`
		MaximumExecutionTimeoutInSeconds int64 `json:",omitzero"`
	} `json:",omitzero"`
	RollingUpdatePolicy *struct {
		MaximumBatchSize                 *capacity
		WaitIntervalInSeconds            *int64
		MaximumExecutionTimeoutInSeconds int64     `json:",omitzero"`
		RollbackMaximumBatchSize         *capacity `json:",omitzero"`
	} `json:",omitzero"`
	AutoRollbackConfiguration *struct {
		Alarms []struct{ AlarmName string } `json:",omitzero"`
	} `json:",omitzero"`
}

type capacity struct {
	Type  string
	Value int64
}

// share returns the share of the fleet that c stands for.
func (c *capacity) share(instances int64) float64 {
	if c.Type == "CAPACITY_PERCENT" {
		return float64(c.Value) / 100
	}
	return float64(c.Value) / float64(max(1, instances))
}

// check returns an error unless a deployment is within the limits of the service model.
func (d *deploymentConfig) check(next *fleet) error {
	if d == nil {
		return nil
	}
	instances, serverless := next.instances()
	between := func(member string, n, least, most int64) error {
		if n < least || n > most {
			return validationf("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value between %d and %d", n, member, least, most)
		}
		return nil
	}
	size := func(member string, c *capacity, least, most float64) error {
		if c == nil || c.Value < 1 || !slices.Contains([]string{"INSTANCE_COUNT", "CAPACITY_PERCENT"}, c.Type) {
			return validationf("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have a type and a value", member)
		}
		if part := c.share(instances); part < least || part > most {
			return validationf("%s must be between %.0f%% and %.0f%% of the capacity of the fleet, which has %d instance(s).", member, least*100, most*100, instances)
		}
		if c.Type == "CAPACITY_PERCENT" && instances < 2 {
			return validationf("%s must be at least one instance and at most half of the fleet, which has %d instance(s).", member, instances)
		}
		return nil
	}
	bg, rolling := d.BlueGreenUpdatePolicy, d.RollingUpdatePolicy
	switch {
	case bg != nil && rolling != nil:
		return validationf("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy may be given.")
	case (bg != nil || rolling != nil) && serverless:
		return validationf("Deployment guardrails are not supported for serverless endpoints.")
	case bg != nil:
		t := bg.TrafficRoutingConfiguration
		if t == nil || t.WaitIntervalInSeconds == nil {
			return validationf("1 validation error detected: Value null at 'trafficRoutingConfiguration.waitIntervalInSeconds' failed to satisfy constraint: Member must not be null")
		}
		if err := cmp.Or(between("waitIntervalInSeconds", *t.WaitIntervalInSeconds, 0, 3600), between("terminationWaitInSeconds", bg.TerminationWaitInSeconds, 0, 3600)); err != nil {
			return err
		}
		if n := bg.MaximumExecutionTimeoutInSeconds; n != 0 {
			if err := between("maximumExecutionTimeoutInSeconds", n, 600, 28800); err != nil {
				return err
			}
		}
		switch t.Type {
		case "ALL_AT_ONCE":
		case "CANARY":
			return size("CanarySize", t.CanarySize, 0, 0.5)
		case "LINEAR":
			return size("LinearStepSize", t.LinearStepSize, 0.1, 0.5)
		default:
			return validationf("1 validation error detected: Value '%s' at 'trafficRoutingConfiguration.type' failed to satisfy constraint: Member must satisfy enum value set: [ALL_AT_ONCE, CANARY, LINEAR]", t.Type)
		}
	case rolling != nil:
		if rolling.WaitIntervalInSeconds == nil {
			return validationf("1 validation error detected: Value null at 'rollingUpdatePolicy.waitIntervalInSeconds' failed to satisfy constraint: Member must not be null")
		}
		if err := between("waitIntervalInSeconds", *rolling.WaitIntervalInSeconds, 0, 3600); err != nil {
			return err
		}
		return size("MaximumBatchSize", rolling.MaximumBatchSize, 0.05, 0.5)
	}
	return nil
}

// phases returns the phases in which both fleets answer, and the phase after them.
func (d *deploymentConfig) phases(p Pace) []phase {
	mixed := []phase{{lasts: p.Shifting, share: 0.5, status: "Updating", variant: "ActivatingTraffic"}}
	if d == nil {
		return mixed
	}
	steps := func(step float64, wait int64) (out []phase) {
		for share := step; share < 0.999; share += step {
			out = append(out, phase{lasts: p.seconds(wait), share: share, status: "Updating", variant: "Baking"})
		}
		return out
	}
	if bg := d.BlueGreenUpdatePolicy; bg != nil {
		t := bg.TrafficRoutingConfiguration
		switch t.Type {
		case "CANARY":
			mixed = []phase{{lasts: p.seconds(*t.WaitIntervalInSeconds), share: t.CanarySize.share(2), status: "Updating", variant: "Baking"}}
		case "LINEAR":
			mixed = steps(t.LinearStepSize.share(2), *t.WaitIntervalInSeconds)
		}
		if wait := bg.TerminationWaitInSeconds; wait > 0 {
			mixed = append(mixed, phase{lasts: p.seconds(wait), share: 1, status: "Updating", variant: "Baking"})
		}
	} else if r := d.RollingUpdatePolicy; r != nil {
		mixed = steps(r.MaximumBatchSize.share(2), *r.WaitIntervalInSeconds)
	}
	return mixed
}
