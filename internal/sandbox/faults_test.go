package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gateway/internal/sandbox"
)

// hasty retries without a delay.
func hasty(o *sagemakerruntime.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

// TestTheSDKSeesEveryFaultOfTheRuntime is the table of aws-sdk-go-v2's default
// retryer: which of the runtime's errors it tries again, and as what they
// arrive.
func TestTheSDKSeesEveryFaultOfTheRuntime(t *testing.T) {
	s := two(t)
	for _, tc := range []struct {
		name     string
		fault    sandbox.Fault
		attempts int
		code     string // empty: no API error
		status   int
	}{
		{"ModelError", sandbox.Fault{Kind: sandbox.ModelError, Status: 500}, 1, "ModelError", 424},
		{"a container that is too slow", sandbox.Fault{Kind: sandbox.ModelTimeout}, 1, "ModelError", 424},
		{"ModelNotReadyException", sandbox.Fault{Kind: sandbox.ModelNotReady}, 1, "ModelNotReadyException", 429},
		{"ServiceUnavailable", sandbox.Fault{Kind: sandbox.Unavailable}, 3, "ServiceUnavailable", 503},
		{"InternalFailure", sandbox.Fault{Kind: sandbox.Internal}, 3, "InternalFailure", 500},
		{"InternalDependencyException", sandbox.Fault{Kind: sandbox.Dependency}, 1, "InternalDependencyException", 530},
		{"throttled without a code", sandbox.Fault{Kind: sandbox.Throttle}, 1, "UnknownError", 400},
		{"throttled with a code", sandbox.Fault{Kind: sandbox.Refuse, Code: "ThrottlingException", Message: "Rate exceeded"}, 3, "ThrottlingException", 400},
		{"AccessDeniedException", sandbox.Fault{Kind: sandbox.Denied}, 1, "AccessDeniedException", 403},
		{"a page of a proxy", sandbox.Fault{Kind: sandbox.HTML}, 3, "", 502},
		{"cut before the effect", sandbox.Fault{Kind: sandbox.Cut}, 3, "", 0},
		{"an answer that is lost", sandbox.Fault{Kind: sandbox.LoseAnswer}, 3, "", 0},
		{"a body cut short", sandbox.Fault{Kind: sandbox.Truncate}, 1, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.fault.Times = -1
			order := s.Order("InvokeEndpoint", tc.fault)
			defer order.Cancel()
			s.ForgetCalls()
			client := sagemakerruntime.NewFromConfig(s.Config(), hasty)
			_, err := client.InvokeEndpoint(t.Context(), &sagemakerruntime.InvokeEndpointInput{EndpointName: aws.String("bank"), ContentType: aws.String("text/csv"), Body: []byte("1,2")})
			if err == nil {
				t.Fatal("it went well")
			}
			if got := s.Invocations("InvokeEndpoint"); !slices.Equal(got, []int{tc.attempts}) || order.Hits() != tc.attempts {
				t.Errorf("%v attempts, %d hits, want %d", got, order.Hits(), tc.attempts)
			}
			var api smithy.APIError
			if errors.As(err, &api) != (tc.code != "") || tc.code != "" && api.ErrorCode() != tc.code {
				t.Errorf("got %v, want the code %q", err, tc.code)
			}
			var res *smithyhttp.ResponseError
			if errors.As(err, &res); tc.status != 0 && (res == nil || res.HTTPStatusCode() != tc.status) {
				t.Errorf("got %v, want the status %d", err, tc.status)
			}
			for _, c := range s.Calls("InvokeEndpoint") {
				if c.Fault != tc.fault.Kind {
					t.Errorf("the journal has %+v, want the fault", c)
				}
			}
		})
	}
	if _, err := s.invoke("bank", "1,2"); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

func TestAnswersThatAreNoneLookLikeSuccess(t *testing.T) {
	s := two(t)
	for kind, like := range map[sandbox.Kind]func(string) bool{
		sandbox.NoContent:     func(b string) bool { return b == "" },
		sandbox.Garbage:       func(b string) bool { return !strings.Contains(b, "score") },
		sandbox.WrongCount:    func(b string) bool { return strings.Count(b, "score") == 2 },
		sandbox.NotANumber:    func(b string) bool { return strings.Contains(b, `"score": NaN`) },
		sandbox.NullScore:     func(b string) bool { return strings.Contains(b, `"score": null`) },
		sandbox.IntegerLabels: func(b string) bool { return strings.Contains(b, `"predicted_label": 1}`) },
	} {
		s.Order("InvokeEndpoint", sandbox.Fault{Kind: kind, Resource: "b*"})
		out, err := s.invoke("bank", rows)
		if err != nil || !like(string(out.Body)) {
			t.Errorf("%s: got %q (%v)", kind, out.Body, err)
		}
	}
}

func TestALostAnswerMeetsItsOwnEffectWhenItIsTriedAgain(t *testing.T) {
	s := start(t)
	s.data()
	s.Order("CreateTrainingJob", sandbox.Fault{Kind: sandbox.LoseAnswer})
	_, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear), func(o *sagemaker.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	})
	var taken *types.ResourceInUse
	if !errors.As(err, &taken) {
		t.Fatalf("got %v, want the second attempt to meet the job of the first", err)
	}
	if got := s.Invocations("CreateTrainingJob"); !slices.Equal(got, []int{2}) {
		t.Errorf("attempts are %v, want one call of two", got)
	}
	s.describeJob("job")
}

func TestAnOrderWaitsForItsCalls(t *testing.T) {
	s := two(t)
	s.Order("Invoke*", sandbox.Fault{Kind: sandbox.Denied, Skip: 2, Times: 2, Resource: "bank"})
	s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Denied, Resource: "other"})
	var got []bool
	for range 6 {
		_, err := s.invoke("bank", "1,2")
		got = append(got, err == nil)
	}
	if want := []bool{true, true, false, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("calls went well: %v, want %v", got, want)
	}
	s.CancelFaults()
	order := s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Internal, Attempt: 1, Times: -1})
	client := sagemakerruntime.NewFromConfig(s.Config(), hasty)
	for range 3 {
		if _, err := client.InvokeEndpoint(t.Context(), &sagemakerruntime.InvokeEndpointInput{EndpointName: aws.String("bank"), ContentType: aws.String("text/csv"), Body: []byte("1,2")}); err != nil {
			t.Errorf("the second attempt: %v", err)
		}
	}
	if order.Hits() != 3 {
		t.Errorf("it struck %d times, want 3", order.Hits())
	}
}

func TestAnOutcomeIsNotUsedUpByACallThatIsRefused(t *testing.T) {
	s := two(t)
	order := s.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBack})
	_, err := s.sm.UpdateEndpoint(t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("none")})
	refused(t, err, "ValidationException", "Could not find endpoint configuration")
	if order.Hits() != 0 {
		t.Errorf("it struck %d times, want none", order.Hits())
	}
	s.update("bank", "new")
	s.Advance(time.Hour)
	s.is("bank", "InService", "old")
}

func TestASlowAnswerAndOneThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWith(t, sandbox.Options{InMemory: true})
		s.Order("ListTrainingJobs", sandbox.Fault{Kind: sandbox.Slow, Delay: 3 * time.Second})
		begun := time.Now()
		if _, err := s.sm.ListTrainingJobs(t.Context(), &sagemaker.ListTrainingJobsInput{}); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("it took %s (%v), want 3 s", time.Since(begun), err)
		}
		s.Order("ListTrainingJobs", sandbox.Fault{Kind: sandbox.Hang})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun = time.Now()
		if _, err := s.sm.ListTrainingJobs(ctx, &sagemaker.ListTrainingJobsInput{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 5*time.Second {
			t.Errorf("got %v after %s, want the deadline", err, time.Since(begun))
		}
	})
}

func TestInABubbleLifeCyclesGoByTheBubblesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWith(t, sandbox.Options{InMemory: true})
		s.data()
		if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear)); err != nil {
			t.Fatal(err)
		}
		polls := 0
		for s.describeJob("job").TrainingJobStatus == "InProgress" {
			time.Sleep(10 * time.Second)
			polls++
		}
		if out := s.describeJob("job"); out.TrainingJobStatus != "Completed" || polls < 15 || polls > 22 {
			t.Errorf("it is %s after %d polls, want Completed after some 18", out.TrainingJobStatus, polls)
		}
	})
}

func TestWithoutAClockLifeCyclesGoByTheRealTimeAndFast(t *testing.T) {
	s := startWith(t, sandbox.Options{})
	s.data()
	if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear)); err != nil {
		t.Fatal(err)
	}
	waiter := sagemaker.NewTrainingJobCompletedOrStoppedWaiter(s.sm, func(o *sagemaker.TrainingJobCompletedOrStoppedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 5*time.Millisecond, 5*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &sagemaker.DescribeTrainingJobInput{TrainingJobName: aws.String("job")}, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestOtherServicesThrottleInTheirOwnWords(t *testing.T) {
	s := start(t)
	s.customers(1)
	s.Order("*", sandbox.Fault{Kind: sandbox.Throttle, Times: -1})
	one := func(code string, err error) {
		t.Helper()
		refused(t, err, code, "")
	}
	_, err := s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: key(0)}, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	one("ProvisionedThroughputExceededException", err)
	_, err = s.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)}, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	one("SlowDown", err)
	_, err = s.sm.ListModels(t.Context(), &sagemaker.ListModelsInput{}, func(o *sagemaker.Options) { o.RetryMaxAttempts = 1 })
	one("ThrottlingException", err)
}

func TestTheAccountsQuotaIsCheckedWhenTheCallIsMade(t *testing.T) {
	s := start(t)
	s.data()
	s.Order("CreateTrainingJob", sandbox.Fault{Kind: sandbox.Limit})
	_, err := s.sm.CreateTrainingJob(t.Context(), trainingJob("job", linear))
	var limit *types.ResourceLimitExceeded
	if !errors.As(err, &limit) || !strings.Contains(*limit.Message, "for training job usage' is 0 Instances") {
		t.Errorf("got %v, want the quota", err)
	}
}

func TestARequestMustBeSignedForTheRegion(t *testing.T) {
	s := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/endpoints/bank/invocations", strings.NewReader("1,2"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusForbidden || res.Header.Get("X-Amzn-ErrorType") != "MissingAuthenticationTokenException" {
		t.Errorf("unsigned: %d %s", res.StatusCode, body)
	}
	cfg := s.Config()
	cfg.Region = "us-east-1"
	_, err = sagemaker.NewFromConfig(cfg).ListModels(t.Context(), &sagemaker.ListModelsInput{})
	refused(t, err, "InvalidSignatureException", "Credential should be scoped to a valid region")
}

func TestAFaultThatDoesNotExistIsAPanic(t *testing.T) {
	s := start(t)
	defer func() {
		if recover() == nil {
			t.Error("it was taken")
		}
	}()
	s.Order("InvokeEndpoint", sandbox.Fault{Kind: "no-such"})
}
