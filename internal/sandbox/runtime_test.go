package sandbox_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	cptypes "github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/google/go-cmp/cmp"

	"gateway/internal/sandbox"
)

const rows = "0.9,0.9\n0.1,0.2\n0.5,0.5"

func accept(contentType string) func(*sagemakerruntime.InvokeEndpointInput) {
	return func(in *sagemakerruntime.InvokeEndpointInput) { in.Accept = &contentType }
}

func TestTheContainersAnswerInTheirOwnFormats(t *testing.T) {
	s := start(t)
	for model, image := range map[string]string{"linear": linear, "trees": xgboost, "oldtrees": xgb090} {
		s.model(model, image)
		s.endpoint(model, model)
	}
	for name, tc := range map[string]struct {
		endpoint, accept, contentType string
		rows                          int
		like                          func(string) bool
	}{
		"linear-learner answers JSON": {"linear", "", "application/json", 3, func(b string) bool {
			return strings.HasPrefix(b, `{"predictions": [{"score": 0.99`) && strings.Contains(b, `, "predicted_label": 1.0}, {"score": `)
		}},
		"or JSON lines":                {"linear", "application/jsonlines", "application/jsonlines", 3, func(b string) bool { return strings.Count(b, "}\n") == 3 }},
		"XGBoost 1 answers lines":      {"trees", "", "text/csv; charset=utf-8", 3, func(b string) bool { return strings.Count(b, "\n") == 3 && !strings.Contains(b, ",") }},
		"XGBoost 0.90 answers one":     {"oldtrees", "", "text/csv; charset=utf-8", 3, func(b string) bool { return strings.Count(b, ",") == 2 && !strings.Contains(b, "\n") }},
		"XGBoost in JSON has no label": {"trees", "application/json", "application/json", 3, func(b string) bool { return !strings.Contains(b, "predicted_label") }},
	} {
		t.Run(name, func(t *testing.T) {
			var options []func(*sagemakerruntime.InvokeEndpointInput)
			if tc.accept != "" {
				options = append(options, accept(tc.accept))
			}
			out, err := s.invoke(tc.endpoint, rows, options...)
			if err != nil {
				t.Fatal(err)
			}
			if got := aws.ToString(out.ContentType); got != tc.contentType || !tc.like(string(out.Body)) {
				t.Errorf("answered %s as %s", out.Body, got)
			}
		})
	}
	out, err := s.invoke("trees", "")
	if err != nil || len(out.Body) != 0 {
		t.Errorf("no rows give %q (%v), want an empty body", out.Body, err)
	}
}

func TestScoresAreOfSinglePrecision(t *testing.T) {
	s := start(t)
	s.model("trees", xgboost)
	s.endpoint("bank", "trees")
	out, err := s.invoke("bank", rows)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out.Body)) {
		text := strings.TrimSpace(line)
		p, err := strconv.ParseFloat(text, 64)
		if err != nil || p <= 0 || p >= 1 || strconv.FormatFloat(p, 'g', -1, 32) != text {
			t.Errorf("score %q is no float32 in (0, 1)", line)
		}
	}
}

func TestContainersRefuseWhatTheyCannotRead(t *testing.T) {
	s := start(t)
	for model, image := range map[string]string{"linear": linear, "trees": xgboost} {
		s.model(model, image)
		s.endpoint(model, model)
	}
	for name, tc := range map[string]struct {
		endpoint, body, contentType, accept string
		status                              int32
		says                                string
	}{
		"a row too short":            {"linear", "1\n1,2", "text/csv", "", 400, "unable to evaluate payload provided"},
		"words":                      {"linear", "a,b", "text/csv", "", 400, "unable to evaluate payload provided"},
		"a header":                   {"trees", "x,y\n1,2", "text/csv", "", 415, "Loading csv data failed"},
		"a row too long":             {"trees", "1,2,3", "text/csv", "", 400, "Feature shape mismatch, expected: 2, got 3"},
		"another content type":       {"linear", "1,2", "image/png", "", 415, "content_type not supported: image/png"},
		"CSV out of linear-learner":  {"linear", "1,2", "text/csv", "text/csv", 406, "Accept type text/csv is not supported"},
		"JSON out of nothing at all": {"linear", `{"instances":[{"features":[1]}]}`, "application/json", "", 400, "unable to evaluate payload provided"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.invoke(tc.endpoint, tc.body, func(in *sagemakerruntime.InvokeEndpointInput) {
				in.ContentType = &tc.contentType
				if tc.accept != "" {
					in.Accept = &tc.accept
				}
			})
			var failed *types.ModelError
			if !errors.As(err, &failed) || *failed.OriginalStatusCode != tc.status || !strings.Contains(*failed.OriginalMessage, tc.says) {
				t.Fatalf("got %v, want a ModelError %d: %s", err, tc.status, tc.says)
			}
			if want := "Received client error ("; !strings.HasPrefix(*failed.Message, want) || !strings.Contains(*failed.Message, "in account 123456789012 for more information.") {
				t.Errorf("message is %q", *failed.Message)
			}
		})
	}
	out, err := s.invoke("linear", `{"instances":[{"features":[0.9,0.9]},{"data":{"features":{"values":[0.1,0.1]}}}]}`, func(in *sagemakerruntime.InvokeEndpointInput) {
		in.ContentType = aws.String("application/json")
	})
	if err != nil || strings.Count(string(out.Body), "score") != 2 {
		t.Errorf("JSON gives %v (%v)", out, err)
	}
}

func TestTheRuntimeHasItsLimits(t *testing.T) {
	s := two(t)
	_, err := s.invoke("none", "1,2")
	refused(t, err, "ValidationError", "Endpoint none of account 123456789012 not found.")
	_, err = s.invoke("bank", strings.Repeat("0.5,0.5\n", 800_000))
	refused(t, err, "ValidationError", "1 validation error detected: Value at 'body'")
	_, err = s.invoke("bank", "1,2", func(in *sagemakerruntime.InvokeEndpointInput) { in.InferenceId = aws.String(strings.Repeat("x", 65)) })
	refused(t, err, "ValidationError", "1 validation error detected")
	_, err = s.invoke("bank", "1,2", func(in *sagemakerruntime.InvokeEndpointInput) { in.TargetVariant = aws.String("Other") })
	refused(t, err, "ValidationError", "Variant Other not found")
}

func TestVariantsShareTheTrafficByWeightAndCanBeAskedByName(t *testing.T) {
	s := start(t)
	s.model("a", linear)
	s.model("b", linear)
	variant := func(model string, weight float32) cptypes.ProductionVariant {
		v := variantOf(model)
		v.VariantName, v.InitialVariantWeight = aws.String("of-"+model), &weight
		return v
	}
	_, err := s.sm.CreateEndpointConfig(t.Context(), &sagemaker.CreateEndpointConfigInput{EndpointConfigName: aws.String("both"), ProductionVariants: []cptypes.ProductionVariant{variant("a", 3), variant("b", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	s.endpoint("bank", "both")
	if got := s.models(100); got["b"] < 20 || got["b"] > 30 || got["a"]+got["b"] != 100 {
		t.Errorf("answered by %v, want 75 to 25", got)
	}
	for range 10 {
		out, err := s.invoke("bank", "1,2", func(in *sagemakerruntime.InvokeEndpointInput) { in.TargetVariant = aws.String("of-b") })
		if err != nil || *out.InvokedProductionVariant != "of-b" {
			t.Fatalf("answered by %v (%v)", out, err)
		}
	}
}

func TestACallTellsWhoReallyAnsweredIt(t *testing.T) {
	s := two(t)
	s.ForgetCalls()
	_, err := s.invoke("bank", rows, func(in *sagemakerruntime.InvokeEndpointInput) {
		in.InferenceId, in.CustomAttributes = aws.String("p-1"), aws.String("trace=7")
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := s.Calls("InvokeEndpoint")
	if len(calls) != 1 {
		t.Fatalf("%d calls, want 1", len(calls))
	}
	got := calls[0]
	got.At, got.Invocation = got.At.UTC(), ""
	want := sandbox.Call{Service: "sagemaker", Operation: "InvokeEndpoint", Resource: "bank", Attempt: 1, At: got.At, Status: 200, InferenceID: "p-1",
		CustomAttributes: "trace=7", ContentType: "text/csv", EndpointConfig: "old", Variant: "AllTraffic", Model: "old", Rows: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
