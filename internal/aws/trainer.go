package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/smithy-go"

	"gateway/internal/modelswap"
)

// TrainingSettings are the settings that all training jobs share.
type TrainingSettings struct {
	Algorithm     string // the algorithm of Image
	Image         string // address; empty: the image of the built-in algorithm in the region
	Role          string // ARN of the role that SageMaker assumes
	InstanceType  string
	InstanceCount int
	VolumeGB      int
	Spot          bool          // managed spot training: cheaper, and may be interrupted
	SpotWait      time.Duration // maximum wait for spot capacity, in addition to the maximum runtime
}

// Trainer implements modelswap.Trainer with training jobs of SageMaker. The renewal names
// the job, so a repeated request does not start a second one.
type Trainer struct {
	api      *Clients
	files    *Files
	settings TrainingSettings
}

// NewTrainer makes a trainer.
func NewTrainer(api *Clients, files *Files, settings TrainingSettings) *Trainer {
	return &Trainer{api: api, files: files, settings: settings}
}

// StartTraining implements modelswap.Trainer.
func (t *Trainer) StartTraining(ctx context.Context, job modelswap.TrainingJob) error {
	request, err := t.request(job)
	if err != nil {
		return &modelswap.Fault{Class: modelswap.Input, Err: err}
	}
	_, err = t.api.sagemaker.CreateTrainingJob(ctx, request)
	if isTaken(err) {
		return t.adopt(ctx, job)
	}
	return fault("CreateTrainingJob", err)
}

// adopt accepts an existing job if its tags are those of the wanted one: an earlier attempt
// may have started it and lost the answer.
func (t *Trainer) adopt(ctx context.Context, job modelswap.TrainingJob) error {
	out, err := t.api.sagemaker.DescribeTrainingJob(ctx, &sagemaker.DescribeTrainingJobInput{TrainingJobName: &job.Name})
	if err != nil {
		return fault("DescribeTrainingJob", err)
	}
	has, err := readTags(ctx, t.api, sdk.ToString(out.TrainingJobArn))
	if err != nil {
		return err
	}
	for key, want := range jobTags(job) {
		if has[key] != want {
			return &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf(
				"another training job %s exists: its tag %s is %q, want %q", job.Name, key, has[key], want)}
		}
	}
	return nil
}

// TrainingStatus implements modelswap.Trainer. The artifact is the name of the job, from
// which RegisterModel reads the rest.
func (t *Trainer) TrainingStatus(ctx context.Context, name string) (modelswap.TrainingStatus, error) {
	out, err := t.api.sagemaker.DescribeTrainingJob(ctx, &sagemaker.DescribeTrainingJobInput{TrainingJobName: &name})
	if isMissing(err) {
		return modelswap.TrainingStatus{State: modelswap.TrainingLost}, nil
	}
	if err != nil {
		return modelswap.TrainingStatus{}, fault("DescribeTrainingJob", err)
	}
	status := modelswap.TrainingStatus{State: modelswap.TrainingRunning, Detail: jobDetail(out)}
	switch out.TrainingJobStatus {
	case types.TrainingJobStatusCompleted:
		status.State, status.Artifact = modelswap.TrainingSucceeded, name
	case types.TrainingJobStatusFailed:
		status.State, status.Reason = modelswap.TrainingFailed, "the training job failed: "+orUnknown(out.FailureReason)
	case types.TrainingJobStatusStopped:
		// A stopped job may have an artifact, which is of an unfinished model.
		status.State, status.Reason = modelswap.TrainingFailed, stoppedBecause(out)
	}
	return status, nil
}

func stoppedBecause(out *sagemaker.DescribeTrainingJobOutput) string {
	switch out.SecondaryStatus {
	case types.SecondaryStatusMaxRuntimeExceeded:
		limit := time.Duration(0)
		if c := out.StoppingCondition; c != nil {
			limit = time.Duration(sdk.ToInt32(c.MaxRuntimeInSeconds)) * time.Second
		}
		return fmt.Sprintf("training took longer than the %s allowed (GATEWAY_TRAINING_MAX_RUNTIME)", limit)
	case types.SecondaryStatusMaxWaitTimeExceeded:
		return "training got no spot capacity within the maximum wait"
	}
	return "training was stopped"
}

func orUnknown(reason *string) string {
	if text := strings.TrimSpace(sdk.ToString(reason)); text != "" {
		return text
	}
	return "SageMaker gave no reason"
}

// jobDetail returns the details of a job for the record of the renewal.
func jobDetail(out *sagemaker.DescribeTrainingJobOutput) map[string]any {
	detail := map[string]any{
		"training_job":    sdk.ToString(out.TrainingJobName),
		"training_status": string(out.SecondaryStatus),
	}
	if n := sdk.ToInt32(out.TrainingTimeInSeconds); n > 0 {
		detail["training_seconds"] = n
	}
	if n := sdk.ToInt32(out.BillableTimeInSeconds); n > 0 {
		detail["billable_seconds"] = n
	}
	if out.ModelArtifacts != nil && out.ModelArtifacts.S3ModelArtifacts != nil {
		detail["artifact"] = *out.ModelArtifacts.S3ModelArtifacts
	}
	metrics := make(map[string]float32)
	for _, m := range out.FinalMetricDataList {
		if m.MetricName != nil && m.Value != nil {
			metrics[*m.MetricName] = *m.Value
		}
	}
	if len(metrics) > 0 {
		detail["training_metrics"] = metrics
	}
	return detail
}

// StopTraining implements modelswap.Trainer. It does not wait for the end.
func (t *Trainer) StopTraining(ctx context.Context, name string) error {
	_, err := t.api.sagemaker.StopTrainingJob(ctx, &sagemaker.StopTrainingJobInput{TrainingJobName: &name})
	return stopped("StopTrainingJob", err)
}

// stopped returns the error of a call that stops a job. A job that has ended or does not
// exist is no error.
func stopped(operation string, err error) error {
	var api smithy.APIError
	ended := errors.As(err, &api) && api.ErrorCode() == "ValidationException"
	if ended || isMissing(err) {
		return nil
	}
	return fault(operation, err)
}
