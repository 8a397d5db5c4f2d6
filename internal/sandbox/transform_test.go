package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/sandbox"
)

func transformJob(name, model string) *sagemaker.CreateTransformJobInput {
	return &sagemaker.CreateTransformJobInput{TransformJobName: &name, ModelName: &model,
		TransformInput: &types.TransformInput{ContentType: aws.String("text/csv"), SplitType: types.SplitTypeLine,
			DataSource: &types.TransformDataSource{S3DataSource: &types.TransformS3DataSource{S3DataType: types.S3DataTypeS3Prefix, S3Uri: aws.String("s3://bank/score/")}}},
		TransformOutput:    &types.TransformOutput{S3OutputPath: aws.String("s3://bank/scored"), AssembleWith: types.AssemblyTypeLine},
		TransformResources: &types.TransformResources{InstanceType: types.TransformInstanceTypeMlM5Large, InstanceCount: aws.Int32(1)}}
}

func TestABatchTransformJobScoresEveryRow(t *testing.T) {
	s := start(t)
	s.model("trees", xgboost)
	s.put("score/rows.csv", strings.Repeat("0.9,0.9\n0.1,0.1\n", 600))
	describe := func(name string) *sagemaker.DescribeTransformJobOutput {
		t.Helper()
		out, err := s.sm.DescribeTransformJob(t.Context(), &sagemaker.DescribeTransformJobInput{TransformJobName: &name})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := s.sm.CreateTransformJob(t.Context(), transformJob("t-1", "trees")); err != nil {
		t.Fatal(err)
	}
	if out := describe("t-1"); out.TransformJobStatus != types.TransformJobStatusInProgress {
		t.Errorf("it is %s", out.TransformJobStatus)
	}
	s.Advance(time.Hour)
	if out := describe("t-1"); out.TransformJobStatus != types.TransformJobStatusCompleted {
		t.Fatalf("it is %s: %s", out.TransformJobStatus, aws.ToString(out.FailureReason))
	}
	scores := strings.Fields(s.get("scored/rows.csv.out", ""))
	if len(scores) != 1200 || scores[0] == scores[1] || scores[0] != scores[1198] {
		t.Errorf("%d scores that begin with %v", len(scores), scores[:min(2, len(scores))])
	}

	s.Order("CreateTransformJob", sandbox.Fault{Kind: sandbox.Fail, Reason: "ClientError: by order"})
	if _, err := s.sm.CreateTransformJob(t.Context(), transformJob("t-2", "trees")); err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Hour)
	if out := describe("t-2"); out.TransformJobStatus != types.TransformJobStatusFailed || aws.ToString(out.FailureReason) != "ClientError: by order" {
		t.Errorf("it is %s: %s", out.TransformJobStatus, aws.ToString(out.FailureReason))
	}
	_, err := s.sm.CreateTransformJob(t.Context(), transformJob("t-1", "trees"))
	refused(t, err, "ResourceInUse", "Job name must be unique")
	_, err = s.sm.CreateTransformJob(t.Context(), transformJob("t-3", "none"))
	refused(t, err, "ValidationException", "Could not find model")
}
