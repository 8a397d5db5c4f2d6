package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// job is a training job.
type job struct {
	name, arn string
	created   time.Time
	in        *trainingInput

	status, secondary string
	entered           time.Time // time of the current secondary status
	started, ended    time.Time
	reason            string
	transitions       []transition
	artifact          string
	metrics           []metric

	stages []stage // the current one and those that follow
	fault  *Ordered
	work   *work
}

// stage is a secondary status that a job has for a while.
type stage struct {
	status string
	lasts  time.Duration
	starts bool // the work starts with this stage
	waits  bool // the stage does not end before the work
}

type transition struct {
	Status        string
	StartTime     epoch
	EndTime       *epoch `json:",omitzero"`
	StatusMessage string `json:",omitzero"`
}

type trainingInput struct {
	TrainingJobName        string
	RoleArn                string
	HyperParameters        map[string]string
	AlgorithmSpecification *struct {
		TrainingImage     string
		TrainingInputMode string
	}
	InputDataConfig  []channel
	OutputDataConfig *struct{ S3OutputPath string }
	ResourceConfig   *struct {
		InstanceType   string
		InstanceCount  int64
		VolumeSizeInGB int64
	}
	StoppingCondition *struct {
		MaxRuntimeInSeconds  int64
		MaxWaitTimeInSeconds int64
	}
	EnableManagedSpotTraining bool
	Tags                      []tag

	// echo is the request, for DescribeTrainingJob.
	echo map[string]jsontext.Value
}

type channel struct {
	ChannelName     string
	ContentType     string
	CompressionType string
	InputMode       string
	DataSource      *struct {
		S3DataSource *struct {
			S3DataType             string
			S3Uri                  string
			S3DataDistributionType string
		}
	}
}

// UnmarshalJSON decodes the request and also keeps it.
func (in *trainingInput) UnmarshalJSON(text []byte) error {
	type plain trainingInput
	if err := json.Unmarshal(text, (*plain)(in)); err != nil {
		return err
	}
	return json.Unmarshal(text, &in.echo)
}

func (in *trainingInput) check() error {
	if err := shaped("trainingJobName", in.TrainingJobName, commonName); err != nil {
		return err
	}
	missing := func(member string) error {
		return validationf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
	}
	switch {
	case in.AlgorithmSpecification == nil || in.AlgorithmSpecification.TrainingImage == "":
		return missing("algorithmSpecification")
	case in.OutputDataConfig == nil:
		return missing("outputDataConfig")
	case in.ResourceConfig == nil:
		return missing("resourceConfig")
	case in.StoppingCondition == nil:
		return missing("stoppingCondition")
	case len(in.InputDataConfig) == 0:
		return missing("inputDataConfig")
	case len(in.HyperParameters) > 100:
		return validationf("1 validation error detected: Value at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: size at most 100")
	case in.ResourceConfig.InstanceCount < 1:
		return validationf("1 validation error detected: Value '%d' at 'resourceConfig.instanceCount' failed to satisfy constraint: Member must have value greater than or equal to 1", in.ResourceConfig.InstanceCount)
	case strings.HasPrefix(in.ResourceConfig.InstanceType, "ml.t2.") || !strings.HasPrefix(in.ResourceConfig.InstanceType, "ml."):
		return validationf("1 validation error detected: Value '%s' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum value set", in.ResourceConfig.InstanceType)
	case !slices.Contains([]string{"File", "Pipe", "FastFile"}, in.AlgorithmSpecification.TrainingInputMode):
		return validationf("1 validation error detected: Value '%s' at 'algorithmSpecification.trainingInputMode' failed to satisfy constraint: Member must satisfy enum value set: [Pipe, File, FastFile]", in.AlgorithmSpecification.TrainingInputMode)
	case in.EnableManagedSpotTraining && in.StoppingCondition.MaxWaitTimeInSeconds < in.StoppingCondition.MaxRuntimeInSeconds:
		return validationf("Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds")
	case !in.EnableManagedSpotTraining && in.StoppingCondition.MaxWaitTimeInSeconds > 0:
		return validationf("MaxWaitTimeInSeconds above 0 is supported only when EnableManagedSpotTraining is set to true")
	}
	if _, _, ok := bucketOf(in.OutputDataConfig.S3OutputPath); !ok {
		return shaped("outputDataConfig.s3OutputPath", in.OutputDataConfig.S3OutputPath, s3URI)
	}
	for name, value := range in.HyperParameters {
		if len(value) > 2500 {
			return validationf("1 validation error detected: Value at 'hyperParameters.%s' failed to satisfy constraint: Member must have length less than or equal to 2500", name)
		}
	}
	for _, c := range in.InputDataConfig {
		if err := shaped("inputDataConfig.channelName", c.ChannelName, channelName); err != nil {
			return err
		}
		if c.DataSource == nil || c.DataSource.S3DataSource == nil {
			return missing("inputDataConfig.dataSource.s3DataSource")
		}
		if _, _, ok := bucketOf(c.DataSource.S3DataSource.S3Uri); !ok {
			return validationf("The S3 URI '%s' of channel %s is invalid.", c.DataSource.S3DataSource.S3Uri, c.ChannelName)
		}
	}
	if err := assumable("roleArn", in.RoleArn); err != nil {
		return err
	}
	return checkTags(in.Tags)
}

func (s *Server) createTrainingJob(c *call, in *trainingInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	taken := s.jobs[in.TrainingJobName] != nil
	s.mu.Unlock()
	if taken {
		return nil, jobTaken(in.TrainingJobName)
	}
	for _, ch := range in.InputDataConfig {
		if err := s.readable(ch, in.RoleArn); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[in.TrainingJobName] != nil {
		return nil, jobTaken(in.TrainingJobName)
	}
	now := s.clock.Now()
	j := &job{name: in.TrainingJobName, arn: arn("training-job", in.TrainingJobName), created: now, in: in, status: "InProgress"}
	j.fault = c.fault
	j.stages = s.stages(j)
	j.enter(j.stages[0].status, now, s)
	s.jobs[j.name] = j
	s.put(j.arn, in.Tags)
	return struct{ TrainingJobArn string }{j.arn}, nil
}

func jobTaken(name string) error {
	return refusef("ResourceInUse", "Training job names must be unique within an AWS account and region, and a training job with this name already exists (%s)", arn("training-job", name))
}

type jobName struct{ TrainingJobName string }

// findJob returns a job. The caller holds the lock.
func (s *Server) findJob(name string) (*job, error) {
	if j := s.jobs[name]; j != nil {
		return j, nil
	}
	return nil, validationf("Requested resource not found.")
}

func (s *Server) stopTrainingJob(_ *call, in *jobName) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.findJob(in.TrainingJobName)
	if err != nil {
		return nil, err
	}
	switch j.status {
	case "InProgress":
		now := s.clock.Now()
		j.status = "Stopping"
		j.stages = []stage{{status: "Stopping", lasts: s.pace.Stopping}}
		j.enter("Stopping", now, s)
		if j.work != nil {
			j.work.cancel()
		}
	case "Stopping":
	default:
		return nil, validationf("The request was rejected because the training job is in status %s.", j.status)
	}
	return none{}, nil
}

func (s *Server) deleteTrainingJob(_ *call, in *jobName) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.findJob(in.TrainingJobName)
	if err != nil {
		return nil, err
	}
	if !j.over() {
		return nil, validationf("The request was rejected because the training job is in status %s.", j.status)
	}
	delete(s.jobs, j.name)
	delete(s.tags, j.arn)
	return none{}, nil
}

func (s *Server) listTrainingJobs(_ *call, in *listInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []entry
	for _, j := range s.jobs {
		entries = append(entries, entry{j.name, j.created, j.status, struct {
			TrainingJobName, TrainingJobArn, TrainingJobStatus string
			SecondaryStatus                                    string
			CreationTime                                       epoch
			TrainingEndTime                                    *epoch `json:",omitzero"`
			LastModifiedTime                                   epoch
		}{j.name, j.arn, j.status, j.secondary, epoch(j.created), at(j.ended), epoch(j.entered)}})
	}
	out, next, err := in.page(entries)
	if err != nil {
		return nil, err
	}
	return struct {
		TrainingJobSummaries []any
		NextToken            string `json:",omitzero"`
	}{out, next}, nil
}

// describeTrainingJob answers with the request and the state of the job.
func (s *Server) describeTrainingJob(_ *call, in *jobName) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.findJob(in.TrainingJobName)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, value := range j.in.echo {
		if name != "Tags" {
			out[name] = value
		}
	}
	out["TrainingJobArn"] = j.arn
	out["TrainingJobStatus"] = j.status
	out["SecondaryStatus"] = j.secondary
	out["SecondaryStatusTransitions"] = slices.Clone(j.transitions) // the answer is encoded after the lock is released
	out["CreationTime"] = epoch(j.created)
	out["LastModifiedTime"] = epoch(j.entered)
	artifacts := map[string]string{}
	if j.artifact != "" {
		artifacts["S3ModelArtifacts"] = j.artifact
	}
	out["ModelArtifacts"] = artifacts
	if !j.started.IsZero() {
		out["TrainingStartTime"] = epoch(j.started)
	}
	if !j.ended.IsZero() {
		out["TrainingEndTime"] = epoch(j.ended)
		if !j.started.IsZero() {
			seconds := int64(j.ended.Sub(j.started).Seconds()*s.pace.speed() + 0.5)
			out["TrainingTimeInSeconds"], out["BillableTimeInSeconds"] = seconds, seconds
		}
	}
	if j.reason != "" {
		out["FailureReason"] = j.reason
	}
	if len(j.metrics) > 0 {
		out["FinalMetricDataList"] = j.metrics
	}
	return out, nil
}

func artifactKey(in *trainingInput) string {
	return fmt.Sprintf("%s/%s/output/model.tar.gz", strings.TrimSuffix(in.OutputDataConfig.S3OutputPath, "/"), in.TrainingJobName)
}
