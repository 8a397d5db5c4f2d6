package check

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// checkPolicies holds pods to what clusters demand of them.
func checkPolicies(t *testing.T, o objects) {
	t.Helper()
	pod := o.statefulSet.Spec.Template.Spec
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != 65532 ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod's security context is %+v", s)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("the pod has a token of Kubernetes or something of its host")
	}
	for _, volume := range pod.Volumes {
		if volume.HostPath != nil {
			t.Errorf("the volume %s is of the host", volume.Name)
		}
	}
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		t.Fatalf("%d containers", len(pod.Containers)+len(pod.InitContainers))
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil ||
		!slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) != 0 || s.Privileged != nil {
		t.Errorf("the container's security context is %+v", s)
	}
	for _, resource := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory} {
		request, limit := c.Resources.Requests[resource], c.Resources.Limits[resource]
		if request.IsZero() || limit.IsZero() || request.Cmp(limit) > 0 {
			t.Errorf("%s: request %s, limit %s", resource, request.String(), limit.String())
		}
	}
	if !strings.Contains(c.Image, ":") || strings.HasSuffix(c.Image, ":latest") || strings.HasSuffix(c.Image, ":") {
		t.Errorf("the image is %s", c.Image)
	}
	for _, probe := range []struct {
		name, path string
		is         *core.Probe
	}{{"startup", "/livez", c.StartupProbe}, {"liveness", "/livez", c.LivenessProbe}, {"readiness", "/readyz", c.ReadinessProbe}} {
		if probe.is == nil || probe.is.HTTPGet == nil || probe.is.HTTPGet.Path != probe.path || probe.is.HTTPGet.Port.StrVal != "http" {
			t.Errorf("the %s probe is %+v", probe.name, probe.is)
		}
	}
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil ||
		*pod.TerminationGracePeriodSeconds < c.Lifecycle.PreStop.Sleep.Seconds+20 {
		t.Error("a stop does not leave the 20 s of GATEWAY_SHUTDOWN_GRACE after the preStop sleep")
	}
}

// checkNames checks that what names something else of the release names what is there.
func checkNames(t *testing.T, o objects) {
	t.Helper()
	template := o.statefulSet.Spec.Template
	services := make(map[string]core.ServiceSpec)
	for _, service := range o.services {
		services[service.Name] = service.Spec
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(template.Labels)) {
			t.Errorf("the service %s does not select the pods", service.Name)
		}
		for _, port := range service.Spec.Ports {
			if !slices.ContainsFunc(template.Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == port.TargetPort.StrVal }) {
				t.Errorf("the service %s leads to the port %s, which pods do not have", service.Name, port.TargetPort.StrVal)
			}
		}
	}
	if admin, ok := services[o.statefulSet.Spec.ServiceName]; !ok || admin.ClusterIP != core.ClusterIPNone {
		t.Errorf("serviceName is %s", o.statefulSet.Spec.ServiceName)
	}
	public := func(name string) bool {
		spec, ok := services[name]
		return ok && spec.Ports[0].Name == "http"
	}
	if o.ingress != nil {
		for _, rule := range o.ingress.Spec.Rules {
			if back := rule.HTTP.Paths[0].Backend.Service; !public(back.Name) || back.Port.Name != "http" {
				t.Errorf("the ingress leads to %+v", back)
			}
		}
	}
	if o.route != nil {
		if back := o.route.Spec.Rules[0].BackendRefs[0]; !public(string(back.Name)) || *back.Port != services[string(back.Name)].Ports[0].Port {
			t.Errorf("the route leads to %+v", back)
		}
	}
	if o.scaler != nil && (o.scaler.Spec.ScaleTargetRef.Name != o.statefulSet.Name || o.statefulSet.Spec.Replicas != nil) {
		t.Error("the number of replicas is not the autoscaler's")
	}
	for what, selector := range map[string]map[string]string{
		"stateful set": o.statefulSet.Spec.Selector.MatchLabels, "budget": o.budget.Spec.Selector.MatchLabels,
		"network policy": o.networkPolicy.Spec.PodSelector.MatchLabels,
	} {
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(template.Labels)) {
			t.Errorf("the selector of the %s is %v", what, selector)
		}
	}
	if m := o.serviceMonitor; m != nil {
		selected := 0
		for _, service := range o.services {
			if labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
				selected++
				if service.Spec.Ports[0].Name != m.Spec.Endpoints[0].Port {
					t.Errorf("the monitor asks the port %s of %s", m.Spec.Endpoints[0].Port, service.Name)
				}
			}
		}
		if selected != 1 {
			t.Errorf("the monitor selects %d services", selected)
		}
	}
	checkVolumes(t, o)
}

// checkVolumes checks that mounts, volumes and the settings of files agree.
func checkVolumes(t *testing.T, o objects) {
	t.Helper()
	spec := o.statefulSet.Spec
	volumes := make(map[string]bool)
	for _, volume := range spec.Template.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, claim := range spec.VolumeClaimTemplates {
		volumes[claim.Name] = true
	}
	container := spec.Template.Spec.Containers[0]
	var paths []string
	for _, mount := range container.VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("the mount %s has no volume", mount.Name)
		}
		delete(volumes, mount.Name)
		paths = append(paths, mount.MountPath)
		if mount.ReadOnly == (mount.MountPath == "/data") {
			t.Errorf("%s: read-only is %t", mount.MountPath, mount.ReadOnly)
		}
	}
	if len(volumes) != 0 {
		t.Errorf("volumes that are not mounted: %v", volumes)
	}
	seen := make(map[string]bool)
	for _, variable := range container.Env {
		if seen[variable.Name] {
			t.Errorf("%s is there twice", variable.Name)
		}
		seen[variable.Name] = true
		if file := strings.TrimPrefix(variable.Value, "file:"); strings.HasPrefix(file, "/") {
			if !slices.ContainsFunc(paths, func(path string) bool { return file == path || strings.HasPrefix(file, path+"/") }) {
				t.Errorf("%s names %s, which is not mounted", variable.Name, file)
			}
		}
	}
}

// Every setting that the chart or a value file names is one of the gateway's.
func TestTheSettingsExist(t *testing.T) {
	page, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name := range valueFiles(t) {
		for _, variable := range mustRender(t, "blue", name).statefulSet.Spec.Template.Spec.Containers[0].Env {
			if strings.HasPrefix(variable.Name, "GATEWAY_") {
				checked++
				if !regexp.MustCompile("(?m)^\\| `" + variable.Name + "` ").Match(page) {
					t.Errorf("%s: there is no setting %s", name, variable.Name)
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d settings", checked)
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for values, want := range map[string]string{
		"image: {tag: latest}":         "tag",
		"replica: 2":                   "replica",
		"replicas: 2":                  "database: more than one replica",
		"autoscaling: {enabled: true}": "database: more than one replica",
		"{replicas: 2, database: {existingSecret: a}}":             "adminTokens: more than one replica",
		"database: {existingSecret: a, secretId: b}":               "exclude each other",
		"database: {secretId: 'postgres://user:password@host/db'}": "secretId",
		`apiKeys: {secretId: '{"keys": {"web": "k"}}'}`:            "secretId",
		"aws: {identity: irsa}":                                    "aws.roleArn",
		"aws: {identity: role}":                                    "identity",
		"serviceAccount: {create: false}":                          "serviceAccount.name",
		"ingress: {enabled: true}":                                 "hosts",
		"httpRoute: {enabled: true}":                               "parentRefs",
		"settings: {GATEWAY_ADDR: '0.0.0.0:80'}":                   "GATEWAY_ADDR",
		"settings: {GATEWAY_PREDICT_TIMEOUT: 1}":                   "GATEWAY_PREDICT_TIMEOUT",
		"resources: {limits: null}":                                "limits",
		"schema: {content: a, existingConfigMap: b}":               "exclude each other",
		"{preStopSeconds: 40, terminationGracePeriodSeconds: 40}":  "terminationGracePeriodSeconds",
		"{autoscaling: {minReplicas: 20}}":                         "minReplicas",
		"podLabels: {a: 1}":                                        "podLabels",
	} {
		if _, err := render("blue", []byte(values)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %q", values, err, want)
		}
	}
}

// What a value file switches on is there, and nothing else.
func TestWhatIsSwitchedOn(t *testing.T) {
	for name, want := range map[string][]string{
		"1-defaults.yaml":               {"ServiceAccount"},
		"2-own-schema.yaml":             {"ServiceAccount", "ConfigMap"},
		"4-autoscaling.yaml":            {"ServiceAccount", "HorizontalPodAutoscaler"},
		"6-sagemaker-pod-identity.yaml": {},
		"7-ingress-monitoring.yaml":     {"ServiceAccount", "Ingress", "ServiceMonitor", "PrometheusRule"},
		"8-everything.yaml":             {"ServiceAccount", "ConfigMap", "HorizontalPodAutoscaler", "Ingress", "HTTPRoute", "ServiceMonitor", "PrometheusRule"},
	} {
		want = append(want, "StatefulSet", "Service", "Service", "NetworkPolicy", "PodDisruptionBudget")
		var got []string
		for _, each := range mustRender(t, "blue", name).all {
			got = append(got, each.Kind)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	irsa := mustRender(t, "blue", "5-sagemaker-irsa.yaml").accounts[0]
	if irsa.Annotations["eks.amazonaws.com/role-arn"] != "arn:aws:iam::111122223333:role/gateway" {
		t.Errorf("the service account has the annotations %v", irsa.Annotations)
	}
	identity := mustRender(t, "blue", "6-sagemaker-pod-identity.yaml")
	if got := identity.statefulSet.Spec.Template.Spec.ServiceAccountName; got != "predictions" {
		t.Errorf("the service account is %s", got)
	}
	agent := false
	for _, rule := range identity.networkPolicy.Spec.Egress {
		for _, peer := range rule.To {
			agent = agent || peer.IPBlock != nil && peer.IPBlock.CIDR == "169.254.170.23/32"
		}
	}
	if !agent {
		t.Error("pods may not reach the agent of EKS Pod Identity")
	}
}
