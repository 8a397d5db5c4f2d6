package sandbox_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/sandbox"
)

// tool finds a program, or skips the test: neither the AWS CLI nor boto3 nor
// moto is needed to work on the gateway.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// shell runs a program with the sandbox's environment variables.
func (s *stand) shell(name string, args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
	for _, v := range s.Environment() {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTheAWSCommandLineUnderstandsTheStandIn(t *testing.T) {
	cli := tool(t, "aws")
	s := two(t)
	file, body := filepath.Join(t.TempDir(), "answer.json"), filepath.Join(t.TempDir(), "row.csv")
	if err := os.WriteFile(body, []byte("0.9,0.9"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := s.shell(cli, "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "bank", "--content-type", "text/csv", "--body", "fileb://"+body, file)
	if err != nil || !strings.Contains(out, `"InvokedProductionVariant": "AllTraffic"`) {
		t.Fatalf("invoke-endpoint: %s (%v)", out, err)
	}
	if answer, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(answer), `{"predictions": [{"score": `) {
		t.Errorf("the answer is %s (%v)", answer, err)
	}
	for args, says := range map[string]string{
		"sagemaker describe-endpoint --endpoint-name none":           "(ValidationException) when calling the DescribeEndpoint operation: Could not find endpoint",
		"s3 cp --only-show-errors s3://bank/data/train/part-0.csv -": ",0.",
	} {
		if out, _ := s.shell(cli, strings.Fields(args)...); !strings.Contains(out, says) {
			t.Errorf("%s: %s, want %s", args, out, says)
		}
	}
}

const boto = `
import json, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
sm, rt, ddb = boto3.client("sagemaker", config=once), boto3.client("sagemaker-runtime", config=once), boto3.client("dynamodb", config=once)
out = {}
def caught(name, f, kind):
    try:
        f()
        out[name] = "no error"
    except kind as e:
        out[name] = type(e).__name__ + ": " + e.response["Error"]["Code"]
    except Exception as e:
        out[name] = "another error: " + repr(e)
invoke = lambda body="0.9,0.9": rt.invoke_endpoint(EndpointName="bank", ContentType="text/csv", Body=body)
out["score"] = json.loads(invoke()["Body"].read())["predictions"][0]["predicted_label"]
caught("payload", lambda: invoke("1,2,3"), rt.exceptions.ModelError)
caught("not ready", invoke, rt.exceptions.ModelNotReadyException)
caught("dependency", invoke, rt.exceptions.InternalDependencyException)
caught("unavailable", invoke, rt.exceptions.ServiceUnavailable)
caught("internal", invoke, rt.exceptions.InternalFailure)
caught("missing", lambda: rt.invoke_endpoint(EndpointName="none", Body="1"), rt.exceptions.ValidationError)
caught("taken", lambda: sm.create_endpoint(EndpointName="bank", EndpointConfigName="old"), ClientError)
caught("limit", lambda: sm.create_endpoint(EndpointName="more", EndpointConfigName="old"), sm.exceptions.ResourceLimitExceeded)
caught("pitr", lambda: ddb.export_table_to_point_in_time(TableArn="arn:aws:dynamodb:eu-central-1:123456789012:table/customers", S3Bucket="bank"), ddb.exceptions.PointInTimeRecoveryUnavailableException)
caught("condition", lambda: ddb.put_item(TableName="customers", Item={"customer_id": {"S": "c-0000"}}, ConditionExpression="attribute_not_exists(customer_id)"), ddb.exceptions.ConditionalCheckFailedException)
s3 = boto3.client("s3", config=once)
s3.put_object(Bucket="bank", Key="from/python", Body=b"hello", Metadata={"a": "b"})
got = s3.get_object(Bucket="bank", Key="from/python")
out["s3"] = got["Body"].read().decode() + got["Metadata"]["a"]
out["time"] = sm.describe_endpoint(EndpointName="bank")["CreationTime"].year > 2000
print(json.dumps(out))
`

func TestBoto3RaisesItsOwnExceptions(t *testing.T) {
	python := tool(t, "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not installed")
	}
	s := two(t)
	s.customers(1)
	for _, kind := range []sandbox.Kind{sandbox.ModelNotReady, sandbox.Dependency, sandbox.Unavailable, sandbox.Internal} {
		s.Order("InvokeEndpoint", sandbox.Fault{Kind: kind, Skip: 2})
	}
	s.Order("CreateEndpoint", sandbox.Fault{Kind: sandbox.Limit, Resource: "more"})
	text, err := s.shell(python, "-c", boto)
	var got map[string]any
	if err != nil || json.Unmarshal([]byte(text), &got) != nil {
		t.Fatalf("%s (%v)", text, err)
	}
	for name, want := range map[string]any{
		"score":       1.0,
		"payload":     "ModelError: ModelError",
		"not ready":   "ModelNotReadyException: ModelNotReadyException",
		"dependency":  "InternalDependencyException: InternalDependencyException",
		"unavailable": "ServiceUnavailable: ServiceUnavailable",
		"internal":    "InternalFailure: InternalFailure",
		"missing":     "ValidationError: ValidationError",
		"taken":       "ClientError: ValidationException",
		"limit":       "ResourceLimitExceeded: ResourceLimitExceeded",
		"pitr":        "PointInTimeRecoveryUnavailableException: PointInTimeRecoveryUnavailableException",
		"condition":   "ConditionalCheckFailedException: ConditionalCheckFailedException",
		"s3":          "hellob",
		"time":        true,
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}

// moto starts a moto server that ends with the test. Where it is installed it
// must come up: a test that is skipped then would hide that.
func moto(t *testing.T) string {
	t.Helper()
	server := tool(t, "moto_server")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.CommandContext(t.Context(), server, "-H", host, "-p", port)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	output := filepath.Join(t.TempDir(), "moto.log")
	log, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // moto has its own
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("moto is installed and does not run: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	url := "http://" + net.JoinHostPort(host, port)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if res, err := http.Get(url + "/moto-api/"); err == nil {
			_ = res.Body.Close()
			return url
		}
	}
	text, _ := os.ReadFile(output)
	t.Fatalf("moto is installed and did not come up within a minute:\n%s", text)
	return ""
}

func TestWithMotoBehindItTrainingAndExportsUseWhatLiesThere(t *testing.T) {
	url := moto(t)
	s := startWith(t, sandbox.Options{Clock: sandbox.NewManualClock(), Backend: url})
	if err := s.Prepare(t.Context(), bucket, table); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), bucket, table); err != nil {
		t.Errorf("the second time: %v", err)
	}
	s.model("old", linear)
	s.endpoint("bank", "old")
	if _, err := s.invoke("bank", "0.9,0.9"); err != nil {
		t.Error(err)
	}
	for i := range 30 {
		if _, err := s.dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: customer(i)}); err != nil {
			t.Fatal(err)
		}
	}
	e, err := s.export(&dynamodb.ExportTableToPointInTimeInput{S3Prefix: aws.String("exports")})
	if err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Hour)
	if e = s.describeExport(e.ExportArn); e.ExportStatus != types.ExportStatusCompleted || *e.ItemCount != 30 {
		t.Fatalf("it ended as %+v", e)
	}
	folder := strings.TrimSuffix(*e.ExportManifest, "/manifest-summary.json")
	if n := items(t, s.files("exports/"), folder); n != 30 {
		t.Errorf("its reader finds %d items, want 30", n)
	}
	s.Order("GetItem", sandbox.Fault{Kind: sandbox.Denied})
	_, err = s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: key(1)})
	refused(t, err, "AccessDeniedException", "")
}
