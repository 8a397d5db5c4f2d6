package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/go-json-experiment/json"
)

func TestATrainedModelAnswersThroughAnEndpoint(t *testing.T) {
	s := start(t)
	s.data()
	if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job-1", linear)); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for range 5 {
		out := s.describeJob("job-1")
		seen = append(seen, string(out.TrainingJobStatus)+"/"+string(out.SecondaryStatus))
		if out.ModelArtifacts.S3ModelArtifacts != nil && out.TrainingJobStatus != types.TrainingJobStatusCompleted {
			t.Errorf("there is an artifact while the job is %s", out.TrainingJobStatus)
		}
		s.Advance(map[types.SecondaryStatus]time.Duration{
			types.SecondaryStatusStarting: 90 * time.Second, types.SecondaryStatusDownloading: 15 * time.Second,
			types.SecondaryStatusTraining: time.Minute, types.SecondaryStatusUploading: 10 * time.Second}[out.SecondaryStatus])
	}
	if got, want := strings.Join(seen, " "), "InProgress/Starting InProgress/Downloading InProgress/Training InProgress/Uploading Completed/Completed"; got != want {
		t.Errorf("the job passed through %s, want %s", got, want)
	}
	out := s.describeJob("job-1")
	metrics := map[string]float32{}
	for _, m := range out.FinalMetricDataList {
		metrics[*m.MetricName] = aws.ToFloat32(m.Value)
	}
	if metrics["validation:roc_auc_score"] < 0.9 || metrics["train:progress"] != 100 {
		t.Errorf("metrics are %v", metrics)
	}
	if got, want := aws.ToInt32(out.BillableTimeInSeconds), int32(85); got != want {
		t.Errorf("billed for %d s, want %d", got, want)
	}
	artifact := *out.ModelArtifacts.S3ModelArtifacts
	if artifact != "s3://bank/models/job-1/output/model.tar.gz" {
		t.Errorf("artifact is %s", artifact)
	}
	tags, err := s.sm.ListTags(t.Context(), &sagemaker.ListTagsInput{ResourceArn: out.TrainingJobArn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "r-1" {
		t.Errorf("tags are %v (%v)", tags, err)
	}

	s.model("model-2", linear)
	s.endpoint("bank", "model-2")
	res, err := s.invoke("bank", "0.95,0.9\n0.05,0.1")
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Predictions []struct {
			Score float64 `json:"score"`
			Label float64 `json:"predicted_label"`
		} `json:"predictions"`
	}
	if err := json.Unmarshal(res.Body, &body); err != nil || len(body.Predictions) != 2 {
		t.Fatalf("answer is %s (%v)", res.Body, err)
	}
	if p := body.Predictions; p[0].Score < 0.9 || p[0].Label != 1 || p[1].Score > 0.1 || p[1].Label != 0 {
		t.Errorf("answer is %s", res.Body)
	}
	if !strings.Contains(string(res.Body), `"predicted_label": 1.0`) {
		t.Errorf("labels are not floats: %s", res.Body)
	}
	if aws.ToString(res.InvokedProductionVariant) != "AllTraffic" || aws.ToString(res.ContentType) != "application/json" {
		t.Errorf("answered by %v as %v", res.InvokedProductionVariant, res.ContentType)
	}
}
