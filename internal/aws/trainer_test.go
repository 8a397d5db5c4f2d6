package aws

import (
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/google/go-cmp/cmp"

	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
)

func (s *stand) describeJob(name string) *sagemaker.DescribeTrainingJobOutput {
	s.t.Helper()
	out, err := s.api.sagemaker.DescribeTrainingJob(s.t.Context(), &sagemaker.DescribeTrainingJobInput{TrainingJobName: &name})
	s.must(err)
	return out
}

func (s *stand) status(name string) modelswap.TrainingStatus {
	s.t.Helper()
	status, err := s.trainer.TrainingStatus(s.t.Context(), name)
	s.must(err)
	return status
}

func TestATrainingJobIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.trainer.settings.Spot, s.trainer.settings.SpotWait = true, time.Hour
	job := s.job("first", "linear-learner", 300)
	job.InstanceType, job.InstanceCount, job.MaxRuntime = "ml.c5.xlarge", 2, 30*time.Minute
	job.Hyperparameters = map[string]string{"l1": "0.1"}
	s.must(s.trainer.StartTraining(t.Context(), job))
	out := s.describeJob(job.Name)
	want := map[string]string{"predictor_type": "binary_classifier", "feature_dim": "4", "mini_batch_size": "150", "l1": "0.1"}
	if diff := cmp.Diff(want, out.HyperParameters); diff != "" {
		t.Errorf("hyperparameters (-want +got):\n%s", diff)
	}
	got := map[string]any{
		"image":  *out.AlgorithmSpecification.TrainingImage,
		"type":   string(out.ResourceConfig.InstanceType),
		"count":  *out.ResourceConfig.InstanceCount,
		"disk":   *out.ResourceConfig.VolumeSizeInGB,
		"run":    *out.StoppingCondition.MaxRuntimeInSeconds,
		"wait":   *out.StoppingCondition.MaxWaitTimeInSeconds,
		"spot":   *out.EnableManagedSpotTraining,
		"role":   *out.RoleArn,
		"output": *out.OutputDataConfig.S3OutputPath,
		"retry":  *out.RetryStrategy.MaximumRetryAttempts,
	}
	if diff := cmp.Diff(map[string]any{
		"image": "664544806723.dkr.ecr.eu-central-1.amazonaws.com/linear-learner:1", "type": "ml.c5.xlarge", "count": int32(2), "disk": int32(10),
		"run": int32(1800), "wait": int32(5400), "spot": true, "role": sandbox.Role, "output": "s3://bank/gateway/training", "retry": int32(2),
	}, got); diff != "" {
		t.Errorf("the job (-want +got):\n%s", diff)
	}
	var channels []string
	for _, c := range out.InputDataConfig {
		channels = append(channels, sdk.ToString(c.ChannelName)+" "+sdk.ToString(c.ContentType)+" "+*c.DataSource.S3DataSource.S3Uri)
	}
	// The held-out rows must not choose the model that they are to judge.
	if diff := cmp.Diff([]string{"train text/csv s3://bank/gateway/renewals/first/train.csv",
		"test text/csv s3://bank/gateway/renewals/first/holdout.csv"}, channels); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
}

func TestHyperparametersFitTheData(t *testing.T) {
	job := func(algorithm string, rows int, h map[string]string) modelswap.TrainingJob {
		return modelswap.TrainingJob{Algorithm: algorithm, Rows: rows, Hyperparameters: h, Columns: []string{"a", "b"}}
	}
	tests := []struct {
		name  string
		job   modelswap.TrainingJob
		hosts int
		want  map[string]string
	}{
		{"enough rows for the default batch", job("linear-learner", 5000, nil), 1,
			map[string]string{"predictor_type": "binary_classifier", "feature_dim": "2", "mini_batch_size": "1000"}},
		{"few rows make a small batch", job("linear-learner", 70, nil), 1,
			map[string]string{"predictor_type": "binary_classifier", "feature_dim": "2", "mini_batch_size": "70"}},
		{"each host has a share of the rows", job("linear-learner", 1500, nil), 3,
			map[string]string{"predictor_type": "binary_classifier", "feature_dim": "2", "mini_batch_size": "500"}},
		{"a batch that was asked for is kept if it fits", job("linear-learner", 5000, map[string]string{"mini_batch_size": "64"}), 1,
			map[string]string{"predictor_type": "binary_classifier", "feature_dim": "2", "mini_batch_size": "64"}},
		{"XGBoost", job("xgboost", 10, nil), 1, map[string]string{"objective": "binary:logistic", "num_round": "100"}},
		{"a custom algorithm gets what it was given", job("custom", 10, map[string]string{"depth": "3"}), 1, map[string]string{"depth": "3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hyperparameters(tt.job, tt.hosts)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
	if _, err := hyperparameters(job("linear-learner", 10, map[string]string{"mini_batch_size": "many"}), 1); err == nil {
		t.Error("a batch of many was accepted")
	}
}

func TestStartingAJobTwiceStartsItOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	job := s.job("first", "linear-learner", 300)
	if got := s.status(job.Name).State; got != modelswap.TrainingLost {
		t.Errorf("a job that was never started is %s", got)
	}
	s.Order("CreateTrainingJob", sandbox.Fault{Kind: sandbox.LoseAnswer}) // the client's retry meets our own job
	s.must(s.trainer.StartTraining(t.Context(), job))
	s.must(s.trainer.StartTraining(t.Context(), job))
	if got := s.status(job.Name).State; got != modelswap.TrainingRunning {
		t.Errorf("the job is %s", got)
	}
	other := job
	other.Data = "other data"
	isFault(t, s.trainer.StartTraining(t.Context(), other), modelswap.Bug, "another training job first-1 exists")
}

func TestWhatBecomesOfAJob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  sandbox.Fault
		state  modelswap.TrainingState
		reason string
	}{
		{"it completes", sandbox.Fault{Kind: sandbox.IntegerLabels}, modelswap.TrainingSucceeded, ""},
		{"it passes through an undocumented status", sandbox.Fault{Kind: sandbox.OddStatus, At: "Defragmenting"}, modelswap.TrainingSucceeded, ""},
		{"it fails", sandbox.Fault{Kind: sandbox.Fail, Reason: "AlgorithmError: no rows"}, modelswap.TrainingFailed, "the training job failed: AlgorithmError: no rows"},
		{"no machine is to be had", sandbox.Fault{Kind: sandbox.NoCapacity}, modelswap.TrainingFailed, "CapacityError"},
		{"it takes too long, and leaves an artifact", sandbox.Fault{Kind: sandbox.ExceedRuntime}, modelswap.TrainingFailed, "training took longer than the 1h0m0s allowed (GATEWAY_TRAINING_MAX_RUNTIME)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.Order("CreateTrainingJob", tt.fault)
			job := s.job("first", "linear-learner", 300)
			s.must(s.trainer.StartTraining(t.Context(), job))
			s.Advance(48 * time.Hour)
			status := s.status(job.Name)
			if status.State != tt.state || !strings.Contains(status.Reason, tt.reason) {
				t.Errorf("the job is %s: %s", status.State, status.Reason)
			}
			if (status.Artifact != "") != (tt.state == modelswap.TrainingSucceeded) {
				t.Errorf("the artifact is %q", status.Artifact)
			}
			if tt.state == modelswap.TrainingSucceeded {
				if m, ok := status.Detail["training_metrics"].(map[string]float32); !ok || m["test:roc_auc_score"] < 0.8 {
					t.Errorf("detail is %v, want the metrics of the held-out rows", status.Detail)
				}
			}
		})
	}
}

func TestAJobThatIsStoppedIsNoSuccess(t *testing.T) {
	t.Parallel()
	s := start(t)
	job := s.job("first", "linear-learner", 300)
	s.must(s.trainer.StartTraining(t.Context(), job))
	s.Advance(150 * time.Second) // it trains
	s.must(s.trainer.StopTraining(t.Context(), job.Name))
	s.Advance(time.Hour)
	if status := s.status(job.Name); status.State != modelswap.TrainingFailed || status.Reason != "training was stopped" {
		t.Errorf("the job is %s: %s", status.State, status.Reason)
	}
	s.must(s.trainer.StopTraining(t.Context(), job.Name))
	s.must(s.trainer.StopTraining(t.Context(), "never-started"))
	s.Order("StopTrainingJob", sandbox.Fault{Kind: sandbox.Denied})
	isFault(t, s.trainer.StopTraining(t.Context(), job.Name), modelswap.Input, "AccessDenied")
}

func TestAJobThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault sandbox.Fault
		class modelswap.Class
		text  string
	}{
		{"the quota is used up", sandbox.Fault{Kind: sandbox.Limit}, modelswap.NoCapacity, "ResourceLimitExceeded: The account-level service limit"},
		{"it may not be", sandbox.Fault{Kind: sandbox.Denied}, modelswap.Input, "CreateTrainingJob: AccessDeniedException"},
		{"the request is refused", sandbox.Fault{Kind: sandbox.Refuse, Code: "ValidationException", Message: "wrong"}, modelswap.Input, "ValidationException: wrong"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.Order("CreateTrainingJob", tt.fault)
			isFault(t, s.trainer.StartTraining(t.Context(), s.job("first", "linear-learner", 300)), tt.class, tt.text)
		})
	}
	s := start(t)
	s.trainer.settings.Role = "arn:aws:iam::123456789012:role/missing"
	isFault(t, s.trainer.StartTraining(t.Context(), s.job("first", "linear-learner", 300)), modelswap.Input, "Could not assume role")
}

func TestImages(t *testing.T) {
	tests := []struct{ algorithm, region, custom, want string }{
		{"linear-learner", "us-east-1", "", "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"},
		{"xgboost", "eu-central-1", "", "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:1.7-1"},
		{"linear-learner", "cn-north-1", "", "390948362332.dkr.ecr.cn-north-1.amazonaws.com.cn/linear-learner:1"},
		{"custom", "mars-1", "example.com/mine:3", "example.com/mine:3"},
		{"linear-learner", "mars-1", "", ""},
		{"custom", "us-east-1", "", ""},
	}
	for _, tt := range tests {
		got, err := imageOf(tt.algorithm, tt.region, tt.custom)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s in %s: %q, %v; want %q", tt.algorithm, tt.region, got, err, tt.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "GATEWAY_TRAINING_IMAGE: ") {
			t.Errorf("%v names no setting", err)
		}
	}
}
