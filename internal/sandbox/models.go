package sandbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-json-experiment/json/jsontext"
)

type model struct {
	name, arn string
	created   time.Time
	in        *modelInput
}

type modelInput struct {
	ModelName        string
	PrimaryContainer *struct {
		Image        string
		ModelDataUrl string            `json:",omitzero"`
		Mode         string            `json:",omitzero"`
		Environment  map[string]string `json:",omitzero"`
	} `json:",omitzero"`
	Containers       []jsontext.Value `json:",omitzero"`
	ExecutionRoleArn string           `json:",omitzero"`
	VpcConfig        jsontext.Value   `json:",omitzero"`
	Tags             []tag            `json:",omitzero"`

	EnableNetworkIsolation bool
}

func (s *Server) createModel(_ *call, in *modelInput) (any, error) {
	if err := shaped("modelName", in.ModelName, modelName); err != nil {
		return nil, err
	}
	if in.PrimaryContainer == nil || in.PrimaryContainer.Image == "" || len(in.Containers) > 0 {
		return nil, validationf("The stand-in takes models of one primary container with an image.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := assumable("executionRoleArn", in.ExecutionRoleArn); err != nil {
		return nil, err
	}
	taken := validationf("Cannot create already existing model \"%s\".", arn("model", in.ModelName))
	s.mu.Lock()
	exists := s.models[in.ModelName] != nil
	s.mu.Unlock()
	if exists {
		return nil, taken
	}
	if uri := in.PrimaryContainer.ModelDataUrl; uri != "" {
		bucket, key, ok := bucketOf(uri)
		if ok {
			_, err := s.s3.HeadObject(s.ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			ok = err == nil
		}
		if !ok {
			return nil, validationf("Could not access model data at %s. Please ensure that the role \"%s\" exists and that its trust relationship policy allows the action \"sts:AssumeRole\" for the service principal \"sagemaker.amazonaws.com\". Also ensure that the role has \"s3:GetObject\" permissions and that the object is located in %s.", uri, in.ExecutionRoleArn, Region)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.models[in.ModelName] != nil {
		return nil, taken
	}
	m := &model{name: in.ModelName, arn: arn("model", in.ModelName), created: s.clock.Now(), in: in}
	s.models[m.name] = m
	s.put(m.arn, in.Tags)
	return struct{ ModelArn string }{m.arn}, nil
}

type modelNamed struct{ ModelName string }

func (s *Server) findModel(name string) (*model, error) {
	if m := s.models[name]; m != nil {
		return m, nil
	}
	return nil, validationf("Could not find model \"%s\".", arn("model", name))
}

func (s *Server) describeModel(_ *call, in *modelNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.findModel(in.ModelName)
	if err != nil {
		return nil, err
	}
	return struct {
		ModelName              string
		ModelArn               string
		PrimaryContainer       any
		ExecutionRoleArn       string
		VpcConfig              jsontext.Value `json:",omitzero"`
		EnableNetworkIsolation bool
		CreationTime           epoch
	}{m.name, m.arn, m.in.PrimaryContainer, m.in.ExecutionRoleArn, m.in.VpcConfig, m.in.EnableNetworkIsolation, epoch(m.created)}, nil
}

// deleteModel deletes a model. Like SageMaker it also deletes one that is in use.
func (s *Server) deleteModel(_ *call, in *modelNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.findModel(in.ModelName)
	if err != nil {
		return nil, err
	}
	delete(s.models, m.name)
	delete(s.tags, m.arn)
	return none{}, nil
}

func (s *Server) listModels(_ *call, in *listInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []entry
	for _, m := range s.models {
		entries = append(entries, entry{m.name, m.created, "", struct {
			ModelName, ModelArn string
			CreationTime        epoch
		}{m.name, m.arn, epoch(m.created)}})
	}
	out, next, err := in.page(entries)
	if err != nil {
		return nil, err
	}
	return struct {
		Models    []any
		NextToken string `json:",omitzero"`
	}{out, next}, nil
}

// endpointConfig is an endpoint configuration. It never changes.
type endpointConfig struct {
	name, arn string
	created   time.Time
	in        *configInput
}

type productionVariant struct {
	VariantName          string
	ModelName            string            `json:",omitzero"`
	InstanceType         string            `json:",omitzero"`
	InitialInstanceCount int64             `json:",omitzero"`
	InitialVariantWeight *float64          `json:",omitzero"`
	ServerlessConfig     *serverlessConfig `json:",omitzero"`

	ModelDataDownloadTimeoutInSeconds           int64          `json:",omitzero"`
	ContainerStartupHealthCheckTimeoutInSeconds int64          `json:",omitzero"`
	RoutingConfig                               jsontext.Value `json:",omitzero"`
	ManagedInstanceScaling                      jsontext.Value `json:",omitzero"`
	VolumeSizeInGB                              int64          `json:",omitzero"`
}

type serverlessConfig struct{ MemorySizeInMB, MaxConcurrency int64 }

type dataCapture struct {
	EnableCapture             bool
	InitialSamplingPercentage int64
	DestinationS3Uri          string
	KmsKeyId                  string         `json:",omitzero"`
	CaptureOptions            jsontext.Value `json:",omitzero"`
	CaptureContentTypeHeader  jsontext.Value `json:",omitzero"`
}

type configInput struct {
	EndpointConfigName       string
	ProductionVariants       []productionVariant
	ShadowProductionVariants []productionVariant `json:",omitzero"`
	DataCaptureConfig        *dataCapture        `json:",omitzero"`
	KmsKeyId                 string              `json:",omitzero"`
	Tags                     []tag               `json:",omitzero"`
	AsyncInferenceConfig     jsontext.Value      `json:",omitzero"`
	ExecutionRoleArn         string              `json:",omitzero"`
}

func (in *configInput) check() error {
	if err := shaped("endpointConfigName", in.EndpointConfigName, commonName); err != nil {
		return err
	}
	if n := len(in.ProductionVariants); n < 1 || n > 10 {
		return validationf("1 validation error detected: Value at 'productionVariants' failed to satisfy constraint: Member must have length between 1 and 10")
	}
	seen := make(map[string]bool)
	for i, v := range in.ProductionVariants {
		member := fmt.Sprintf("productionVariants.%d.member", i+1)
		if err := shaped(member+".variantName", v.VariantName, commonName); err != nil {
			return err
		}
		switch {
		case seen[v.VariantName]:
			return validationf("Variant name %s is used more than once.", v.VariantName)
		case v.ServerlessConfig == nil && v.InitialInstanceCount < 1:
			return validationf("1 validation error detected: Value '%d' at '%s.initialInstanceCount' failed to satisfy constraint: Member must have value greater than or equal to 1", v.InitialInstanceCount, member)
		case v.ServerlessConfig == nil && (!strings.HasPrefix(v.InstanceType, "ml.") || strings.HasPrefix(v.InstanceType, "ml.t3.")):
			return validationf("1 validation error detected: Value '%s' at '%s.instanceType' failed to satisfy constraint: Member must satisfy enum value set", v.InstanceType, member)
		case v.InitialVariantWeight != nil && *v.InitialVariantWeight < 0:
			return validationf("1 validation error detected: Value at '%s.initialVariantWeight' failed to satisfy constraint: Member must have value greater than or equal to 0", member)
		}
		for name, n := range map[string]int64{"modelDataDownloadTimeoutInSeconds": v.ModelDataDownloadTimeoutInSeconds,
			"containerStartupHealthCheckTimeoutInSeconds": v.ContainerStartupHealthCheckTimeoutInSeconds} {
			if n != 0 && (n < 60 || n > 3600) {
				return validationf("1 validation error detected: Value '%d' at '%s.%s' failed to satisfy constraint: Member must have value between 60 and 3600", n, member, name)
			}
		}
		seen[v.VariantName] = true
	}
	return checkTags(in.Tags)
}

func (s *Server) createEndpointConfig(_ *call, in *configInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &endpointConfig{name: in.EndpointConfigName, arn: arn("endpoint-config", in.EndpointConfigName), created: s.clock.Now(), in: in}
	if s.configs[c.name] != nil {
		return nil, validationf("Cannot create already existing endpoint configuration \"%s\".", c.arn)
	}
	for _, v := range in.ProductionVariants {
		if _, err := s.findModel(v.ModelName); err != nil {
			return nil, err
		}
	}
	s.configs[c.name] = c
	s.put(c.arn, in.Tags)
	return struct{ EndpointConfigArn string }{c.arn}, nil
}

type configNamed struct{ EndpointConfigName string }

func noConfig(name string) error {
	return validationf("Could not find endpoint configuration \"%s\".", arn("endpoint-config", name))
}

func (s *Server) findConfig(name string) (*endpointConfig, error) {
	if c := s.configs[name]; c != nil {
		return c, nil
	}
	return nil, noConfig(name)
}

func (s *Server) describeEndpointConfig(_ *call, in *configNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.findConfig(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	out := *c.in
	out.Tags = nil
	return struct {
		configInput       `json:",inline"`
		EndpointConfigArn string
		CreationTime      epoch
	}{out, c.arn, epoch(c.created)}, nil
}

// deleteEndpointConfig deletes a configuration. Like SageMaker it also deletes one that is in
// use.
func (s *Server) deleteEndpointConfig(_ *call, in *configNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.findConfig(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	delete(s.configs, c.name)
	delete(s.tags, c.arn)
	return none{}, nil
}

func (s *Server) listEndpointConfigs(_ *call, in *listInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []entry
	for _, c := range s.configs {
		entries = append(entries, entry{c.name, c.created, "", struct {
			EndpointConfigName, EndpointConfigArn string
			CreationTime                          epoch
		}{c.name, c.arn, epoch(c.created)}})
	}
	out, next, err := in.page(entries)
	if err != nil {
		return nil, err
	}
	return struct {
		EndpointConfigs []any
		NextToken       string `json:",omitzero"`
	}{out, next}, nil
}
