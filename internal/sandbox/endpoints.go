package sandbox

import (
	"slices"
	"time"
)

// endpoint is an endpoint with its fleets.
type endpoint struct {
	name, arn         string
	created, modified time.Time
	status            string
	reason            string // FailureReason
	serving           *fleet // nil before it was first InService
	rollout           *rollout
	deployment        *deploymentConfig // the last one
	wanted            string            // the configuration that it was created with
	settled           time.Time         // when Scaling, SystemUpdating or Deleting ends
}

// transient are the statuses in which the endpoint cannot be changed.
var transient = []string{"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}

type endpointInput struct {
	EndpointName       string
	EndpointConfigName string
	DeploymentConfig   *deploymentConfig
	Tags               []tag

	RetainAllVariantProperties       bool
	RetainDeploymentConfig           bool
	ExcludeRetainedVariantProperties []struct{ VariantPropertyType string }
}

func (in *endpointInput) excludes(property string) bool {
	return slices.ContainsFunc(in.ExcludeRetainedVariantProperties, func(p struct{ VariantPropertyType string }) bool {
		return p.VariantPropertyType == property
	})
}

func (s *Server) createEndpoint(c *call, in *endpointInput) (any, error) {
	if err := shaped("endpointName", in.EndpointName, commonName); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if c.kind() == NotYetVisible {
		return nil, noConfig(in.EndpointConfigName)
	}
	next, err := s.newFleet(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &endpoint{name: in.EndpointName, arn: arn("endpoint", in.EndpointName), status: "Creating", wanted: in.EndpointConfigName}
	for _, other := range s.endpoints {
		if other.arn == e.arn { // names that differ only in case collide
			return nil, validationf("Cannot create already existing endpoint \"%s\".", e.arn)
		}
	}
	if err := in.DeploymentConfig.check(next); err != nil {
		return nil, err
	}
	now := s.clock.Now()
	e.created, e.modified = now, now
	e.deployment = in.DeploymentConfig
	e.rollout = s.creation(next, c.fault, now)
	s.endpoints[e.name] = e
	s.put(e.arn, in.Tags)
	return struct{ EndpointArn string }{e.arn}, nil
}

type endpointNamed struct{ EndpointName string }

func (s *Server) findEndpoint(name string) (*endpoint, error) {
	if e := s.endpoints[name]; e != nil {
		return e, nil
	}
	return nil, validationf("Could not find endpoint \"%s\".", arn("endpoint", name))
}

// changeable returns an error if the endpoint is being changed.
func (e *endpoint) changeable() error {
	if slices.Contains(transient, e.status) {
		return validationf("Cannot update in-progress endpoint \"%s\".", e.arn)
	}
	return nil
}

func (s *Server) updateEndpoint(c *call, in *endpointInput) (any, error) {
	if c.kind() == NotYetVisible {
		return nil, noConfig(in.EndpointConfigName)
	}
	s.mu.Lock()
	_, err := s.findEndpoint(in.EndpointName)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	next, err := s.newFleet(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(in.EndpointName)
	if err != nil {
		return nil, err
	}
	if err := e.changeable(); err != nil {
		return nil, err
	}
	if e.status == "Failed" || e.serving == nil {
		return nil, validationf("Cannot update endpoint \"%s\" in status Failed. Delete it instead.", e.arn)
	}
	if _, err := s.findConfig(e.serving.config.name); err != nil {
		return nil, err // the serving configuration was deleted
	}
	deployment := in.DeploymentConfig
	if deployment == nil && in.RetainDeploymentConfig {
		deployment = e.deployment
	}
	if in.RetainAllVariantProperties {
		next.retain(e.serving, in)
	}
	if err := deployment.check(next); err != nil {
		return nil, err
	}
	now := s.clock.Now()
	e.deployment = deployment
	e.status, e.reason, e.modified = "Updating", "", now
	e.rollout = s.update(next, deployment, c.fault, now)
	return struct{ EndpointArn string }{e.arn}, nil
}

type weightsInput struct {
	EndpointName                string
	DesiredWeightsAndCapacities []struct {
		VariantName          string
		DesiredWeight        *float64
		DesiredInstanceCount *int64
	}
}

// updateWeights does not change variants that the request does not name.
func (s *Server) updateWeights(_ *call, in *weightsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(in.EndpointName)
	if err != nil {
		return nil, err
	}
	if err := e.changeable(); err != nil {
		return nil, err
	}
	if e.serving == nil {
		return nil, validationf("Cannot update endpoint \"%s\" in status %s.", e.arn, e.status)
	}
	if _, err := s.findConfig(e.serving.config.name); err != nil {
		return nil, err
	}
	for _, d := range in.DesiredWeightsAndCapacities {
		if e.serving.variant(d.VariantName) == nil {
			return nil, validationf("The variant name(s) \"%s\" is/are not present within endpoint configuration \"%s\".", d.VariantName, e.serving.config.name)
		}
	}
	for _, d := range in.DesiredWeightsAndCapacities {
		v := e.serving.variant(d.VariantName)
		if d.DesiredWeight != nil {
			v.desiredWeight = *d.DesiredWeight
		}
		if d.DesiredInstanceCount != nil {
			v.desiredCount = *d.DesiredInstanceCount
		}
	}
	s.scale(e)
	return struct{ EndpointArn string }{e.arn}, nil
}

// scale changes the fleet to the desired weights and counts, which takes Pace.Scaling.
func (s *Server) scale(e *endpoint) {
	now := s.clock.Now()
	e.status, e.modified, e.settled = "Updating", now, now.Add(s.pace.Scaling)
}

func (s *Server) deleteEndpoint(_ *call, in *endpointNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(in.EndpointName)
	if err != nil {
		return nil, err
	}
	if err := e.changeable(); err != nil {
		return nil, err
	}
	now := s.clock.Now()
	e.status, e.modified, e.settled = "Deleting", now, now.Add(s.pace.Deleting)
	return none{}, nil
}

func (s *Server) listEndpoints(_ *call, in *listInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []entry
	for _, e := range s.endpoints {
		entries = append(entries, entry{e.name, e.created, e.status, struct {
			EndpointName, EndpointArn, EndpointStatus string
			CreationTime, LastModifiedTime            epoch
		}{e.name, e.arn, e.status, epoch(e.created), epoch(e.modified)}})
	}
	out, next, err := in.page(entries)
	if err != nil {
		return nil, err
	}
	return struct {
		Endpoints []any
		NextToken string `json:",omitzero"`
	}{out, next}, nil
}

// Autoscale changes the number of instances of a variant, as Application Auto Scaling does.
// The endpoint has the status Updating for a while. Its configuration does not change.
func (s *Server) Autoscale(endpoint, variant string, count int64) error {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(endpoint)
	if err != nil {
		return err
	}
	if err := e.changeable(); err != nil {
		return err
	}
	v := e.serving.variant(variant)
	if v == nil {
		return validationf("there is no variant %q", variant)
	}
	v.desiredCount = count
	s.scale(e)
	return nil
}

// SystemUpdate gives the endpoint the status SystemUpdating for a while, as maintenance by
// AWS does.
func (s *Server) SystemUpdate(endpoint string) error {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(endpoint)
	if err != nil {
		return err
	}
	if err := e.changeable(); err != nil {
		return err
	}
	e.status, e.settled = "SystemUpdating", s.clock.Now().Add(s.pace.System)
	return nil
}
