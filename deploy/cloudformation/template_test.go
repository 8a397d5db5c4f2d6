// Package cloudformation holds the template gateway.yaml to the gateway: its
// settings, times, ports and permissions, and to cfn-lint.
package cloudformation

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gateway/internal/cfntest"
	"gateway/internal/modelswap"
)

func template(t *testing.T) map[string]any {
	t.Helper()
	return cfntest.Read(t, "gateway.yaml")
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
	return cfntest.At(t, template(t), append([]any{"Resources", resource, "Properties"}, path...)...)
}

func TestCfnLintHasNothingToSay(t *testing.T) { cfntest.Lint(t, "gateway.yaml") }

// `aws cloudformation deploy` takes a larger template only from a bucket.
func TestTheTemplateIsSmallEnough(t *testing.T) {
	if size := len(read(t, "gateway.yaml")); size > 51200 {
		t.Errorf("%d bytes, at most 51,200 are allowed", size)
	}
}

// The role of the tasks is the policy of docs/sagemaker.md, which a test in
// internal/aws holds to the calls of the code, and the reading of the secrets.
func TestTheTasksMayDoWhatTheDocumentSays(t *testing.T) {
	want := cfntest.GatewayPolicy(t, "../../docs/sagemaker.md")
	got := properties(t, "TaskRole", "Policies", 0, "PolicyDocument", "Statement").([]any)
	if len(got) != len(want)+1 {
		t.Fatalf("%d statements, want those %d of the document and that of the secrets", len(got), len(want))
	}
	for i := range want {
		if resolved := cfntest.Resolve(got[i]); !reflect.DeepEqual(resolved, want[i]) {
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

// With Athena the tasks have the document's statements for it too, and else none of them.
func TestTheTasksMayUseAthenaWhereItConverts(t *testing.T) {
	choice := properties(t, "TaskRole", "Policies", 1, "Fn::If").([]any)
	if choice[0] != "UsesAthena" || !reflect.DeepEqual(choice[2], map[string]any{"Ref": "AWS::NoValue"}) {
		t.Errorf("the policy is there with %v, and else there is %v", choice[0], choice[2])
	}
	want, got := cfntest.AthenaPolicy(t, "../../docs/sagemaker.md"), cfntest.At(t, choice[1], "PolicyDocument", "Statement").([]any)
	if resolved := cfntest.Resolve(got); len(want) < 4 || !reflect.DeepEqual(resolved, any(want)) {
		t.Errorf("the statements are\n%v, want\n%v", resolved, want)
	}
	uses := cfntest.At(t, template(t), "Conditions", "UsesAthena")
	if !reflect.DeepEqual(uses, map[string]any{"Fn::Equals": []any{map[string]any{"Ref": "Transform"}, "athena"}}) {
		t.Errorf("Athena is used if %v", uses)
	}
	for name, parameter := range map[string]string{"GATEWAY_TRANSFORM": "Transform", "GATEWAY_ATHENA_WORKGROUP": "AthenaWorkgroup", "GATEWAY_ATHENA_DATABASE": "AthenaDatabase"} {
		if value := setting(t, name); !reflect.DeepEqual(value, map[string]any{"Ref": parameter}) {
			t.Errorf("%s is %v", name, value)
		}
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
	policy := cfntest.SageMakerPolicy(t, "../../docs/sagemaker.md")
	got := cfntest.Resolve(properties(t, "SageMakerRole", "Policies", 0, "PolicyDocument"))
	if !reflect.DeepEqual(got, any(policy)) {
		t.Errorf("the policy is\n%v, want\n%v", got, policy)
	}
}

// setting returns the value of a variable of the container.
func setting(t *testing.T, name string) any {
	t.Helper()
	for _, variable := range properties(t, "Task", "ContainerDefinitions", 0, "Environment").([]any) {
		if cfntest.At(t, variable, "Name") == name {
			return cfntest.At(t, variable, "Value")
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
		if cfntest.At(t, item, "Key") == key {
			return cfntest.At(t, item, "Value")
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
	if cfntest.At(t, deployment, "MinimumHealthyPercent") != "100" || cfntest.At(t, deployment, "DeploymentCircuitBreaker", "Rollback") != "true" {
		t.Errorf("a deployment is %v", deployment)
	}
}

func TestTheContainerIsTheImages(t *testing.T) {
	dockerfile := string(read(t, "../../Dockerfile"))
	c := properties(t, "Task", "ContainerDefinitions", 0)
	if user := cfntest.At(t, c, "User").(string); !strings.Contains(dockerfile, "\nUSER "+user+"\n") {
		t.Errorf("the user is %s", user)
	}
	if cfntest.At(t, c, "ReadonlyRootFilesystem") != "true" || !reflect.DeepEqual(cfntest.At(t, c, "LinuxParameters", "Capabilities", "Drop"), []any{"ALL"}) {
		t.Error("the root can be written to, or there are capabilities")
	}
	// ECS gives a volume to the image's user where the image declares it.
	data := cfntest.At(t, c, "MountPoints", 0, "ContainerPath").(string)
	if data != setting(t, "GATEWAY_DATA_DIR") || !strings.Contains(dockerfile, "\nVOLUME "+data+"\n") {
		t.Errorf("the volume is at %s", data)
	}
	port := cfntest.At(t, c, "PortMappings", 0, "ContainerPort").(string)
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
	if setting(t, "GATEWAY_ADMIN_ADDR") != "0.0.0.0:"+cfntest.At(t, admin, "FromPort").(string) ||
		!reflect.DeepEqual(cfntest.At(t, admin, "SourceSecurityGroupId"), map[string]any{"Ref": "OperatorsGroup"}) {
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
		name := cfntest.At(t, variable, "Name").(string)
		if strings.HasPrefix(name, "GATEWAY_") && !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("there is no setting %s", name)
		}
	}
}

func TestEachParameterIsExplainedAndBounded(t *testing.T) { cfntest.CheckParameters(t, "gateway.yaml") }

// What is kept is encrypted, is not public, and survives the stack.
func TestDataIsProtected(t *testing.T) {
	whole := template(t)
	for name, value := range cfntest.At(t, whole, "Resources").(map[string]any) {
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
