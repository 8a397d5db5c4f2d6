package aws

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls returns the places where the package calls a service: a method of a client or a
// paginator.
var calls = regexp.MustCompile(`\.(sagemaker|runtime|dynamodb|s3|athena)\.([A-Z][A-Za-z]+)\(|\b(sagemaker|s3|dynamodb|athena)\.New([A-Z][A-Za-z0-9]+)Paginator\(`)

// actions are the permissions of calls that have other names.
var actions = map[string][]string{
	"runtime:InvokeEndpoint":            {"sagemaker:InvokeEndpoint"},
	"s3:HeadObject":                     {"s3:GetObject"},
	"s3:ListObjectsV2":                  {"s3:ListBucket"},
	"s3:DeleteObjects":                  {"s3:DeleteObject"},
	"s3:CreateMultipartUpload":          {"s3:PutObject"},
	"s3:UploadPart":                     {"s3:PutObject"},
	"s3:CompleteMultipartUpload":        {"s3:PutObject"},
	"dynamodb:ExportTableToPointInTime": {"dynamodb:ExportTableToPointInTime", "s3:PutObject", "s3:AbortMultipartUpload"},
	// Athena acts with the permissions of the caller: on the tables of the Glue catalog that
	// a query creates, reads and drops, and on the bucket.
	"athena:StartQueryExecution": {
		"athena:StartQueryExecution", "glue:GetDatabase", "glue:CreateTable", "glue:GetTable", "glue:GetPartitions", "glue:DeleteTable",
		"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:ListBucket", "s3:GetBucketLocation",
	},
	"athena:GetQueryResults":         {"athena:GetQueryResults", "s3:GetObject"},
	"sagemaker:CreateTrainingJob":    {"sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"},
	"sagemaker:CreateModel":          {"sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"},
	"sagemaker:CreateTransformJob":   {"sagemaker:CreateTransformJob", "sagemaker:AddTags"},
	"sagemaker:CreateEndpointConfig": {"sagemaker:CreateEndpointConfig", "sagemaker:AddTags"},
	"sagemaker:CreateEndpoint":       {"sagemaker:CreateEndpoint", "sagemaker:AddTags"},
}

// athenaRole begins the statements that only GATEWAY_TRANSFORM=athena and questions need.
const athenaRole = "athena role"

// TestThePolicyAllowsWhatTheCodeCalls compares the policies in docs/sagemaker.md with the code. A
// call that the policy does not allow fails in production, and a permission without a call is
// a risk.
func TestThePolicyAllowsWhatTheCodeCalls(t *testing.T) {
	needed := map[string]map[string]string{"gateway role": {}, athenaRole: {}} // role → action → file
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range calls.FindAllStringSubmatch(string(text), -1) {
			call := m[1] + ":" + m[2]
			if m[3] != "" {
				call = m[3] + ":" + m[4]
			}
			role := "gateway role"
			if strings.HasPrefix(call, "athena:") {
				role = athenaRole
			}
			allowed, ok := actions[call]
			if !ok {
				allowed = []string{call}
			}
			for _, action := range allowed {
				needed[role][action] = file
			}
		}
	}
	if len(needed["gateway role"]) < 25 || len(needed[athenaRole]) < 14 {
		t.Fatalf("only %d and %d actions were found in the code; the test looks in the wrong place", len(needed["gateway role"]), len(needed[athenaRole]))
	}
	for role, needed := range needed {
		granted := grantedBy(t, role)
		for action, file := range needed {
			if !slices.Contains(granted, action) {
				t.Errorf("%s: %s needs %s, and the policy does not allow it", role, file, action)
			}
		}
		for _, action := range granted {
			if needed[action] == "" {
				t.Errorf("%s: the policy allows %s, which nothing needs", role, action)
			}
		}
	}
}

// grantedBy returns the actions of a policy in docs/sagemaker.md, and checks that its
// statements are narrow.
func grantedBy(t *testing.T, role string) (granted []string) {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "sagemaker.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "<!-- "+role+" -->")
	rest, _, found := strings.Cut(rest, "<!-- /"+role+" -->")
	if !found {
		t.Fatalf("docs/sagemaker.md has no policy %q", role)
	}
	var policy struct {
		Statement []struct {
			Sid      string
			Effect   string
			Action   any
			Resource any
		}
	}
	if err := json.Unmarshal([]byte(strings.Trim(strings.TrimSpace(rest), "`json \n")), &policy); err != nil {
		t.Fatal(err)
	}
	for _, s := range policy.Statement {
		list, ok := s.Action.([]any)
		if !ok {
			list = []any{s.Action}
		}
		for _, a := range list {
			granted = append(granted, a.(string))
		}
		if s.Effect != "Allow" || s.Resource == nil || s.Resource == "*" && s.Sid != "Lists" {
			t.Errorf("statement %s is not narrow: %v", s.Sid, s.Resource)
		}
	}
	return granted
}
