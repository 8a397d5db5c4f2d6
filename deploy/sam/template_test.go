package sam

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/cfntest"
)

const file = "template.yaml"

func TestCfnLintHasNothingToSay(t *testing.T) { cfntest.Lint(t, file) }

func TestEachParameterIsExplainedAndBounded(t *testing.T) { cfntest.CheckParameters(t, file) }

// repositoryTypes are types that the Serverless Application Repository takes, of those that
// belong to functions
// (https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html).
var repositoryTypes = []string{
	"AWS::Serverless::Function", "AWS::Serverless::Api", "AWS::Serverless::LayerVersion", "AWS::Serverless::SimpleTable", "AWS::Serverless::Application",
	"AWS::Lambda::Alias", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::LayerVersion", "AWS::Lambda::Permission", "AWS::Lambda::Version",
	"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage",
	"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table", "AWS::Events::Rule", "AWS::IAM::Role", "AWS::KMS::Key",
	"AWS::Logs::LogGroup", "AWS::Logs::MetricFilter", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SSM::Parameter",
}

// policyTemplates are those of SAM that the functions may have
// (https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-policy-templates.html).
var policyTemplates = []string{"AWSSecretsManagerGetSecretValuePolicy", "AWSSecretsManagerRotationPolicy"}

var (
	authorName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)
	appName    = regexp.MustCompile(`^[a-zA-Z0-9\\-]+$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z0-9+\-_:/@]{1,127}$`)
	version    = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)
	address    = regexp.MustCompile(`^https://[^\s]+$`)
)

// faults are what the repository would refuse, and where the template is not what the
// documents and the code say.
func faults(t *testing.T, template map[string]any) (out []string) {
	t.Helper()
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for name, value := range cfntest.At(t, template, "Resources").(map[string]any) {
		resource := value.(map[string]any)
		if kind := resource["Type"].(string); !slices.Contains(repositoryTypes, kind) {
			add("%s is of type %s, which the repository does not take", name, kind)
		} else if kind == "AWS::Serverless::Function" {
			functionFaults(t, name, resource["Properties"].(map[string]any), add)
		}
	}
	metadataFaults(cfntest.At(t, template, "Metadata", "AWS::ServerlessRepo::Application").(map[string]any), add)
	policyFaults(t, template, add)
	return out
}

func metadataFaults(m map[string]any, add func(string, ...any)) {
	text := func(name string) string { s, _ := m[name].(string); return s }
	for name, ok := range map[string]bool{
		"Name":            appName.MatchString(text("Name")) && len(text("Name")) <= 140,
		"Description":     text("Description") != "" && len(text("Description")) <= 256,
		"Author":          authorName.MatchString(text("Author")) && len(text("Author")) <= 127,
		"SpdxLicenseId":   text("SpdxLicenseId") == "Apache-2.0",
		"LicenseUrl":      exists(text("LicenseUrl")),
		"ReadmeUrl":       exists(text("ReadmeUrl")),
		"HomePageUrl":     address.MatchString(text("HomePageUrl")),
		"SourceCodeUrl":   address.MatchString(text("SourceCodeUrl")),
		"SemanticVersion": version.MatchString(text("SemanticVersion")),
	} {
		if !ok {
			add("the metadata's %s is %v", name, m[name])
		}
	}
	labels, _ := m["Labels"].([]any)
	if len(labels) == 0 || len(labels) > 10 || slices.ContainsFunc(labels, func(l any) bool { return !labelName.MatchString(fmt.Sprint(l)) }) {
		add("the metadata's Labels are %v", labels)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return name != "" && err == nil
}

func functionFaults(t *testing.T, name string, properties map[string]any, add func(string, ...any)) {
	t.Helper()
	for _, policy := range properties["Policies"].([]any) {
		form, ok := policy.(map[string]any)
		if !ok {
			add("%s has the managed policy %v", name, policy)
			continue
		}
		for key := range form {
			if key != "Version" && key != "Statement" && !slices.Contains(policyTemplates, key) {
				add("%s has a policy %s", name, key)
			}
		}
	}
	if code := fmt.Sprint(properties["CodeUri"]); !strings.HasSuffix(code, "/linux-arm64") || !strings.HasPrefix(code, "../../dist/") {
		add("%s has its code from %s", name, code)
	}
}

// policyFaults holds the operators' function to the gateway's policy of docs/sagemaker.md, and
// the apps' function to a part of it that makes and removes nothing of SageMaker.
func policyFaults(t *testing.T, template map[string]any, add func(string, ...any)) {
	t.Helper()
	documented := cfntest.GatewayPolicy(t, "../../docs/sagemaker.md")
	if got := statements(t, template, "OperatorsFunction"); !reflect.DeepEqual(got, documented) {
		add("the operators' function may do\n%v, want\n%v", got, documented)
	}
	whole := map[string][]string{}
	for _, s := range documented {
		whole[s.(map[string]any)["Sid"].(string)] = list(s.(map[string]any)["Action"])
	}
	for _, s := range statements(t, template, "AppsFunction") {
		statement := s.(map[string]any)
		for _, action := range list(statement["Action"]) {
			if !slices.Contains(whole[statement["Sid"].(string)], action) {
				add("the apps' function may %s, which the document does not have", action)
			}
			if regexp.MustCompile(`sagemaker:(Create|Update|Delete|Stop)|s3:(Put|Delete)|iam:|Export`).MatchString(action) {
				add("the apps' function may %s", action)
			}
		}
	}
	if got, want := cfntest.Resolve(cfntest.At(t, template, "Resources", "SageMakerRole", "Properties", "Policies", 0, "PolicyDocument")),
		any(cfntest.SageMakerPolicy(t, "../../docs/sagemaker.md")); !reflect.DeepEqual(got, want) {
		add("SageMaker may do\n%v, want\n%v", got, want)
	}
}

// statements are those of a function in the document's words.
func statements(t *testing.T, template map[string]any, function string) (all []any) {
	t.Helper()
	for _, policy := range cfntest.At(t, template, "Resources", function, "Properties", "Policies").([]any) {
		if s, ok := policy.(map[string]any)["Statement"].([]any); ok {
			all = append(all, cfntest.Resolve(s).([]any)...)
		}
	}
	return all
}

// list returns one value or several.
func list(value any) (out []string) {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	for _, item := range value.([]any) {
		out = append(out, item.(string))
	}
	return out
}

func TestTheRepositoryTakesTheTemplate(t *testing.T) {
	for _, fault := range faults(t, cfntest.Read(t, file)) {
		t.Error(fault)
	}
}

// TestTheTestOfTheTemplateCanFail shows that the one above would notice.
func TestTheTestOfTheTemplateCanFail(t *testing.T) {
	text, err := os.ReadFile(file)
	must(t, err)
	for _, tc := range []struct{ from, to, want string }{
		{"Type: AWS::Lambda::Permission", "Type: AWS::RDS::DBProxy", "RotationPermission is of type AWS::RDS::DBProxy"},
		{"    Name: prediction-gateway", "    Name: prediction gateway", "Name is"},
		{"    Author: prediction-gateway", "    Author: prediction--gateway", "Author is"},
		{"    Description: >-\n", "    Description: >-\n      " + strings.Repeat("x", 256) + "\n", "Description is"},
		{"SpdxLicenseId: Apache-2.0", "SpdxLicenseId: Apache 2", "SpdxLicenseId is"},
		{"LicenseUrl: ../../LICENSE", "LicenseUrl: LICENSE", "LicenseUrl is"},
		{"SemanticVersion: 0.0.0", "SemanticVersion: v1", "SemanticVersion is"},
		{"SourceCodeUrl: https", "SourceCodeUrl: ftp", "SourceCodeUrl is"},
		{"Labels: [", "Labels: [two words, ", "Labels are"},
		{"        - AWSSecretsManagerRotationPolicy", "        - AdministratorAccess\n        - AWSSecretsManagerRotationPolicy", "managed policy AdministratorAccess"},
		{"AWSSecretsManagerRotationPolicy: {", "S3FullAccessPolicy: {", "a policy S3FullAccessPolicy"},
		{"Action: sagemaker:DescribeEndpoint\n", "Action: sagemaker:DeleteEndpoint\n", "apps' function may sagemaker:DeleteEndpoint"},
		{"Action: s3:GetObject\n", "Action: s3:GetBucketAcl\n", "s3:GetBucketAcl, which the document does not have"},
		{"- sagemaker:StopTransformJob\n", "- sagemaker:ListModels\n", "the operators' function may do"},
		{"cloudwatch:PutMetricData", "cloudwatch:*", "SageMaker may do"},
	} {
		if !strings.Contains(string(text), tc.from) {
			t.Errorf("the template has no %q", tc.from)
			continue
		}
		got := strings.Join(faults(t, cfntest.Parse(t, []byte(strings.Replace(string(text), tc.from, tc.to, 1)))), "\n")
		if !strings.Contains(got, tc.want) {
			t.Errorf("with %q the faults are %q, want %q", tc.to, got, tc.want)
		}
	}
}

// variables are the settings of a function, those of all functions included.
func variables(t *testing.T, template map[string]any, function string) map[string]any {
	t.Helper()
	all := maps.Clone(cfntest.At(t, template, "Globals", "Function", "Environment", "Variables").(map[string]any))
	maps.Copy(all, cfntest.At(t, template, "Resources", function, "Properties", "Environment", "Variables").(map[string]any))
	return all
}

func TestTheSettingsExist(t *testing.T) {
	template := cfntest.Read(t, file)
	page, err := os.ReadFile("../../docs/configuration.md")
	must(t, err)
	for _, function := range []string{"AppsFunction", "OperatorsFunction"} {
		all := variables(t, template, function)
		for name := range all {
			if !strings.Contains(string(page), "| `"+name+"` |") {
				t.Errorf("%s: there is no setting %s", function, name)
			}
		}
		for name, want := range map[string]any{"GATEWAY_PLATFORM": "sagemaker", "GATEWAY_OUTBOX_SYNC": "database", "GATEWAY_S3_PREFIX": "gateway"} {
			if all[name] != want {
				t.Errorf("%s: %s is %v, want %v", function, name, all[name], want)
			}
		}
		if dir := fmt.Sprint(all["GATEWAY_DATA_DIR"]); !strings.HasPrefix(dir, "/tmp/") {
			t.Errorf("%s: the data dir is %s; a function may write to /tmp alone", function, dir)
		}
	}
	if got := variables(t, template, "OperatorsFunction")["GATEWAY_LAMBDA_ROUTES"]; got != "operators" {
		t.Errorf("the operators' function has the routes %v", got)
	}
	if events := cfntest.At(t, template, "Resources", "OperatorsFunction", "Properties", "Events").(map[string]any); len(events) != 1 {
		t.Errorf("the operators' function has the events %v, want the schedule alone", events)
	}
}

func TestTheTimesAreThoseOfLambda(t *testing.T) {
	template := cfntest.Read(t, file)
	for function, most := range map[string]int{"AppsFunction": 29, "OperatorsFunction": 900, "RotationFunction": 900} {
		seconds, err := strconv.Atoi(cfntest.At(t, template, "Resources", function, "Properties", "Timeout").(string))
		if err != nil || seconds > most || seconds < 10 {
			t.Errorf("the time-out of %s is %d s (%v)", function, seconds, err)
		}
	}
}

// TestTheReadmeNamesTheOutputs holds the repository's page to the template.
func TestTheReadmeNamesTheOutputs(t *testing.T) {
	text, err := os.ReadFile("README.md")
	must(t, err)
	template := cfntest.Read(t, file)
	for name := range cfntest.At(t, template, "Outputs").(map[string]any) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("README.md does not name the output %s", name)
		}
	}
	for name, parameter := range cfntest.At(t, template, "Parameters").(map[string]any) {
		if _, optional := parameter.(map[string]any)["Default"]; !optional && !strings.Contains(string(text), name+"=") {
			t.Errorf("README.md does not set %s", name)
		}
	}
	for _, example := range regexp.MustCompile(`(?s)<!-- event -->\n+`+"```json\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if !json.Valid([]byte(example[1])) {
			t.Errorf("README.md: not JSON: %s", example[1])
		}
	}
}
