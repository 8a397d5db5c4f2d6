package manager

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls matches the calls of Secrets Manager.
var calls = regexp.MustCompile(`\.secretsmanager\.([A-Z][A-Za-z]+)\(`)

// TestThePolicyOfTheFunctionAllowsWhatItCalls compares the policy "rotation role" of
// docs/sagemaker.md with the code.
func TestThePolicyOfTheFunctionAllowsWhatItCalls(t *testing.T) {
	code, err := os.ReadFile("manager.go")
	if err != nil {
		t.Fatal(err)
	}
	var needed []string
	for _, m := range calls.FindAllStringSubmatch(string(code), -1) {
		needed = append(needed, "secretsmanager:"+m[1])
	}
	slices.Sort(needed)
	if needed = slices.Compact(needed); len(needed) < 4 {
		t.Fatalf("only %v are called; the test looks in the wrong place", needed)
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "sagemaker.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "<!-- rotation role -->")
	text, _, found := strings.Cut(rest, "<!-- /rotation role -->")
	if !found {
		t.Fatal(`docs/sagemaker.md has no policy "rotation role"`)
	}
	var policy struct {
		Statement []struct {
			Sid, Effect string
			Action      []string
			Resource    string
		}
	}
	if err := json.Unmarshal([]byte(strings.Trim(strings.TrimSpace(text), "`json \n")), &policy); err != nil {
		t.Fatal(err)
	}
	var granted []string
	for _, s := range policy.Statement {
		granted = append(granted, s.Action...)
		if s.Effect != "Allow" || !strings.HasPrefix(s.Resource, "arn:aws:secretsmanager:REGION:ACCOUNT:secret:") {
			t.Errorf("the statement %s is not narrow: %s", s.Sid, s.Resource)
		}
	}
	slices.Sort(granted)
	if granted = slices.Compact(granted); !slices.Equal(granted, needed) {
		t.Errorf("the policy allows %v, and the code calls %v", granted, needed)
	}
}
