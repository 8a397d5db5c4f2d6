package sandbox

import (
	"math"

	"gateway/internal/learn"
)

// fleet are the instances of one endpoint configuration.
type fleet struct {
	config   *endpointConfig
	capture  *dataCapture
	variants []*variant
	fault    string // why it does not become healthy; empty: it does
}

type variant struct {
	name, model, image string
	instanceType       string
	serverless         *serverlessConfig
	scorer             *learn.Artifact
	joined             bool // scores in CSV are joined by commas: XGBoost before 1.0

	count, desiredCount   int64
	weight, desiredWeight float64
}

const unhealthy = "The primary container for production variant %s did not pass the ping health check. Please check CloudWatch logs for this endpoint."

// newFleet makes a fleet of a configuration and loads its models from S3. The caller does not
// hold the lock.
func (s *Server) newFleet(config string) (*fleet, error) {
	s.mu.Lock()
	c, err := s.findConfig(config)
	var models []*model
	if err == nil {
		for _, v := range c.in.ProductionVariants {
			m, missing := s.findModel(v.ModelName)
			if missing != nil {
				err = missing
				break
			}
			models = append(models, m)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f := &fleet{config: c, capture: c.in.DataCaptureConfig}
	for i, pv := range c.in.ProductionVariants {
		container := models[i].in.PrimaryContainer
		v := &variant{name: pv.VariantName, model: models[i].name, image: container.Image, instanceType: pv.InstanceType,
			serverless: pv.ServerlessConfig, count: pv.InitialInstanceCount, weight: 1, joined: joinsScores(container.Image)}
		if pv.InitialVariantWeight != nil {
			v.weight = *pv.InitialVariantWeight
		}
		v.desiredCount, v.desiredWeight = v.count, v.weight
		artifact, err := s.load(s.ctx, container.ModelDataUrl)
		algorithm, known := s.algorithm(container.Image)
		if err != nil || !known || artifact.Algorithm != algorithm {
			f.fault = sprintf(unhealthy, v.name)
		}
		v.scorer = artifact
		f.variants = append(f.variants, v)
	}
	return f, nil
}

func (f *fleet) variant(name string) *variant {
	for _, v := range f.variants {
		if v.name == name {
			return v
		}
	}
	return nil
}

// retain copies weights and counts from the variants of the old fleet with the same names.
func (f *fleet) retain(old *fleet, in *endpointInput) {
	for _, v := range f.variants {
		o := old.variant(v.name)
		if o == nil {
			continue
		}
		if !in.excludes("DesiredInstanceCount") {
			v.count, v.desiredCount = o.desiredCount, o.desiredCount
		}
		if !in.excludes("DesiredWeight") {
			v.weight, v.desiredWeight = o.desiredWeight, o.desiredWeight
		}
	}
	if !in.excludes("DataCaptureConfig") {
		f.capture = old.capture
	}
}

// pick returns the variant at x of the cumulative weights; x is in [0, 1).
func (f *fleet) pick(x float64) *variant {
	var sum float64
	for _, v := range f.variants {
		sum += v.weight
	}
	x *= sum
	for _, v := range f.variants {
		if x < v.weight {
			return v
		}
		x -= v.weight
	}
	return f.variants[len(f.variants)-1]
}

// golden maps n = 0, 1, 2, … evenly to [0, 1), so that the shares of traffic are exact also for
// a few consecutive n.
func golden(n uint64) float64 {
	_, x := math.Modf(float64(n) * (math.Phi - 1))
	return x
}

// instances returns the number of instances of the fleet in its configuration.
func (f *fleet) instances() (n int64, serverless bool) {
	for _, v := range f.variants {
		n += v.count
		serverless = serverless || v.serverless != nil
	}
	return n, serverless
}
