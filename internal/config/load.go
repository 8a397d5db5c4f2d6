package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kelseyhightower/envconfig"

	"gateway/internal/insights"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/outbox"
	"gateway/internal/schema"
	"gateway/internal/secrets"
)

const Prefix = "GATEWAY"

// Error is why a gateway does not start: a setting is wrong, or does not
// fit what it leads to. The error names the setting.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the setting.
func (e *Error) Unwrap() error { return e.Err }

// Load reads the environment. Its error, a *Error, names every wrong
// setting, one a line.
func Load() (Config, error) {
	c, err := readEnvironment()
	if err != nil {
		return c, &Error{Err: err}
	}
	return c, nil
}

func readEnvironment() (Config, error) {
	var c Config
	for _, name := range settingNames() { // empty means not set
		if value, ok := os.LookupEnv(name); ok && value == "" {
			_ = os.Unsetenv(name)
		}
	}
	if err := envconfig.Process(Prefix, &c); err != nil {
		var parse *envconfig.ParseError
		if errors.As(err, &parse) {
			return c, fmt.Errorf("%s: %q %s", parse.KeyName, parse.Value, rule(parse))
		}
		return c, err
	}
	return c, errors.Join(checkNames(), c.validate())
}

// rule says what a setting that could not be read must look like.
func rule(e *envconfig.ParseError) string {
	switch e.TypeName {
	case "time.Duration":
		return "is not a duration, such as 500ms, 2s or 1h"
	case "int", "int64":
		return "is not a whole number"
	case "float64":
		return "is not a number"
	case "bool":
		return "is not true or false"
	case "map[string]string":
		return "is not a list such as name:value,name:value"
	}
	return e.Err.Error()
}

// serviceVariable matches the variables that Kubernetes sets in pods for each
// service whose name is "gateway" or begins with "gateway-", such as
// GATEWAY_POSTGRESQL_SERVICE_HOST. See "Discovering services" in its
// documentation.
var serviceVariable = regexp.MustCompile(`^GATEWAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// servicePort matches one whose name could be a misspelt setting, so that its
// value must be that of a service as well: tcp://10.0.0.1:5432.
var (
	servicePort        = regexp.MustCompile(`^GATEWAY_([A-Z0-9_]+_)?PORT$`)
	servicePortAddress = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// setByKubernetes reports whether a variable describes a service of Kubernetes.
func setByKubernetes(name, value string) bool {
	return serviceVariable.MatchString(name) || servicePort.MatchString(name) && servicePortAddress.MatchString(value)
}

// checkNames refuses variables that no setting reads, because a misspelt
// setting would otherwise be ignored.
func checkNames() error {
	known := settingNames()
	var faults []error
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, Prefix+"_") || slices.Contains(known, name) || setByKubernetes(name, value) {
			continue
		}
		faults = append(faults, fmt.Errorf("%s: there is no such setting; `gateway config` lists all", name))
	}
	return errors.Join(faults...)
}

// faults collects what is wrong with settings.
type faults []error

// add reports a setting. The name has no prefix.
func (f *faults) add(name, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s_%s: %s", Prefix, name, fmt.Sprintf(format, args...)))
}

// check reports err, if any, as the fault of a setting.
func (f *faults) check(name string, err error) {
	if err != nil {
		f.add(name, "%v", err)
	}
}

// address checks a host:port.
func (f *faults) address(name, text string) {
	if _, port, err := net.SplitHostPort(text); err != nil {
		f.add(name, "%q is not host:port", text)
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		f.add(name, "%q is not a port", port)
	}
}

// oneOf checks that a text is one of those that are allowed.
func (f *faults) oneOf(name, text string, allowed ...string) {
	if !slices.Contains(allowed, text) {
		f.add(name, "%q must be one of %s", text, strings.Join(allowed, ", "))
	}
}

// secret checks the id of a secret, which may be empty.
func (f *faults) secret(name, id string, check func(string) error) {
	if id != "" {
		f.check(name, check(id))
	}
}

// validate reports every setting whose value is not allowed.
func (c *Config) validate() error {
	var f faults
	c.checkNumbers(f.add)
	c.validateListeners(&f)
	c.validateAccess(&f)
	c.validatePlatform(&f)
	c.validateRenewals(&f)
	c.validateLedger(&f)
	if c.Limit.Max < c.Limit.Min {
		f.add("LIMIT_MAX", "%d must not be below GATEWAY_LIMIT_MIN (%d)", c.Limit.Max, c.Limit.Min)
	}
	f.oneOf("LAMBDA_ROUTES", c.LambdaRoutes, RoutesOfApps, RoutesOfOperators, RoutesOfAll)
	f.oneOf("LOG_FORMAT", cmp.Or(c.LogFormat, "text"), "text", "json")
	f.oneOf("LOG_LEVEL", c.LogLevel, "debug", "info", "warn", "error")
	return errors.Join(f...)
}

func (c *Config) validateListeners(f *faults) {
	f.address("ADDR", c.Addr)
	if c.AdminAddr != "" {
		f.address("ADMIN_ADDR", c.AdminAddr)
	}
	if _, err := c.Proxies(); err != nil {
		*f = append(*f, err)
	}
}

func (c *Config) validateAccess(f *faults) {
	if c.DataDir == "" {
		f.add("DATA_DIR", "must name a folder")
	}
	f.secret("DB_SECRET_ID", c.DBSecretID, secrets.CheckID)
	f.secret("ADMIN_SECRET_ID", c.AdminSecretID, secrets.CheckID)
	f.secret("API_KEYS_SECRET_ID", c.APIKeysSecretID, secrets.CheckID)
	if _, err := c.DatabaseDefaults(); err != nil {
		*f = append(*f, err)
	}
	c.validateProtection(f.add)
}

func (c *Config) validatePlatform(f *faults) {
	f.oneOf("PLATFORM", c.Platform, Local, SageMaker)
	if !endpointName.MatchString(c.EndpointName) {
		f.add("ENDPOINT_NAME", "%q must be at most 63 letters, digits and single dashes", c.EndpointName)
	}
	if c.Platform == SageMaker {
		c.validateSageMaker(f.add)
		return
	}
	if c.CustomersTable != "" {
		f.add("CUSTOMERS_TABLE", "is for GATEWAY_PLATFORM=sagemaker")
	}
	if c.Transform == TransformAthena {
		f.add("TRANSFORM", "athena is for GATEWAY_PLATFORM=sagemaker")
	}
}

func (c *Config) validateRenewals(f *faults) {
	known := []string{string(learn.Auto), string(learn.LinearLearner), string(learn.XGBoost)}
	allowed := known
	if c.Platform == SageMaker {
		known = known[1:]
		allowed = append(slices.Clone(known), modelswap.CustomAlgorithm)
	}
	c.Training.Algorithm = cmp.Or(c.Training.Algorithm, known[0])
	f.oneOf("TRAINING_ALGORITHM", c.Training.Algorithm, allowed...)
	if slices.Contains(known, c.Training.Algorithm) {
		f.check("TRAINING_HYPERPARAMETERS", learn.CheckHyperparameters(learn.Algorithm(c.Training.Algorithm), c.Training.Hyperparameters))
	}
	_, err := modelswap.ParseGate(c.Gate)
	f.check("GATE", err)
	_, err = c.Outcome.MaturityAge()
	f.check("OUTCOME_MATURITY", err)
	_, err = insights.ParseFloor(c.Retrain.Quality)
	f.check("RETRAIN_QUALITY", err)
	f.oneOf("LEARN_FROM", c.LearnFrom, learnFromAll, LearnFromKnown)
	if c.Retrain.Schedule != "" {
		_, err := modelswap.ParseSchedule(c.Retrain.Schedule)
		f.check("RETRAIN_SCHEDULE", err)
	}
}

func (c *Config) validateLedger(f *faults) {
	f.oneOf("OUTBOX_POLICY", c.Outbox.Policy, string(outbox.DropOldest), string(outbox.Refuse))
	f.oneOf("OUTBOX_SYNC", c.Outbox.Sync, string(outbox.Always), string(outbox.Interval), string(outbox.Database))
	f.oneOf("LEDGER_PERSONAL", c.Ledger.Personal, ledgerOmit, LedgerHash)
	f.secret("LEDGER_KEY_SECRET_ID", c.Ledger.KeySecretID, secrets.CheckFileID)
	if c.Ledger.Personal == LedgerHash && c.DBSecretID != "" && c.Ledger.KeySecretID == "" {
		f.add("LEDGER_KEY_SECRET_ID", "gateways that share a database must hash with one key: name the file that all of them have")
	}
}

// Proxies returns the networks of the proxies that may name the client.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range c.TrustedProxies {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		if address, alone := netip.ParseAddr(text); alone == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%s_TRUSTED_PROXIES: %q is not an IP address or a network such as 10.0.0.0/8", Prefix, text)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

var endpointName = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$`)

// DataSchema returns the path of the data dir's schema, which gateway init writes.
func (c *Config) DataSchema() string { return filepath.Join(c.DataDir, "schema.yaml") }

// SchemaPath returns the path of the schema in use: the one that the settings name,
// else the data dir's if it has one. It is empty for the built-in schema.
func (c *Config) SchemaPath() (string, error) {
	if c.Schema != "" {
		return c.Schema, nil
	}
	switch _, err := os.Stat(c.DataSchema()); {
	case err == nil:
		return c.DataSchema(), nil
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	default:
		return "", fmt.Errorf("%s_SCHEMA is empty, and the data dir's schema cannot be read: %w", Prefix, err)
	}
}

// LoadSchema loads the schema in use.
func (c *Config) LoadSchema() (*schema.Schema, error) {
	path, err := c.SchemaPath()
	switch {
	case err != nil:
		return nil, err
	case path == "":
		return schema.Bank(), nil
	}
	s, err := schema.Load(path)
	if err != nil {
		if c.Schema == "" {
			return nil, err
		}
		return nil, fmt.Errorf("%s_SCHEMA: %w", Prefix, err)
	}
	return s, c.checkSchema(path, s)
}

// checkSchema reports what the platform cannot learn from.
func (c *Config) checkSchema(path string, s *schema.Schema) error {
	if c.Platform != SageMaker {
		return nil
	}
	for _, f := range s.Features {
		if f.Encode == schema.Target && !f.Exclude {
			return fmt.Errorf("%s: feature %q: encode: target is for %s_PLATFORM=local: the algorithms of SageMaker take the columns as they are, and cannot compute statistics of the label within their folds; use onehot, or exclude the feature", path, f.Name, Prefix)
		}
	}
	return nil
}
