package sandbox_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/sandbox"
)

func TestATrainingJobEndsAsItsFaultWillHaveIt(t *testing.T) {
	for name, tc := range map[string]struct {
		fault     sandbox.Fault
		status    types.TrainingJobStatus
		secondary types.SecondaryStatus
		reason    string
		passes    string // a status that it passes through
		artifact  bool
	}{
		"fails in training":     {sandbox.Fault{Kind: sandbox.Fail, Reason: "AlgorithmError: boom"}, "Failed", "Failed", "AlgorithmError: boom", "Training", false},
		"fails while it starts": {sandbox.Fault{Kind: sandbox.Fail, At: "Starting", Reason: "InternalServerError: x"}, "Failed", "Failed", "InternalServerError: x", "Starting", false},
		"no capacity":           {sandbox.Fault{Kind: sandbox.NoCapacity}, "Failed", "Failed", "CapacityError: Unable to provision", "Starting", false},
		"runs for too long":     {sandbox.Fault{Kind: sandbox.ExceedRuntime}, "Stopped", "MaxRuntimeExceeded", "", "Training", true},
		"waits for too long":    {sandbox.Fault{Kind: sandbox.ExceedWait}, "Stopped", "MaxWaitTimeExceeded", "", "Pending", false},
		"loses its spot":        {sandbox.Fault{Kind: sandbox.Interrupt}, "Completed", "Completed", "", "Interrupted", true},
		"an unheard-of status":  {sandbox.Fault{Kind: sandbox.OddStatus, At: "Defragmenting"}, "Completed", "Completed", "", "Defragmenting", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.data()
			s.Order("CreateTrainingJob", tc.fault)
			in := trainingJob("job", linear)
			in.EnableManagedSpotTraining = aws.Bool(true)
			in.StoppingCondition.MaxWaitTimeInSeconds = aws.Int32(7200)
			if _, err := s.sm.CreateTrainingJob(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			s.Advance(24 * time.Hour)
			out := s.describeJob("job")
			if out.TrainingJobStatus != tc.status || out.SecondaryStatus != tc.secondary || !strings.HasPrefix(aws.ToString(out.FailureReason), tc.reason) {
				t.Errorf("it is %s/%s: %s", out.TrainingJobStatus, out.SecondaryStatus, aws.ToString(out.FailureReason))
			}
			passed := false
			for _, tr := range out.SecondaryStatusTransitions {
				passed = passed || string(tr.Status) == tc.passes
			}
			if !passed {
				t.Errorf("it passed through %v, not %s", out.SecondaryStatusTransitions, tc.passes)
			}
			if got := out.ModelArtifacts.S3ModelArtifacts != nil; got != tc.artifact {
				t.Errorf("it has an artifact: %t, want %t", got, tc.artifact)
			}
			if (len(out.FinalMetricDataList) > 0) != (tc.status == "Completed") {
				t.Errorf("metrics are %v", out.FinalMetricDataList)
			}
		})
	}
}

func TestTrainingFailsForTheReasonsThatTheContainersHave(t *testing.T) {
	for name, tc := range map[string]struct {
		image  string
		change func(*sagemaker.CreateTrainingJobInput)
		train  string
		reason string
	}{
		"fewer rows than a batch":  {linear, func(in *sagemaker.CreateTrainingJobInput) { delete(in.HyperParameters, "mini_batch_size") }, csv(600, 1), "ClientError: No training data processed."},
		"no predictor_type":        {linear, func(in *sagemaker.CreateTrainingJobInput) { delete(in.HyperParameters, "predictor_type") }, csv(600, 1), "ClientError: Missing required hyperparameter 'predictor_type'"},
		"a bad value":              {xgboost, func(in *sagemaker.CreateTrainingJobInput) { in.HyperParameters["num_round"] = "0" }, csv(600, 1), "ClientError: hyperparameter \"num_round\""},
		"no content type":          {xgboost, func(in *sagemaker.CreateTrainingJobInput) { in.InputDataConfig[0].ContentType = nil }, csv(600, 1), "ClientError: ContentType"},
		"a header in the data":     {linear, nil, "y,a,b\n" + csv(600, 1), "ClientError: Unable to read data channel 'train'"},
		"gzip in file mode":        {linear, nil, "\x1f\x8b\x08\x00 not text", "ClientError: Unable to read data channel 'train'"},
		"an unknown image":         {"1.dkr.ecr.eu-central-1.amazonaws.com/mine:1", nil, csv(600, 1), "AlgorithmError: the stand-in does not know"},
		"no train channel":         {linear, func(in *sagemaker.CreateTrainingJobInput) { in.InputDataConfig = in.InputDataConfig[1:] }, csv(600, 1), "ClientError: Required channel 'train' is missing"},
		"one class only, and none": {linear, nil, strings.Repeat("0,1,2\n", 200), "ClientError: training data has one class only"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.data()
			s.put("data/train/part-0.csv", tc.train)
			s.put("data/train/part-1.csv", "")
			in := trainingJob("job", tc.image)
			if tc.change != nil {
				tc.change(in)
			}
			if _, err := s.sm.CreateTrainingJob(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			s.Advance(time.Hour)
			out := s.describeJob("job")
			if out.TrainingJobStatus != "Failed" || !strings.HasPrefix(aws.ToString(out.FailureReason), tc.reason) {
				t.Errorf("it is %s: %s, want Failed: %s…", out.TrainingJobStatus, aws.ToString(out.FailureReason), tc.reason)
			}
		})
	}
}

func TestCreateTrainingJobRefusesWhatItCanSee(t *testing.T) {
	s := start(t)
	s.data()
	for name, tc := range map[string]struct {
		change        func(*sagemaker.CreateTrainingJobInput)
		code, message string
	}{
		"a name with an underscore": {func(in *sagemaker.CreateTrainingJobInput) { in.TrainingJobName = aws.String("a_b") }, "ValidationException", "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular expression pattern"},
		"a long name":               {func(in *sagemaker.CreateTrainingJobInput) { in.TrainingJobName = aws.String(strings.Repeat("a", 64)) }, "ValidationException", "1 validation error detected"},
		"a role that is not there":  {func(in *sagemaker.CreateTrainingJobInput) { in.RoleArn = aws.String(sandbox.Role + "-missing") }, "ValidationException", "Could not assume role arn:aws:iam"},
		"a prefix without data": {func(in *sagemaker.CreateTrainingJobInput) {
			in.InputDataConfig[0].DataSource.S3DataSource.S3Uri = aws.String("s3://bank/none/")
		}, "ValidationException", "No S3 objects found under S3 URL \"s3://bank/none/\""},
		"a hosting instance":  {func(in *sagemaker.CreateTrainingJobInput) { in.ResourceConfig.InstanceType = "ml.t2.medium" }, "ValidationException", "1 validation error detected"},
		"spot without a wait": {func(in *sagemaker.CreateTrainingJobInput) { in.EnableManagedSpotTraining = aws.Bool(true) }, "ValidationException", "Invalid MaxWaitTimeInSeconds"},
		"too many tags":       {func(in *sagemaker.CreateTrainingJobInput) { in.Tags = make([]types.Tag, 51) }, "ValidationException", "1 validation error detected"},
	} {
		t.Run(name, func(t *testing.T) {
			in := trainingJob("job", linear)
			tc.change(in)
			for i := range in.Tags {
				in.Tags[i] = types.Tag{Key: aws.String("k"), Value: aws.String("v")}
			}
			_, err := s.sm.CreateTrainingJob(t.Context(), in)
			refused(t, err, tc.code, tc.message)
		})
	}
	if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear)); err != nil {
		t.Fatal(err)
	}
	_, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear))
	var taken *types.ResourceInUse
	if !errors.As(err, &taken) || !strings.Contains(err.Error(), "(arn:aws:sagemaker:eu-central-1:123456789012:training-job/job)") {
		t.Errorf("a name that is taken gives %v", err)
	}
	_, err = s.sm.DescribeTrainingJob(t.Context(), &sagemaker.DescribeTrainingJobInput{TrainingJobName: aws.String("none")})
	refused(t, err, "ValidationException", "Requested resource not found.")
}

func TestAJobCanBeStoppedButNotOnceItIsOver(t *testing.T) {
	s := start(t)
	s.data()
	if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear)); err != nil {
		t.Fatal(err)
	}
	stop := func() error {
		_, err := s.sm.StopTrainingJob(t.Context(), &sagemaker.StopTrainingJobInput{TrainingJobName: aws.String("job")})
		return err
	}
	s.Advance(time.Minute)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if out := s.describeJob("job"); out.TrainingJobStatus != "Stopping" {
		t.Errorf("it is %s, want Stopping", out.TrainingJobStatus)
	}
	_, err := s.sm.DeleteTrainingJob(t.Context(), &sagemaker.DeleteTrainingJobInput{TrainingJobName: aws.String("job")})
	refused(t, err, "ValidationException", "The request was rejected because the training job is in status Stopping")
	s.Advance(time.Minute)
	if out := s.describeJob("job"); out.TrainingJobStatus != "Stopped" || out.ModelArtifacts.S3ModelArtifacts != nil {
		t.Errorf("it is %s, want Stopped without an artifact", out.TrainingJobStatus)
	}
	refused(t, stop(), "ValidationException", "The request was rejected because the training job is in status Stopped.")
	if _, err := s.sm.DeleteTrainingJob(t.Context(), &sagemaker.DeleteTrainingJobInput{TrainingJobName: aws.String("job")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear)); err != nil {
		t.Errorf("the name of a deleted job is taken: %v", err)
	}
}

func TestAPrefixMatchesEveryKeyThatBeginsWithIt(t *testing.T) {
	s := start(t)
	s.data()
	s.put("data/train-old/part.csv", "not,numbers\n")
	in := trainingJob("job", linear)
	in.InputDataConfig[0].DataSource.S3DataSource.S3Uri = aws.String("s3://bank/data/train")
	if _, err := s.sm.CreateTrainingJob(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Hour)
	if out := s.describeJob("job"); !strings.Contains(aws.ToString(out.FailureReason), "data/train-old/part.csv") {
		t.Errorf("it is %s: %s, want the file of the other folder in the way", out.TrainingJobStatus, aws.ToString(out.FailureReason))
	}
}

func TestJobsAreListedNewestFirstInPages(t *testing.T) {
	s := start(t)
	s.data()
	for _, name := range []string{"a", "b", "c", "other-d"} {
		if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job-"+name, linear)); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Second)
	}
	var got []string
	pages := sagemaker.NewListTrainingJobsPaginator(s.sm, &sagemaker.ListTrainingJobsInput{MaxResults: aws.Int32(2), NameContains: aws.String("job-"), StatusEquals: types.TrainingJobStatusInProgress})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page.TrainingJobSummaries {
			got = append(got, *j.TrainingJobName)
		}
	}
	if want := "job-other-d job-c job-b job-a"; strings.Join(got, " ") != want {
		t.Errorf("listed %v, want %s", got, want)
	}
}
