package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	static "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"gateway/internal/gatewaytest"
)

// runSandbox runs `gateway sandbox` and returns what it says to export, and how
// to end it.
func runSandbox(t *testing.T, args ...string) (env map[string]string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &safeBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(&console{ctx: ctx, stdout: out, stderr: io.Discard}, append([]string{"sandbox", "--addr", "127.0.0.1:0"}, args...))
	}()
	stop = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	gatewaytest.Eventually(t, "the sandbox prints its lines", func() bool { return strings.Contains(out.String(), "GATEWAY_EXECUTION_ROLE_ARN") })
	env = map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^export ([A-Z0-9_]+)='(.*)'$`).FindAllStringSubmatch(out.String(), -1) {
		env[m[1]] = m[2]
	}
	return env, stop
}

// TestTheSandboxAnswersForAthenaWithoutAnEngine: a query is taken, and fails with the
// reason.
func TestTheSandboxAnswersForAthenaWithoutAnEngine(t *testing.T) {
	env, _ := runSandbox(t, "--speed", "1000")
	queries := athena.NewFromConfig(aws.Config{Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: static.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], "")})
	started, err := queries.StartQueryExecution(t.Context(), &athena.StartQueryExecutionInput{QueryString: aws.String("SELECT 1"),
		ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://sandbox/results/")}})
	if err != nil {
		t.Fatal(err)
	}
	var status *types.QueryExecutionStatus
	gatewaytest.Eventually(t, "the query has ended", func() bool {
		out, err := queries.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: started.QueryExecutionId})
		if err != nil {
			t.Fatal(err)
		}
		status = out.QueryExecution.Status
		return status.CompletionDateTime != nil
	})
	if status.State != types.QueryExecutionStateFailed || !strings.Contains(aws.ToString(status.StateChangeReason), "no engine for SQL") {
		t.Errorf("it is %s: %s", status.State, aws.ToString(status.StateChangeReason))
	}
}

// safeBuffer is a buffer that one writes and another reads.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestTheSandboxPrintsWhatAnSDKNeedsToFindIt(t *testing.T) {
	env, stop := runSandbox(t, "--table", "people")
	for name, want := range map[string]string{"GATEWAY_PLATFORM": "sagemaker", "GATEWAY_S3_BUCKET": "sandbox", "GATEWAY_CUSTOMERS_TABLE": "people", "AWS_REGION": "eu-central-1"} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	cfg := aws.Config{Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: static.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], "")}
	// The bucket bears the name of the path that faults are ordered under.
	for _, key := range []string{"calls", "kinds", "any/key"} {
		if _, err := s3.NewFromConfig(cfg).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("sandbox"), Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Errorf("the bucket does not take %s: %v", key, err)
		}
	}
	secrets := secretsmanager.NewFromConfig(cfg)
	_, err := secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("gateway/tokens"), SecretString: aws.String(`{"tokens": ["t"]}`)})
	if err != nil {
		t.Errorf("no secret can be made: %v", err)
	}
	secret, err := secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("gateway/tokens"), VersionStage: aws.String("AWSCURRENT")})
	if err != nil || *secret.SecretString != `{"tokens": ["t"]}` {
		t.Errorf("the secret is %+v (%v)", secret, err)
	}
	backups, err := dynamodb.NewFromConfig(cfg).DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: aws.String("people")})
	if err != nil || backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != "ENABLED" {
		t.Errorf("the table's recovery is %+v (%v)", backups, err)
	}

	post := func(body string) int {
		t.Helper()
		res, err := http.Post(env["AWS_ENDPOINT_URL"]+"/sandbox/faults", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if got := post(`{"operation": "ListModels", "kind": "refuse", "code": "Odd", "message": "by order"}`); got != http.StatusCreated {
		t.Errorf("a fault gives %d, want 201", got)
	}
	if got := post(`{"operation": "ListModels", "kind": "nonsense"}`); got != http.StatusBadRequest {
		t.Errorf("a kind that is none gives %d, want 400", got)
	}
	if got := post(`{"operation": "ListModels", "kind": "slow", "delay": "soon"}`); got != http.StatusBadRequest {
		t.Errorf("a delay that is none gives %d, want 400", got)
	}
	_, err = sagemaker.NewFromConfig(cfg).ListModels(t.Context(), &sagemaker.ListModelsInput{})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "Odd" || api.ErrorMessage() != "by order" {
		t.Errorf("got %v, want the error that was ordered", err)
	}
	res, err := http.Get(env["AWS_ENDPOINT_URL"] + "/sandbox/calls?operation=ListModels")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || strings.Count(string(body), `"operation":"ListModels"`) != 1 || !strings.Contains(string(body), `"fault":"refuse"`) {
		t.Errorf("the journal is %s (%v)", body, err)
	}
	if code := stop(); code != exitOK {
		t.Errorf("it ended with %d, want 0", code)
	}
}

func TestTheSandboxsHelpSaysHowToMakeThingsGoWrong(t *testing.T) {
	code, out, _ := command(t, "sandbox", "--help")
	for _, want := range []string{"/sandbox/faults", "roll-back-silently", "--moto", "lose-answer"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("help ended with %d and does not have %q:\n%s", code, want, out)
		}
	}
}

func TestASandboxThatCannotListenOrReachItsMotoSaysSo(t *testing.T) {
	for _, args := range [][]string{{"--addr", "nowhere"}, {"--moto", "127.0.0.1:1"}, {"--moto", "http://127.0.0.1:1"}, {"--speed", "0"}} {
		code, out, errs := command(t, append([]string{"sandbox"}, args...)...)
		if code == exitOK || out != "" || len(gatewaytest.Lines(errs)) != 1 {
			t.Errorf("%v ended with %d: %q and %q, want one line", args, code, out, errs)
		}
	}
}
