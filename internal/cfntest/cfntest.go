// Package cfntest reads templates of CloudFormation for tests, and holds them to the documents.
package cfntest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Read reads a template. A short form such as !Ref X becomes the map {"Ref": X}, as in JSON.
func Read(t testing.TB, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, text)
}

// Parse is Read for the text of a template.
func Parse(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	value, err := plain(document.Content[0])
	if err != nil {
		t.Fatal(err)
	}
	return value.(map[string]any)
}

func plain(node *yaml.Node) (any, error) {
	if name, short := strings.CutPrefix(node.Tag, "!"); short && !strings.HasPrefix(name, "!") {
		if name != "Ref" && name != "Condition" {
			name = "Fn::" + name
		}
		copied := *node
		copied.Tag = ""
		if node.Kind == yaml.ScalarNode {
			return map[string]any{name: node.Value}, nil
		}
		value, err := plain(&copied)
		return map[string]any{name: value}, err
	}
	switch node.Kind {
	case yaml.MappingNode:
		m := make(map[string]any)
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i].Value
			if _, twice := m[key]; twice {
				return nil, fmt.Errorf("line %d: %s is there twice", node.Content[i].Line, key)
			}
			value, err := plain(node.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[key] = value
		}
		return m, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range node.Content {
			value, err := plain(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		return node.Value, nil
	}
	return nil, fmt.Errorf("line %d: CloudFormation takes no aliases", node.Line)
}

// At goes down into maps and lists.
func At(t testing.TB, value any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch v := value.(type) {
		case map[string]any:
			next, ok := v[step.(string)]
			if !ok {
				t.Fatalf("there is no %v", path[:i+1])
			}
			value = next
		case []any:
			value = v[step.(int)]
		default:
			t.Fatalf("%v is %v", path[:i], value)
		}
	}
	return value
}

// section returns what the text of a document has between two marks.
func section(t testing.TB, document string, marks ...string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	rest := string(text)
	for _, mark := range marks[:len(marks)-1] {
		_, rest, _ = strings.Cut(rest, mark)
	}
	rest, _, found := strings.Cut(rest, marks[len(marks)-1])
	if !found {
		t.Fatalf("%s has no policy", document)
	}
	return rest
}

func policy(t testing.TB, text string) (p map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// GatewayPolicy returns the statements of the gateway's role in docs/sagemaker.md, which a test
// in internal/aws holds to the calls of the code.
func GatewayPolicy(t testing.TB, document string) []any {
	t.Helper()
	text := section(t, document, "<!-- gateway role -->", "```json", "```")
	return policy(t, text)["Statement"].([]any)
}

// AthenaPolicy returns the statements for Athena in docs/sagemaker.md, without another
// bucket for the results of questions.
func AthenaPolicy(t testing.TB, document string) []any {
	t.Helper()
	statements := policy(t, section(t, document, "<!-- athena role -->", "```json", "```"))["Statement"].([]any)
	for _, s := range statements {
		if resources, several := s.(map[string]any)["Resource"].([]any); several {
			s.(map[string]any)["Resource"] = slices.DeleteFunc(resources, func(r any) bool { return strings.Contains(r.(string), "OUTPUT-BUCKET") })
		}
	}
	return statements
}

// SageMakerPolicy returns the policy of SageMaker's execution role in docs/sagemaker.md.
func SageMakerPolicy(t testing.TB, document string) map[string]any {
	t.Helper()
	return policy(t, section(t, document, "The execution role (", "```json", "```"))
}

// placeholders are the document's words for what the template refers to.
var placeholders = strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "REGION", "${AWS::AccountId}", "ACCOUNT",
	"${EndpointName}", "ENDPOINT", "${SageMakerRole}", "EXECUTION-ROLE", "${Customers}", "TABLE", "${AthenaWorkgroup}", "WORKGROUP", "${AthenaDatabase}", "DATABASE", "${Bucket}/gateway/", "BUCKET/PREFIX/", "${Bucket}", "BUCKET")

// Resolve replaces each Fn::Sub by its text in the document's words.
func Resolve(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if text, ok := v["Fn::Sub"].(string); ok && len(v) == 1 {
			return placeholders.Replace(text)
		}
		m := make(map[string]any)
		for key, item := range v {
			m[key] = Resolve(item)
		}
		return m
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, Resolve(item))
		}
		return list
	}
	return value
}

// CheckParameters reports parameters of a template that are not explained, not bounded, in no
// group or not used. Parameters of AWS' own types are bounded by what exists.
func CheckParameters(t testing.TB, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := Parse(t, text)
	var grouped []string
	for _, group := range At(t, whole, "Metadata", "AWS::CloudFormation::Interface", "ParameterGroups").([]any) {
		for _, name := range At(t, group, "Parameters").([]any) {
			grouped = append(grouped, name.(string))
		}
	}
	for name, value := range At(t, whole, "Parameters").(map[string]any) {
		parameter := value.(map[string]any)
		bounded := parameter["AllowedValues"] != nil || parameter["AllowedPattern"] != nil || parameter["MinValue"] != nil && parameter["MaxValue"] != nil ||
			strings.HasPrefix(fmt.Sprint(parameter["Type"]), "List<AWS::")
		if !bounded || parameter["Description"] == nil {
			t.Errorf("%s is not explained or not bounded", name)
		}
		if pattern, ok := parameter["AllowedPattern"].(string); ok && parameter["Default"] != nil && !strings.Contains(pattern, "(?!") &&
			!regexp.MustCompile(pattern).MatchString(parameter["Default"].(string)) {
			t.Errorf("the default of %s does not match its pattern", name)
		}
		if !slices.Contains(grouped, name) {
			t.Errorf("%s is in no group", name)
		}
		if strings.Count(string(text), name) < 3 {
			t.Errorf("%s is not used", name)
		}
	}
}

// Lint runs cfn-lint where it is installed.
func Lint(t *testing.T, path string) {
	t.Helper()
	if _, err := exec.LookPath("cfn-lint"); err != nil {
		t.Skip("cfn-lint is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "cfn-lint", path).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}
