// Package check holds the compose file and the systemd unit to their own readers
// and to the gateway.
package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// project reads the compose file as Docker does: an unknown key or a name that
// is not there is an error.
func project(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheServicesOfCompose(t *testing.T) {
	p := project(t)
	if names := p.ServiceNames(); !slices.Equal(names, []string{"gateway", "grafana", "postgres", "prometheus"}) {
		t.Errorf("the services are %s", names)
	}
	for name, service := range p.Services {
		if !regexp.MustCompile(`:(v?\d+\.\d+(\.\d+)?|compose)$`).MatchString(service.Image) {
			t.Errorf("%s: the image %s has no version", name, service.Image)
		}
		if service.Privileged || service.MemLimit == 0 || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may too much", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, port.Published)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil || !volume.ReadOnly {
				t.Errorf("%s: %s is not there or not read-only (%v)", name, volume.Source, err)
			}
		}
	}
	if postgres := p.Services["postgres"]; len(postgres.Ports) != 0 || !p.Networks["database"].Internal || len(postgres.Networks) != 1 {
		t.Error("the database is in reach of others")
	}
}

func TestTheGatewayOfCompose(t *testing.T) {
	gateway := project(t).Services["gateway"]
	dockerfile := read(t, "../../Dockerfile")
	if !strings.Contains(dockerfile, "\nUSER "+gateway.User+"\n") || !gateway.ReadOnly || !slices.Equal(gateway.CapDrop, []string{"ALL"}) {
		t.Errorf("user %s, read-only %t, dropped %s", gateway.User, gateway.ReadOnly, gateway.CapDrop)
	}
	if context, err := filepath.Abs("../.."); err != nil || gateway.Build.Context != context {
		t.Errorf("it is built in %s (%v)", gateway.Build.Context, err)
	}
	if stop := time.Duration(*gateway.StopGracePeriod); stop <= defaultTime(t, "GATEWAY_SHUTDOWN_GRACE") {
		t.Errorf("it has %s to stop", stop)
	}
	page := read(t, "../../docs/configuration.md")
	for name := range gateway.Environment {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("there is no setting %s", name)
		}
	}
	if data := *gateway.Environment["GATEWAY_DATA_DIR"]; !strings.Contains(dockerfile, "\nVOLUME "+data+"\n") ||
		!slices.ContainsFunc(gateway.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == data && v.Type == types.VolumeTypeVolume }) {
		t.Errorf("the data dir %s is no volume", data)
	}
	for _, name := range []string{"GATEWAY_ADDR", "GATEWAY_ADMIN_ADDR"} {
		_, port, _ := strings.Cut(*gateway.Environment[name], ":")
		if !slices.ContainsFunc(gateway.Ports, func(p types.ServicePortConfig) bool { return p.Published == port }) {
			t.Errorf("%s: port %s is not published", name, port)
		}
	}
}

// The gateway's secret is the account that PostgreSQL makes.
func TestTheDatabaseOfCompose(t *testing.T) {
	p := project(t)
	var secret struct{ Engine, Host, Username, Password, DBName string }
	if err := json.Unmarshal([]byte(read(t, "../compose/database.json")), &secret); err != nil {
		t.Fatal(err)
	}
	made := p.Services["postgres"].Environment
	for name, got := range map[string]string{"POSTGRES_USER": secret.Username, "POSTGRES_PASSWORD": secret.Password, "POSTGRES_DB": secret.DBName} {
		if got != *made[name] {
			t.Errorf("%s is %s, the secret has %s", name, *made[name], got)
		}
	}
	if _, ok := p.Services[secret.Host]; !ok || secret.Engine != "postgres" {
		t.Errorf("the secret names %s on %s", secret.Engine, secret.Host)
	}
	file := strings.TrimPrefix(*p.Services["gateway"].Environment["GATEWAY_DB_SECRET_ID"], "file:")
	if !slices.ContainsFunc(p.Services["gateway"].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == file }) {
		t.Errorf("%s is not mounted", file)
	}
}

// Prometheus asks the operators' listener, has our rules, and Grafana asks Prometheus.
func TestTheMonitoringOfCompose(t *testing.T) {
	p := project(t)
	var prometheus struct {
		Global        map[string]string `yaml:"global"`
		RuleFiles     []string          `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	strict(t, "../compose/prometheus.yaml", &prometheus)
	_, port, _ := strings.Cut(*p.Services["gateway"].Environment["GATEWAY_ADMIN_ADDR"], ":")
	if got := prometheus.ScrapeConfigs[0].StaticConfigs[0].Targets; !slices.Equal(got, []string{"gateway:" + port}) {
		t.Errorf("Prometheus asks %s", got)
	}
	rules, err := filepath.Abs("../monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Services["prometheus"].Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Source == rules && slices.Equal(prometheus.RuleFiles, []string{v.Target})
	}) {
		t.Errorf("the rules %s are not mounted", prometheus.RuleFiles)
	}

	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, Type, Access, URL string
			IsDefault               bool `yaml:"isDefault"`
		} `yaml:"datasources"`
	}
	strict(t, "../compose/grafana/datasources/prometheus.yaml", &sources)
	if s := sources.Datasources[0]; s.URL != "http://prometheus:9090" || s.Type != "prometheus" || !s.IsDefault {
		t.Errorf("Grafana asks %+v", s)
	}
	var boards struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		} `yaml:"providers"`
	}
	strict(t, "../compose/grafana/dashboards/gateway.yaml", &boards)
	board, err := filepath.Abs("../monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Services["grafana"].Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Source == board && filepath.Dir(v.Target) == boards.Providers[0].Options.Path
	}) {
		t.Error("the dashboard is not mounted")
	}
}

func strict(t *testing.T, name string, target any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, name)))
	decoder.KnownFields(true)
	if err := decoder.Decode(target); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// defaultTime is the default of a setting by docs/configuration.md, which is
// generated from the code.
func defaultTime(t *testing.T, name string) time.Duration {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| `([^`]+)` \\|").FindStringSubmatch(read(t, "../../docs/configuration.md"))
	if row == nil {
		t.Fatalf("docs/configuration.md has no default of %s", name)
	}
	d, err := time.ParseDuration(row[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}
