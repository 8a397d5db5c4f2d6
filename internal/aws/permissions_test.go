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
var calls = regexp.MustCompile(`\.(sagemaker|runtime|dynamodb|s3)\.([A-Z][A-Za-z]+)\(|\b(sagemaker|s3|dynamodb)\.New([A-Z][A-Za-z0-9]+)Paginator\(`)

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
	"sagemaker:CreateTrainingJob":       {"sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"},
	"sagemaker:CreateModel":             {"sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"},
	"sagemaker:CreateTransformJob":      {"sagemaker:CreateTransformJob", "sagemaker:AddTags"},
	"sagemaker:CreateEndpointConfig":    {"sagemaker:CreateEndpointConfig", "sagemaker:AddTags"},
	"sagemaker:CreateEndpoint":          {"sagemaker:CreateEndpoint", "sagemaker:AddTags"},
}

// TestThePolicyAllowsWhatTheCodeCalls compares the policy in docs/sagemaker.md with the code. A
// call that the policy does not allow fails in production, and a permission without a call is
// a risk.
func TestThePolicyAllowsWhatTheCodeCalls(t *testing.T) {
	needed := make(map[string]string) // action → file
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
			allowed, ok := actions[call]
			if !ok {
				allowed = []string{call}
			}
			for _, action := range allowed {
				needed[action] = file
			}
		}
	}
	if len(needed) < 25 {
		t.Fatalf("only %d actions were found in the code; the test looks in the wrong place", len(needed))
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "sagemaker.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "<!-- gateway role -->")
	rest, _, found := strings.Cut(rest, "<!-- /gateway role -->")
	if !found {
		t.Fatal("docs/sagemaker.md has no policy")
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
	var granted []string
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
	for action, file := range needed {
		if !slices.Contains(granted, action) {
			t.Errorf("%s needs %s, and the policy does not allow it", file, action)
		}
	}
	for _, action := range granted {
		if needed[action] == "" {
			t.Errorf("the policy allows %s, which nothing needs", action)
		}
	}
}
