// Package cloudformation holds the template gateway.yaml to the gateway: its
// settings, times, ports and permissions, and to cfn-lint.
package cloudformation

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"gateway/internal/modelswap"
)

// template reads gateway.yaml. A short form such as !Ref X becomes the map
// {"Ref": X}, as in JSON.
func template(t *testing.T) map[string]any {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(read(t, "gateway.yaml"), &document); err != nil {
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

// at goes down into maps and lists.
func at(t *testing.T, value any, path ...any) any {
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

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func properties(t *testing.T, resource string, path ...any) any {
	t.Helper()
	return at(t, template(t), append([]any{"Resources", resource, "Properties"}, path...)...)
}

func TestCfnLintHasNothingToSay(t *testing.T) {
	if _, err := exec.LookPath("cfn-lint"); err != nil {
		t.Skip("cfn-lint is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "cfn-lint", "gateway.yaml").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}

// `aws cloudformation deploy` takes a larger template only from a bucket.
func TestTheTemplateIsSmallEnough(t *testing.T) {
	if size := len(read(t, "gateway.yaml")); size > 51200 {
		t.Errorf("%d bytes, at most 51,200 are allowed", size)
	}
}

// The role of the tasks is the policy of docs/sagemaker.md, which a test in
// internal/aws holds to the calls of the code, and the reading of the secrets.
func TestTheTasksMayDoWhatTheDocumentSays(t *testing.T) {
	_, rest, _ := strings.Cut(string(read(t, "../../docs/sagemaker.md")), "<!-- gateway role -->")
	rest, _, found := strings.Cut(rest, "<!-- /gateway role -->")
	if !found {
		t.Fatal("docs/sagemaker.md has no policy")
	}
	var policy map[string]any
	if err := json.Unmarshal([]byte(strings.Trim(strings.TrimSpace(rest), "`json \n")), &policy); err != nil {
		t.Fatal(err)
	}
	want := policy["Statement"].([]any)
	got := properties(t, "TaskRole", "Policies", 0, "PolicyDocument", "Statement").([]any)
	if len(got) != len(want)+1 {
		t.Fatalf("%d statements, want those %d of the document and that of the secrets", len(got), len(want))
	}
	for i := range want {
		if resolved := resolve(got[i]); !reflect.DeepEqual(resolved, want[i]) {
			t.Errorf("the statement is\n%v, want\n%v", resolved, want[i])
		}
	}
	secrets := map[string]any{
		"Sid": "Secrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
		"Resource": []any{setting(t, "GATEWAY_DB_SECRET_ID"), setting(t, "GATEWAY_ADMIN_SECRET_ID"), setting(t, "GATEWAY_API_KEYS_SECRET_ID")},
	}
	if last := got[len(got)-1]; !reflect.DeepEqual(last, secrets) {
		t.Errorf("the last statement is\n%v, want\n%v", last, secrets)
	}
}

// Of Secrets Manager the code calls what the role allows, and nothing else.
func TestTheCodeOnlyReadsSecrets(t *testing.T) {
	text := string(read(t, "../../internal/aws/secrets.go"))
	calls := regexp.MustCompile(`\.client\.([A-Z]\w*)\(`).FindAllStringSubmatch(text, -1)
	if len(calls) == 0 {
		t.Fatal("internal/aws/secrets.go has no calls; the test looks in the wrong place")
	}
	for _, call := range calls {
		if call[1] != "GetSecretValue" {
			t.Errorf("the role does not allow %s", call[1])
		}
	}
}

// What SageMaker assumes is the execution role of docs/sagemaker.md.
func TestSageMakersRoleIsThatOfTheDocument(t *testing.T) {
	_, rest, _ := strings.Cut(string(read(t, "../../docs/sagemaker.md")), "The execution role (")
	_, rest, _ = strings.Cut(rest, "```json")
	rest, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/sagemaker.md has no policy")
	}
	var policy map[string]any
	if err := json.Unmarshal([]byte(rest), &policy); err != nil {
		t.Fatal(err)
	}
	got := resolve(properties(t, "SageMakerRole", "Policies", 0, "PolicyDocument"))
	if !reflect.DeepEqual(got, any(policy)) {
		t.Errorf("the policy is\n%v, want\n%v", got, policy)
	}
}

// placeholders are the document's words for what the template refers to.
var placeholders = strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "REGION", "${AWS::AccountId}", "ACCOUNT",
	"${EndpointName}", "ENDPOINT", "${SageMakerRole}", "EXECUTION-ROLE", "${Customers}", "TABLE", "${Bucket}/gateway/", "BUCKET/PREFIX/", "${Bucket}", "BUCKET")

// resolve replaces each Fn::Sub by its text in the document's words.
func resolve(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if text, ok := v["Fn::Sub"].(string); ok && len(v) == 1 {
			return placeholders.Replace(text)
		}
		m := make(map[string]any)
		for key, item := range v {
			m[key] = resolve(item)
		}
		return m
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, resolve(item))
		}
		return list
	}
	return value
}

// setting returns the value of a variable of the container.
func setting(t *testing.T, name string) any {
	t.Helper()
	for _, variable := range properties(t, "Task", "ContainerDefinitions", 0, "Environment").([]any) {
		if at(t, variable, "Name") == name {
			return at(t, variable, "Value")
		}
	}
	t.Fatalf("the container has no %s", name)
	return nil
}

// defaultTime is the default of a setting by docs/configuration.md, which is
// generated from the code.
func defaultTime(t *testing.T, name string) time.Duration {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| `([^`]+)` \\|").FindSubmatch(read(t, "../../docs/configuration.md"))
	if row == nil {
		t.Fatalf("docs/configuration.md has no default of %s", name)
	}
	d, err := time.ParseDuration(string(row[1]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func seconds(t *testing.T, value any) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(value.(string))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// attribute returns one of a list of {Key, Value}.
func attribute(t *testing.T, list any, key string) any {
	t.Helper()
	for _, item := range list.([]any) {
		if at(t, item, "Key") == key {
			return at(t, item, "Value")
		}
	}
	t.Fatalf("there is no attribute %s", key)
	return nil
}

// A connection is closed first by the load balancer, which sends requests on
// it, and a task is stopped only when it has no requests and time to end.
func TestTheTimesFitTheGateways(t *testing.T) {
	idle := seconds(t, attribute(t, properties(t, "LoadBalancer", "LoadBalancerAttributes"), "idle_timeout.timeout_seconds"))
	if own := defaultTime(t, "GATEWAY_IDLE_TIMEOUT"); idle >= own {
		t.Errorf("the load balancer keeps idle connections for %s, the gateway for %s", idle, own)
	}
	stop := seconds(t, properties(t, "Task", "ContainerDefinitions", 0, "StopTimeout"))
	if grace := defaultTime(t, "GATEWAY_SHUTDOWN_GRACE"); stop <= grace {
		t.Errorf("a task has %s to stop, the gateway takes up to %s", stop, grace)
	}
	drain := seconds(t, attribute(t, properties(t, "TargetGroup", "TargetGroupAttributes"), "deregistration_delay.timeout_seconds"))
	longest := max(defaultTime(t, "GATEWAY_PREDICT_TIMEOUT"), defaultTime(t, "GATEWAY_READ_TIMEOUT")+defaultTime(t, "GATEWAY_WRITE_TIMEOUT"))
	if drain <= longest {
		t.Errorf("a target has %s for its requests, one may take %s", drain, longest)
	}
	deployment := properties(t, "Service", "DeploymentConfiguration")
	if at(t, deployment, "MinimumHealthyPercent") != "100" || at(t, deployment, "DeploymentCircuitBreaker", "Rollback") != "true" {
		t.Errorf("a deployment is %v", deployment)
	}
}

func TestTheContainerIsTheImages(t *testing.T) {
	dockerfile := string(read(t, "../../Dockerfile"))
	c := properties(t, "Task", "ContainerDefinitions", 0)
	if user := at(t, c, "User").(string); !strings.Contains(dockerfile, "\nUSER "+user+"\n") {
		t.Errorf("the user is %s", user)
	}
	if at(t, c, "ReadonlyRootFilesystem") != "true" || !reflect.DeepEqual(at(t, c, "LinuxParameters", "Capabilities", "Drop"), []any{"ALL"}) {
		t.Error("the root can be written to, or there are capabilities")
	}
	// ECS gives a volume to the image's user where the image declares it.
	data := at(t, c, "MountPoints", 0, "ContainerPath").(string)
	if data != setting(t, "GATEWAY_DATA_DIR") || !strings.Contains(dockerfile, "\nVOLUME "+data+"\n") {
		t.Errorf("the volume is at %s", data)
	}
	port := at(t, c, "PortMappings", 0, "ContainerPort").(string)
	for what, got := range map[string]any{
		"target group": properties(t, "TargetGroup", "Port"), "load balancer": properties(t, "Service", "LoadBalancers", 0, "ContainerPort"),
		"load balancer's group": properties(t, "LoadBalancerGroup", "SecurityGroupEgress", 0, "FromPort"),
		"tasks' group":          properties(t, "TasksGroup", "SecurityGroupIngress", 0, "FromPort"),
	} {
		if got != port {
			t.Errorf("the %s has the port %v, the container %s", what, got, port)
		}
	}
	if setting(t, "GATEWAY_ADDR") != "0.0.0.0:"+port {
		t.Errorf("the container listens on %v", setting(t, "GATEWAY_ADDR"))
	}
	// The operators' listener is in reach of their group alone.
	admin := properties(t, "TasksGroup", "SecurityGroupIngress", 1)
	if setting(t, "GATEWAY_ADMIN_ADDR") != "0.0.0.0:"+at(t, admin, "FromPort").(string) ||
		!reflect.DeepEqual(at(t, admin, "SourceSecurityGroupId"), map[string]any{"Ref": "OperatorsGroup"}) {
		t.Errorf("the operators' listener is open to %v", admin)
	}
	if file := setting(t, "GATEWAY_DB_SSLROOTCERT").(string); !strings.Contains(string(read(t, "../image/base.go")), `"`+strings.TrimPrefix(file, "/")+`"`) {
		t.Errorf("the image has no %s", file)
	}
	for _, path := range properties(t, "TargetGroup", "HealthCheckPath", "Fn::If").([]any)[1:] {
		if !strings.Contains(string(read(t, "../../openapi.yaml")), "\n  "+path.(string)+":\n") {
			t.Errorf("the gateway has no route %s", path)
		}
	}
	if prefix := setting(t, "GATEWAY_S3_PREFIX"); prefix != "gateway" {
		t.Errorf("the policies are for the prefix gateway, the setting is %v", prefix)
	}
	if variant := properties(t, "EndpointAlarm", "Dimensions", 1, "Value"); variant != modelswap.Variant {
		t.Errorf("the alarm watches the variant %v, not %s", variant, modelswap.Variant)
	}
}

func TestTheSettingsExist(t *testing.T) {
	page := string(read(t, "../../docs/configuration.md"))
	for _, variable := range properties(t, "Task", "ContainerDefinitions", 0, "Environment").([]any) {
		name := at(t, variable, "Name").(string)
		if strings.HasPrefix(name, "GATEWAY_") && !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("there is no setting %s", name)
		}
	}
}

func TestEachParameterIsExplainedAndBounded(t *testing.T) {
	whole := template(t)
	var grouped []string
	for _, group := range at(t, whole, "Metadata", "AWS::CloudFormation::Interface", "ParameterGroups").([]any) {
		for _, name := range at(t, group, "Parameters").([]any) {
			grouped = append(grouped, name.(string))
		}
	}
	text := string(read(t, "gateway.yaml"))
	for name, value := range at(t, whole, "Parameters").(map[string]any) {
		parameter := value.(map[string]any)
		bounded := parameter["AllowedValues"] != nil || parameter["AllowedPattern"] != nil || parameter["MinValue"] != nil && parameter["MaxValue"] != nil
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
		if strings.Count(text, name) < 3 {
			t.Errorf("%s is not used", name)
		}
	}
}

// What is kept is encrypted, is not public, and survives the stack.
func TestDataIsProtected(t *testing.T) {
	whole := template(t)
	for name, value := range at(t, whole, "Resources").(map[string]any) {
		resource := value.(map[string]any)
		switch resource["Type"] {
		case "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::RDS::DBInstance":
			if keep, ok := resource["DeletionPolicy"].(string); !ok || keep == "Delete" || resource["UpdateReplacePolicy"] == nil {
				t.Errorf("%s is deleted with the stack", name)
			}
		case "AWS::EC2::SecurityGroup":
			ingress, _ := resource["Properties"].(map[string]any)["SecurityGroupIngress"].([]any)
			for _, rule := range ingress {
				if rule.(map[string]any)["CidrIp"] == "0.0.0.0/0" {
					t.Errorf("%s is open to everybody", name)
				}
			}
		}
	}
	for want, got := range map[string]any{
		"true":   properties(t, "Customers", "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"),
		"AES256": properties(t, "Bucket", "BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "SSEAlgorithm"),
		"false":  properties(t, "Database", "PubliclyAccessible"), "1": properties(t, "DatabaseParameters", "Parameters", "rds.force_ssl"),
	} {
		if got != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if properties(t, "Database", "StorageEncrypted") != "true" || properties(t, "Database", "ManageMasterUserPassword") != "true" {
		t.Error("the database is not encrypted, or its password is in the template")
	}
	for name, want := range map[string]string{
		"OperatorTokens": `{"tokens": {"operator": "secret"}}`, "AppKeys": `{"keys": {"app": "secret"}}`,
	} {
		text := properties(t, name, "SecretString", "Fn::Sub").(string)
		if got := regexp.MustCompile(`\{\{resolve:[^}]*\$\{\w+\}:SecretString:value\}\}`).ReplaceAllString(text, "secret"); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s is %s", name, got)
		}
	}
}
