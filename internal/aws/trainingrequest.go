package aws

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

// request returns the request that starts a training job.
func (t *Trainer) request(job modelswap.TrainingJob) (*sagemaker.CreateTrainingJobInput, error) {
	s := t.settings
	custom := ""
	if job.Algorithm == s.Algorithm {
		custom = s.Image
	}
	image, err := imageOf(job.Algorithm, t.api.region, custom)
	if err != nil {
		return nil, err
	}
	hosts := cmp.Or(job.InstanceCount, s.InstanceCount)
	parameters, err := hyperparameters(job, hosts)
	if err != nil {
		return nil, err
	}
	request := &sagemaker.CreateTrainingJobInput{
		TrainingJobName: &job.Name,
		RoleArn:         &s.Role,
		AlgorithmSpecification: &types.AlgorithmSpecification{
			TrainingImage: &image, TrainingInputMode: types.TrainingInputModeFile,
		},
		HyperParameters: parameters,
		InputDataConfig: []types.Channel{t.channel("train", job.Train)},
		OutputDataConfig: &types.OutputDataConfig{
			S3OutputPath: sdk.String(t.files.uri(trainingFolder)),
		},
		ResourceConfig: &types.ResourceConfig{
			InstanceType:   types.TrainingInstanceType(cmp.Or(job.InstanceType, s.InstanceType)),
			InstanceCount:  sdk.Int32(int32(hosts)),
			VolumeSizeInGB: sdk.Int32(int32(s.VolumeGB)),
		},
		StoppingCondition: &types.StoppingCondition{MaxRuntimeInSeconds: seconds(job.MaxRuntime)},
		// SageMaker retries a job that failed because of an internal error.
		RetryStrategy: &types.RetryStrategy{MaximumRetryAttempts: sdk.Int32(2)},
		Tags:          tags(jobTags(job)),
	}
	if job.Algorithm == string(learn.LinearLearner) {
		// With the channel test, the job computes metrics on the held-out rows and does
		// not use them otherwise. With the channel validation it would also choose the
		// threshold and the best of several models by them, and the metrics would be
		// too good.
		request.InputDataConfig = append(request.InputDataConfig, t.channel("test", job.Holdout))
	}
	if s.Spot {
		request.EnableManagedSpotTraining = sdk.Bool(true)
		request.StoppingCondition.MaxWaitTimeInSeconds = seconds(job.MaxRuntime + s.SpotWait)
	}
	return request, nil
}

// trainingFolder has a folder with the artifacts of each training job.
const trainingFolder = "training"

// jobTags identify the model, the schema and the data of a job.
func jobTags(job modelswap.TrainingJob) map[string]string {
	return map[string]string{tagModel: job.Model, tagSchema: job.Schema, tagData: job.Data, tagAlgorithm: job.Algorithm}
}

// channel returns an input channel with one file, which every instance gets whole.
func (t *Trainer) channel(name, file string) types.Channel {
	return types.Channel{
		ChannelName: &name,
		ContentType: sdk.String(typeCSV),
		DataSource: &types.DataSource{S3DataSource: &types.S3DataSource{
			S3DataType: types.S3DataTypeS3Prefix, S3Uri: sdk.String(t.files.uri(file)),
			S3DataDistributionType: types.S3DataDistributionFullyReplicated,
		}},
	}
}

// hyperparameters adds the hyperparameters of the built-in algorithms that follow from the
// schema and the data to those of the renewal.
func hyperparameters(job modelswap.TrainingJob, hosts int) (map[string]string, error) {
	out := maps.Clone(job.Hyperparameters)
	if out == nil {
		out = make(map[string]string)
	}
	preset := func(name, value string) {
		if out[name] == "" {
			out[name] = value
		}
	}
	switch job.Algorithm {
	case string(learn.LinearLearner):
		preset("predictor_type", "binary_classifier")
		preset("feature_dim", strconv.Itoa(len(job.Columns)))
		batch := 1000
		if text := out["mini_batch_size"]; text != "" && text != "auto" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("hyperparameter mini_batch_size: %q is not a positive integer", text)
			}
			batch = n
		}
		// The job fails, after it has been paid for, if an instance has fewer rows than
		// a batch.
		out["mini_batch_size"] = strconv.Itoa(max(1, min(batch, job.Rows/max(1, hosts))))
	case string(learn.XGBoost):
		preset("objective", "binary:logistic")
		preset("num_round", "100")
	}
	return out, nil
}

// seconds returns d in whole seconds, at least 1.
func seconds(d time.Duration) *int32 {
	return sdk.Int32(int32(max(1, d/time.Second)))
}

// artifactFolder returns the folder with the artifacts of a training job.
func artifactFolder(job string) string { return path.Join(trainingFolder, job) }
