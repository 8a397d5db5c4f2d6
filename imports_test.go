package gateway_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the path of this module; a package is named below by its folder.
const module = "gateway"

// mayImport is the drawing of the architecture: for each package, the packages
// of ours that it may import. Lower ones never import higher ones, so an import
// that is not here is either a mistake or a decision worth a note.
var mayImport = map[string][]string{
	".": {}, // the overview and openapi.yaml

	"cmd/gateway": {"internal/app", "internal/config", "internal/lambda", "internal/logging", "api", "api/client", "api/edge", "internal/aws", "internal/sandbox", "internal/datadir",
		"internal/ask", "internal/insights", "internal/insights/stats", "internal/modelswap", "internal/idempotency", "internal/export", "internal/predict", "internal/draft", "internal/schema", "internal/failure",
		"internal/rotate", "internal/rotate/databases", "internal/rotate/manager", "internal/secrets"},
	"internal/app": {".", "internal/config", "api", "api/console", "api/edge", "internal/httpserver", "internal/aws", "internal/local", "internal/store", "internal/postgres", "internal/outbox", "internal/datadir", "internal/demo",
		"internal/admission", "internal/insights", "internal/scoring", "internal/modelswap", "internal/idempotency", "internal/secrets", "internal/tracing", "internal/predict", "internal/schema", "internal/callctx", "internal/outage", "internal/failure"},
	"internal/config":  {"internal/aws", "internal/insights", "internal/postgres", "internal/outbox", "internal/modelswap", "internal/learn", "internal/secrets", "internal/schema"},
	"internal/logging": {},
	"internal/lambda":  {"api/edge"},
	"api/client":       {"api", "api/edge", "internal/audit", "internal/insights", "internal/modelswap", "internal/predict"},
	"api":              {"api/console", "api/edge", "internal/admission", "internal/audit", "internal/insights", "internal/modelswap", "internal/idempotency", "internal/predict", "internal/schema", "internal/outage", "internal/failure"},
	"api/console":      {"api/console/chart", "api/edge", "internal/admission", "internal/audit", "internal/insights", "internal/insights/stats", "internal/learn", "internal/modelswap", "internal/predict", "internal/schema", "internal/failure"},
	"api/edge":         {"internal/admission", "internal/audit", "internal/callctx", "internal/outage", "internal/failure"}, // nothing of predictions or renewals

	"internal/aws":       {"internal/aws/wire", "internal/artifact", "internal/modelswap", "internal/exportsql", "internal/export", "internal/learn", "internal/secrets", "internal/predict", "internal/schema", "internal/callctx", "internal/budget", "internal/outage", "internal/failure"},
	"internal/ask":       {"internal/insights/stats", "internal/schema"},
	"internal/audit":     {},
	"internal/datadir":   {},
	"internal/local":     {"internal/datadir", "internal/modelswap", "internal/export", "internal/learn", "internal/secrets", "internal/predict", "internal/schema", "internal/outage", "internal/failure"},
	"internal/store":     {"internal/postgres", "internal/audit", "internal/insights", "internal/modelswap", "internal/idempotency", "internal/learn", "internal/predict", "internal/failure"},
	"internal/outbox":    {"internal/datadir", "internal/predict", "internal/outage", "internal/failure"},
	"internal/tracing":   {"internal/modelswap", "internal/predict", "internal/schema", "internal/callctx", "internal/outage", "internal/failure"},
	"internal/modelswap": {"internal/export", "internal/insights", "internal/learn", "internal/predict", "internal/schema", "internal/outage", "internal/failure"},
	"internal/insights":  {"internal/insights/stats", "internal/predict", "internal/schema", "internal/outage", "internal/failure"},
	"internal/exportsql": {"internal/export", "internal/schema", "internal/failure"},
	"internal/export":    {"internal/predict", "internal/schema", "internal/failure"},
	"internal/demo":      {"internal/predict", "internal/schema", "internal/failure"},

	"internal/admission":   {"internal/failure"},
	"internal/scoring":     {"internal/predict", "internal/schema", "internal/callctx", "internal/budget", "internal/failure"},
	"internal/idempotency": {"internal/outage", "internal/failure"},

	"internal/predict":  {"internal/schema", "internal/callctx", "internal/outage", "internal/failure"},
	"internal/schema":   {"internal/suggest", "internal/failure"},
	"internal/draft":    {"internal/schema", "internal/suggest"},
	"internal/callctx":  {"internal/failure"},
	"internal/failure":  {},
	"internal/outage":   {},
	"internal/secrets":  {"internal/datadir", "internal/outage"},
	"internal/learn":    {"internal/suggest"},
	"internal/artifact": {"internal/learn"},
	"internal/budget":   {},
	"internal/suggest":  {},

	"internal/postgres":       {}, // addresses of servers, and how connections are protected
	"internal/insights/stats": {}, // pure functions
	"api/console/chart":       {}, // data in, SVG out

	"internal/aws/wire": {"internal/callctx"}, // HTTP/1.1 and signatures by hand; no SDK

	"internal/httpserver":       {"internal/httpserver/http1", "internal/admission"},
	"internal/httpserver/http1": {}, // the server side of HTTP/1.1 without net/http

	// The rotation of credentials: the four steps, and what they change.
	"internal/rotate":           {"internal/secrets", "internal/datadir"},
	"internal/rotate/databases": {"internal/rotate", "internal/postgres", "internal/secrets"},
	"internal/rotate/manager":   {"internal/rotate", "internal/secrets"},
	"cmd/rotate":                {"internal/rotate", "internal/rotate/databases", "internal/rotate/manager", "internal/secrets"},

	// A program of its own, which knows the gateway by its interfaces to the outside.
	"cmd/loadtest": {"internal/sandbox", "internal/demo", "internal/learn", "internal/predict", "internal/schema"},

	// For scripts alone.
	"scripts/customers": {"internal/demo", "internal/export", "internal/predict", "internal/schema"},

	// Conformance suites, fakes and stand-ins, for tests alone.
	"internal/sandbox":                 {"internal/artifact", "internal/learn"},
	"internal/insights/insightstest":   {"internal/insights", "internal/predict"},
	"internal/audit/audittest":         {"internal/audit", "internal/failure"},
	"internal/cfntest":                 {},
	"internal/contracttest":            {},
	"internal/disktest":                {},
	"internal/gatewaytest":             {"api", "internal/sandbox", "internal/pgtest", "internal/draft", "internal/schema"},
	"internal/pgtest":                  {},
	"internal/testsize":                {},
	"internal/secrets/secretstest":     {"internal/secrets"},
	"internal/tracing/tracetest":       {},
	"internal/predict/predicttest":     {"internal/predict", "internal/schema", "internal/failure"},
	"internal/modelswap/modelswaptest": {"internal/modelswap", "internal/export", "internal/learn", "internal/predict", "internal/schema", "internal/failure"},
}

// mayUse says which packages may import each module of others, subpackages
// included. One that is not here may be imported by tests only.
var mayUse = map[string][]string{
	"github.com/go-chi/chi/v5":  {"api", "api/console", "api/edge", "cmd/loadtest"},
	"github.com/swaggest/swgui": {"api"},

	"github.com/alecthomas/kong":           {"cmd/gateway"},
	"github.com/kelseyhightower/envconfig": {"internal/config"},
	"github.com/schollz/progressbar/v3":    {"cmd/gateway"},
	"golang.org/x/term":                    {"cmd/gateway"},
	"golang.org/x/sys":                     {"internal/httpserver"},

	"github.com/aws/aws-sdk-go-v2": {"internal/aws", "internal/rotate/manager", "internal/sandbox"},
	"github.com/aws/smithy-go":     {"internal/aws", "internal/rotate/manager"},
	"golang.org/x/time":            {"api/edge", "internal/gatewaytest"},

	"github.com/failsafe-go/failsafe-go": {"internal/admission", "internal/audit", "internal/scoring"},

	"modernc.org/sqlite":                  {"internal/store", "internal/ask"},
	"github.com/jackc/pgx/v5":             {"internal/postgres", "internal/store", "internal/rotate/databases", "internal/pgtest"},
	"github.com/go-sql-driver/mysql":      {"internal/rotate/databases"},
	"github.com/aws/aws-lambda-go":        {"cmd/rotate", "internal/lambda"},
	"github.com/pressly/goose/v3":         {"internal/store"},
	"github.com/gofrs/flock":              {"internal/datadir"},
	"go.yaml.in/yaml/v3":                  {"api", "internal/cfntest", "internal/schema"},
	"github.com/google/uuid":              {"internal/failure", "internal/sandbox"},
	"github.com/robfig/cron":              {"internal/modelswap"},
	"golang.org/x/text":                   {"internal/draft", "internal/schema"},
	"golang.org/x/sync":                   {"api", "internal/local", "internal/store", "internal/modelswap"},
	"github.com/go-json-experiment/json":  {"cmd/gateway", "api", "api/client", "api/edge", "internal/aws", "internal/sandbox", "internal/contracttest", "internal/export", "internal/exportsql", "internal/schema"},
	"github.com/prometheus/client_golang": {"internal/app", "internal/httpserver", "api", "api/edge", "internal/outbox", "internal/modelswap", "internal/idempotency", "internal/insights", "internal/admission", "internal/audit", "internal/scoring", "internal/secrets", "internal/tracing", "internal/predict"},
	"go.opentelemetry.io/otel":            {"internal/tracing"},
	"go.opentelemetry.io/proto/otlp":      {"internal/tracing/tracetest"},
	"google.golang.org/protobuf":          {"internal/tracing/tracetest"},
	"github.com/getkin/kin-openapi":       {"internal/contracttest"},
}

// TestImports holds every file but tests to the two tables.
func TestImports(t *testing.T) {
	faults, err := importFaults(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// TestImportsCanFail shows that the test above would notice.
func TestImportsCanFail(t *testing.T) {
	tests := []struct {
		name, pkg, imports, want string
	}{
		{"a lower package imports a higher one", "internal/predict", "gateway/api", "may import only internal/schema, internal/callctx, internal/outage, internal/failure"},
		{"siblings import each other", "internal/local", "gateway/internal/store", "may import only internal/datadir, internal/modelswap,"},
		{"a package imports a suite", "internal/store", "gateway/internal/predict/predicttest", "may import only"},
		{"a library is used elsewhere", "internal/local", "modernc.org/sqlite", "only internal/store, internal/ask may import modernc.org/sqlite"},
		{"so is a part of it", "api", "modernc.org/sqlite/lib", "only internal/store, internal/ask may import modernc.org/sqlite"},
		{"a library is new", "internal/predict", "example.com/new", "it is in no rule"},
		{"a name only begins like a library's", "internal/store", "modernc.org/sqlite3", "it is in no rule"},
		{"a package is new", "internal/misc", "fmt", "internal/misc is missing in mayImport"},
		{"the heart imports the standard library", "internal/predict", "net/netip", ""},
		{"the wiring imports a back end", "internal/app", "gateway/internal/store", ""},
		{"a command imports a back end's database", "cmd/gateway", "gateway/internal/store", "may import only internal/app,"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, text := tt.pkg+"/file.go", fmt.Sprintf("package p\n\nimport _ %q\n", tt.imports)
			faults, err := importFaults(fstest.MapFS{file: &fstest.MapFile{Data: []byte(text)}})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(faults, "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("faults are %q, want %q", got, tt.want)
			}
			if got != "" && !strings.HasPrefix(got, file+": ") {
				t.Errorf("fault %q does not begin with the file", got)
			}
		})
	}
}

// importFaults reads all Go files of this module but tests, and says for each import against
// the rules which file it is in and which rule it breaks.
func importFaults(root fs.FS) ([]string, error) {
	var faults []string
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			hidden := strings.HasPrefix(entry.Name(), ".") && file != "."
			if hidden || entry.Name() == "testdata" || file == "bin" || file == "gateway-data" {
				return fs.SkipDir
			}
			if _, err := fs.Stat(root, path.Join(file, "go.mod")); err == nil && file != "." {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(file)
		if _, known := mayImport[pkg]; !known {
			faults = append(faults, fmt.Sprintf("%s: package %s is missing in mayImport (imports_test.go)", file, pkg))
			return nil
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if rule := brokenRule(pkg, imported); rule != "" {
				faults = append(faults, fmt.Sprintf("%s: imports %q: %s", file, imported, rule))
			}
		}
		return nil
	})
	return faults, err
}

// brokenRule names the rule that forbids the import, or nothing.
func brokenRule(pkg, imported string) string {
	if ours, ok := folder(imported); ok {
		allowed := mayImport[pkg]
		switch {
		case slices.Contains(allowed, ours):
			return ""
		case len(allowed) == 0:
			return pkg + " may import nothing of ours"
		}
		return fmt.Sprintf("%s may import only %s", pkg, strings.Join(allowed, ", "))
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for library, users := range mayUse {
		if imported != library && !strings.HasPrefix(imported, library+"/") {
			continue
		}
		if slices.Contains(users, pkg) {
			return ""
		}
		return fmt.Sprintf("only %s may import %s", strings.Join(users, ", "), library)
	}
	return "it is in no rule; a new library needs a line in mayUse and a decision"
}

// folder returns the folder of a package of this module.
func folder(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}
