// Package check renders the chart of deploy/helm with Helm's own engine for the
// value files in values, and holds what comes out to the types of Kubernetes,
// strictly, and to rules of ours.
package check

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	gatewayapi "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const chartDir = "../gateway"

// objects are what a release consists of.
type objects struct {
	all             []object
	statefulSet     *apps.StatefulSet
	services        []*core.Service
	accounts        []*core.ServiceAccount
	configMaps      []*core.ConfigMap
	scaler          *autoscaling.HorizontalPodAutoscaler
	budget          *policy.PodDisruptionBudget
	ingress         *networking.Ingress
	route           *gatewayapi.HTTPRoute
	networkPolicy   *networking.NetworkPolicy
	serviceMonitor  *monitoring.ServiceMonitor
	prometheusRules *monitoring.PrometheusRule
}

// object is what each has.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
}

// render renders the chart for a release. The error is Helm's own.
func render(release string, values []byte) (objects, error) {
	chart, err := loader.LoadDir(chartDir)
	if err != nil {
		return objects{}, err
	}
	given, err := chartutil.ReadValues(values)
	if err != nil {
		return objects{}, err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: "predictions", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, given, options, chartutil.DefaultCapabilities)
	if err != nil {
		return objects{}, err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return objects{}, err
	}
	var o objects
	for name, text := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for document := range strings.SplitSeq("\n"+text, "\n---") {
			if err := o.add([]byte(document)); err != nil {
				return objects{}, err
			}
		}
	}
	return o, nil
}

// add decodes a document into the type of its kind. A field that the type does
// not have is an error.
func (o *objects) add(document []byte) error {
	var head object
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	if head.Kind == "" {
		return nil // comments alone
	}
	o.all = append(o.all, head)
	var target any
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 StatefulSet":
		o.statefulSet = new(apps.StatefulSet)
		target = o.statefulSet
	case "v1 Service":
		service := new(core.Service)
		o.services = append(o.services, service)
		target = service
	case "v1 ServiceAccount":
		account := new(core.ServiceAccount)
		o.accounts = append(o.accounts, account)
		target = account
	case "v1 ConfigMap":
		m := new(core.ConfigMap)
		o.configMaps = append(o.configMaps, m)
		target = m
	case "autoscaling/v2 HorizontalPodAutoscaler":
		o.scaler = new(autoscaling.HorizontalPodAutoscaler)
		target = o.scaler
	case "policy/v1 PodDisruptionBudget":
		o.budget = new(policy.PodDisruptionBudget)
		target = o.budget
	case "networking.k8s.io/v1 Ingress":
		o.ingress = new(networking.Ingress)
		target = o.ingress
	case "networking.k8s.io/v1 NetworkPolicy":
		o.networkPolicy = new(networking.NetworkPolicy)
		target = o.networkPolicy
	case "gateway.networking.k8s.io/v1 HTTPRoute":
		o.route = new(gatewayapi.HTTPRoute)
		target = o.route
	case "monitoring.coreos.com/v1 ServiceMonitor":
		o.serviceMonitor = new(monitoring.ServiceMonitor)
		target = o.serviceMonitor
	case "monitoring.coreos.com/v1 PrometheusRule":
		o.prometheusRules = new(monitoring.PrometheusRule)
		target = o.prometheusRules
	default:
		return &unknownKindError{head.APIVersion + " " + head.Kind}
	}
	return unmarshalStrict(document, target)
}

// unmarshalStrict refuses duplicate and unknown fields, and minds the case of
// their letters, as Kubernetes does.
func unmarshalStrict(document []byte, target any) error {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	strict, err := json.UnmarshalStrict(text, target)
	return errors.Join(append(strict, err)...)
}

type unknownKindError struct{ kind string }

func (e *unknownKindError) Error() string { return "the tests do not know " + e.kind }

// valueFiles returns the value files, of which there are eight.
func valueFiles(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("values/*.yaml")
	if err != nil || len(names) != 8 {
		t.Fatalf("%d value files (%v)", len(names), err)
	}
	files := make(map[string][]byte)
	for _, name := range names {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// mustRender renders a value file.
func mustRender(t *testing.T, release, file string) objects {
	t.Helper()
	values, err := os.ReadFile(filepath.Join("values", file))
	if err != nil {
		t.Fatal(err)
	}
	o, err := render(release, values)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Helm's linter has nothing to say but that a chart may have an icon.
func TestLint(t *testing.T) {
	for name, text := range valueFiles(t) {
		values, err := chartutil.ReadValues(text)
		if err != nil {
			t.Fatal(err)
		}
		result := lint.AllWithKubeVersion(chartDir, values, "predictions", &chartutil.KubeVersion{Version: "v1.34.0", Major: "1", Minor: "34"})
		for _, message := range result.Messages {
			if message.Severity > support.InfoSev || !strings.Contains(message.Error(), "icon is recommended") {
				t.Errorf("%s: %s", name, message.Error())
			}
		}
	}
}

func TestEachValueFileGivesWhatKubernetesTakes(t *testing.T) {
	for name, values := range valueFiles(t) {
		t.Run(name, func(t *testing.T) {
			o, err := render("blue", values)
			if err != nil {
				t.Fatal(err)
			}
			if o.statefulSet == nil || len(o.services) != 2 || o.networkPolicy == nil || o.budget == nil {
				t.Fatalf("incomplete: %+v", o.all)
			}
			for _, each := range o.all {
				if each.Metadata.Namespace != "predictions" || each.Metadata.Labels["app.kubernetes.io/instance"] != "blue" {
					t.Errorf("%s %s is in namespace %q with labels %v", each.Kind, each.Metadata.Name, each.Metadata.Namespace, each.Metadata.Labels)
				}
			}
			checkPolicies(t, o)
			checkNames(t, o)
		})
	}
}

// Another chart or release called gateway may be in the same namespace.
func TestTwoReleasesShareNothing(t *testing.T) {
	for name, values := range valueFiles(t) {
		if name == "6-sagemaker-pod-identity.yaml" {
			continue // names a service account, which two releases may share
		}
		seen := make(map[string]string)
		for _, release := range []string{"gateway", "blue", "api-gateway", strings.Repeat("long-", 10) + "name"} {
			o, err := render(release, values)
			if err != nil {
				t.Fatal(err)
			}
			for _, each := range o.all {
				key := each.Kind + " " + each.Metadata.Name
				if other, ok := seen[key]; ok {
					t.Errorf("%s: %s is in the releases %s and %s", name, key, other, release)
				}
				seen[key] = release
				if len(each.Metadata.Name) > 63 {
					t.Errorf("the name %s is too long", each.Metadata.Name)
				}
			}
			for _, service := range o.services {
				if service.Spec.Selector["app.kubernetes.io/instance"] != release {
					t.Errorf("%s: the service %s of %s selects %v", name, service.Name, release, service.Spec.Selector)
				}
			}
		}
	}
}

// Editors show a value's description, and values.yaml is held to the schema.
func TestEachValueIsExplained(t *testing.T) {
	var root property
	text, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &root); err != nil {
		t.Fatal(err)
	}
	if n := root.check(t, ""); n < 80 {
		t.Errorf("there are %d values", n)
	}
}

// property is a value of the schema.
type property struct {
	Description string              `json:"description"`
	Properties  map[string]property `json:"properties"`
}

// check tells how many values are below a property.
func (p property) check(t *testing.T, path string) (n int) {
	t.Helper()
	for name, below := range p.Properties {
		if below.Description == "" {
			t.Errorf("%s%s is not explained", path, name)
		}
		n += 1 + below.check(t, path+name+".")
	}
	return n
}

// The rules of the chart are those of deploy/monitoring.
func TestTheAlertsAreOurs(t *testing.T) {
	want, err := os.ReadFile("../../monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(chartDir, "files", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("files/alerts.yaml is not deploy/monitoring/alerts.yaml: cp deploy/monitoring/alerts.yaml deploy/helm/gateway/files/")
	}
	var spec monitoring.PrometheusRuleSpec
	if err := unmarshalStrict(want, &spec); err != nil {
		t.Fatal(err)
	}
	rendered := mustRender(t, "blue", "7-ingress-monitoring.yaml").prometheusRules
	if rendered == nil || len(rendered.Spec.Groups) != len(spec.Groups) {
		t.Fatalf("rendered as %+v", rendered)
	}
	for i, group := range spec.Groups {
		for j, rule := range group.Rules {
			other := rendered.Spec.Groups[i].Rules[j]
			if other.Alert != rule.Alert || other.Expr != rule.Expr || other.Annotations["summary"] != rule.Annotations["summary"] {
				t.Errorf("the rule %s%s is %+v", rule.Alert, rule.Record, other)
			}
		}
	}
}
