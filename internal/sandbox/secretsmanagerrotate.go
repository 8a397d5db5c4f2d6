package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// rotations are the rotations of a SecretsManager.
type rotations struct {
	speed     float64 // divides the times of rules and retries
	functions map[string]*Function
	ctx       context.Context
	stop      context.CancelFunc
	running   sync.WaitGroup
}

// rotation is what RotateSecret has set for a secret.
type rotation struct {
	enabled  bool
	function string // ARN
	rules    rotationRules
	last     time.Time
	next     time.Time
	timer    *time.Timer
	busy     bool // the function is being called
}

// rotationRules are the RotationRules of a request. A day is the unit of AWS; the stand-in has
// days of its own speed.
type rotationRules struct {
	AutomaticallyAfterDays int64  `json:",omitempty"`
	ScheduleExpression     string `json:",omitempty"`
	Duration               string `json:",omitempty"`
}

// rotationTries is how often a rotation is tried, with all its steps, before Secrets Manager
// gives it up; rotationPause is the time between two tries.
const (
	rotationTries = 5
	rotationPause = time.Minute
)

// UseFunctions lets RotateSecret call these functions. Days of rotation rules pass speed times
// as fast.
func (m *SecretsManager) UseFunctions(speed float64, functions ...*Function) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rotations.speed = speed
	for _, f := range functions {
		m.rotations.functions[f.ARN()] = f
	}
}

// Close stops rotations, and waits for those under way.
func (m *SecretsManager) Close() {
	m.rotations.stop()
	m.mu.Lock()
	for _, s := range m.secrets {
		s.rotation.stopTimer()
	}
	m.mu.Unlock()
	m.rotations.running.Wait()
}

func (r *rotation) stopTimer() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

var rateRule = regexp.MustCompile(`^rate\(([1-9][0-9]{0,3}) (hour|day)s?\)$`)

// period returns the time between two rotations; 0: there is no schedule.
func (r rotationRules) period() (time.Duration, error) {
	day := 24 * time.Hour
	switch {
	case r.AutomaticallyAfterDays != 0 && r.ScheduleExpression != "":
		return 0, secretRefusal("InvalidParameterException", "You can't specify both AutomaticallyAfterDays and ScheduleExpression.")
	case r.AutomaticallyAfterDays < 0 || r.AutomaticallyAfterDays > 1000:
		return 0, secretRefusal("InvalidParameterException", "AutomaticallyAfterDays must be between 1 and 1000.")
	case r.AutomaticallyAfterDays > 0:
		return time.Duration(r.AutomaticallyAfterDays) * day, nil
	case r.ScheduleExpression == "":
		return 0, nil
	}
	rate := rateRule.FindStringSubmatch(r.ScheduleExpression)
	if rate == nil {
		return 0, secretRefusal("InvalidParameterException", "The stand-in has schedules of the form rate(N hours) and rate(N days).")
	}
	n, _ := strconv.Atoi(rate[1])
	if rate[2] == "hour" {
		return time.Duration(n) * time.Hour, nil
	}
	return time.Duration(n) * day, nil
}

// rotate is RotateSecret. It is called with mu held.
func (m *SecretsManager) rotate(s *storedSecret, req *secretRequest) (map[string]any, error) {
	r := &s.rotation
	function := req.RotationLambdaARN
	if function == "" {
		function = r.function
	}
	rules := r.rules
	if req.RotationRules != nil {
		rules = *req.RotationRules
	}
	_, err := rules.period()
	switch {
	case err != nil:
		return nil, err
	case function == "":
		return nil, secretRefusal("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
	case m.rotations.functions[function] == nil:
		return nil, secretRefusal("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. "+
			"Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.")
	case s.labels["AWSCURRENT"] == "":
		return nil, secretRefusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
	}
	r.enabled, r.function, r.rules = true, function, rules
	m.schedule(s)
	token := req.ClientRequestToken
	if token == "" {
		token = uuid.NewString()
	}
	if req.RotateImmediately != nil && !*req.RotateImmediately {
		return s.named(nil), nil
	}
	if pending := s.labels["AWSPENDING"]; r.busy || pending != "" && pending != s.labels["AWSCURRENT"] && pending != token {
		if !r.busy {
			m.begin(s, pending)
		}
		return nil, secretRefusal("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
	}
	m.begin(s, token)
	return s.named(map[string]any{"VersionId": token}), nil
}

// schedule sets the time of the next rotation. It is called with mu held.
func (m *SecretsManager) schedule(s *storedSecret) {
	r := &s.rotation
	r.stopTimer()
	r.next = time.Time{}
	period, err := r.rules.period()
	if err != nil || period == 0 || m.rotations.ctx.Err() != nil {
		return
	}
	period = time.Duration(float64(period) / m.rotations.speed)
	r.next = time.Now().Add(period)
	r.timer = time.AfterFunc(period, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !r.enabled || s.deleted {
			return
		}
		m.schedule(s)
		if r.busy {
			return
		}
		token := s.labels["AWSPENDING"]
		if token == "" || token == s.labels["AWSCURRENT"] {
			token = uuid.NewString()
		}
		m.begin(s, token)
	})
}

// begin labels a version that has no value yet as pending, and calls the function in the
// background. It is called with mu held.
func (m *SecretsManager) begin(s *storedSecret, token string) {
	if m.rotations.ctx.Err() != nil {
		return
	}
	s.labels["AWSPENDING"] = token
	s.rotation.busy = true
	function, speed := m.rotations.functions[s.rotation.function], m.rotations.speed
	m.rotations.running.Go(func() {
		for try := 1; ; try++ {
			err := m.steps(function, s, token)
			m.mu.Lock()
			if err == nil {
				s.rotation.last = time.Now()
				m.schedule(s)
			}
			ends := err == nil || try == rotationTries || m.rotations.ctx.Err() != nil
			if ends {
				s.rotation.busy = false
			}
			m.mu.Unlock()
			if ends {
				return
			}
			select {
			case <-time.After(time.Duration(float64(rotationPause) / speed)):
			case <-m.rotations.ctx.Done():
			}
		}
	})
}

// steps calls the function for each step.
func (m *SecretsManager) steps(f *Function, s *storedSecret, token string) error {
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		event, err := json.Marshal(map[string]string{"Step": step, "SecretId": secretARN + s.name + "-AbCdEf", "ClientRequestToken": token,
			"RotationToken": uuid.NewString()})
		if err != nil {
			return err
		}
		if _, err := f.Invoke(m.rotations.ctx, event); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

// describe is DescribeSecret. It is called with mu held.
func (s *storedSecret) describe() map[string]any {
	stages := map[string][]string{}
	for label, id := range s.labels {
		stages[id] = append(stages[id], label)
	}
	more := map[string]any{"VersionIdsToStages": stages, "RotationEnabled": s.rotation.enabled}
	if r := s.rotation; r.function != "" {
		more["RotationLambdaARN"], more["RotationRules"] = r.function, r.rules
		for name, at := range map[string]time.Time{"LastRotatedDate": r.last, "NextRotationDate": r.next} {
			if !at.IsZero() {
				more[name] = epochSeconds(at)
			}
		}
	}
	var changed time.Time
	for _, v := range s.versions {
		if v.created.After(changed) {
			changed = v.created
		}
	}
	if !changed.IsZero() {
		more["LastChangedDate"] = epochSeconds(changed)
	}
	return s.named(more)
}

// cancelRotation is CancelRotateSecret. It is called with mu held.
func (s *storedSecret) cancelRotation() (map[string]any, error) {
	if !s.rotation.enabled {
		return nil, secretRefusal("InvalidRequestException", "You can't cancel the rotation of a secret that has none.")
	}
	s.rotation.enabled, s.rotation.next = false, time.Time{}
	s.rotation.stopTimer()
	return s.named(nil), nil
}
