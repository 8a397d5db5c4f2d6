package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/secrets"
)

const envPrefix = "GATEWAY"

// Config is every setting, read from the environment. `gateway config` prints
// it, and a test keeps the table in the README equal to it.
type Config struct {
	Addr            string        `default:"127.0.0.1:8080" desc:"public listener"`
	AdminAddr       string        `split_words:"true" desc:"a listener of its own for /admin and /metrics; empty: the public one"`
	DataDir         string        `split_words:"true" default:"./gateway-data" desc:"folder of all local state"`
	Platform        string        `default:"local" desc:"where models are trained and served: local or sagemaker"`
	Schema          string        `desc:"path of the feature schema; empty: the built-in bank schema"`
	Demo            bool          `default:"true" desc:"fill an empty customer store with generated customers and train a first model; on sagemaker only if set"`
	DBSecretID      string        `split_words:"true" desc:"database secret (engine postgres, host, port, username, password, dbname, sslmode) for gateways that share one: name or ARN in Secrets Manager, or file:PATH; empty: SQLite in the data dir"`
	DBHost          string        `split_words:"true" desc:"host or host:port of the database, where its secret has none, as that of a master user managed by RDS"`
	DBName          string        `split_words:"true" desc:"name of the database, where its secret has none; empty: postgres"`
	DBSslmode       string        `split_words:"true" desc:"sslmode as libpq has it, where the secret has none; empty: disable on this machine, else verify-full"`
	DBSslrootcert   string        `split_words:"true" desc:"file of the authorities that may vouch for the database's server, in PEM form, where the secret has none and where its sslrootcert is rds; empty: those of the system"`
	DBRequireAuth   string        `split_words:"true" desc:"how the database may ask for the password, as libpq's require_auth has it, where the secret says nothing; empty: scram-sha-256, on this machine also none"`
	AdminSecretID   string        `split_words:"true" desc:"secret {\"tokens\": {\"name\": \"token\"}} or {\"tokens\": [\"…\"]}, as above; empty: a token is made in the data dir"`
	APIKeysSecretID string        `split_words:"true" desc:"secret {\"keys\": {\"name\": \"key\"}}, as above; empty: apps need no key"`
	APIKeyRate      float64       `split_words:"true" default:"0" min:"0" max:"1000000" desc:"requests a second that each key may make, and in one burst; 0: any number"`
	SecretTTL       time.Duration `split_words:"true" default:"5m" more:"0s" desc:"how long a secret may be used before it is looked at again"`
	SecretGrace     time.Duration `split_words:"true" default:"2h" min:"0s" desc:"how long, after a rotation, tokens and keys of the previous version stay valid"`
	EndpointName    string        `split_words:"true" default:"ServiceEndpoint" desc:"name of the endpoint"`
	Training        TrainingConfig
	SageMakerConfig
	Gate           string  `default:"auc:-0.005" desc:"metric that the challenger is judged by (auc, log_loss, accuracy, f1) and the least gain over the champion; off: every challenger passes"`
	VerifyMaxShift float64 `split_words:"true" default:"0.5" min:"0" desc:"how far the scores of recent traffic may shift at a swap, as a share of their mean, before the renewal goes back by itself; 0: any"`
	KeepModels     int     `split_words:"true" default:"5" min:"1" max:"10000" desc:"models that served before and are kept to go back to"`
	LearnFrom      string  `split_words:"true" default:"all" desc:"customers that models learn from: all, or known (without those that apps made by predictions and outcomes)"`
	Outcome        OutcomeConfig
	Retrain        RetrainConfig
	Outbox         OutboxConfig
	Ledger         LedgerConfig
	Limit          LimitConfig
	MaxStreams     int           `split_words:"true" default:"128" min:"1" desc:"most open streams (CSV and NDJSON to /predict/batch); one caller (API key, else address) has at most half"`
	StreamMinRate  Bytes         `split_words:"true" default:"256" min:"1" desc:"bytes a second that the body of a stream must bring in the long run, with pauses of up to 30 s; slower ones are ended"`
	SpoolMaxSize   Bytes         `split_words:"true" default:"1GiB" min:"1" desc:"how much of streamed answers that are not read yet may be kept in the data dir, in all; one caller has at most half, and the outbox keeps its room"`
	MaxConnections int           `split_words:"true" default:"0" min:"0" desc:"most open connections of each listener; further ones are closed with a 503. 0: 16384, or fewer where memory is limited: one for each 32 KiB of an eighth of it. An address has at most half, but for this machine's own and GATEWAY_TRUSTED_PROXIES. At most what the process may open, less 512"`
	ReadTimeout    time.Duration `split_words:"true" default:"10s" more:"0s" desc:"how long the headers and the body of a request may take to arrive; streams have rules of their own"`
	WriteTimeout   time.Duration `split_words:"true" default:"10s" more:"0s" desc:"how long a caller may take to read an answer that is ready; streams have rules of their own"`
	IdleTimeout    time.Duration `split_words:"true" default:"2m" more:"0s" desc:"how long a connection may be kept without a request"`
	PredictTimeout time.Duration `split_words:"true" default:"2s" more:"0s" desc:"a prediction's whole time"`
	MaxBody        Bytes         `split_words:"true" default:"1MiB" min:"1" desc:"largest JSON body"`
	IdempotencyTTL time.Duration `split_words:"true" default:"24h" min:"1m" desc:"how long the answer to a request with an Idempotency-Key is given to those who repeat it"`

	IdempotencyMaxSize Bytes `split_words:"true" default:"512MiB" min:"1MiB" desc:"how much the database keeps of such answers, in all; one caller (token, API key, else address) has at most half. Beyond that the oldest go first, after ten minutes at the earliest"`

	TrustedProxies List          `split_words:"true" desc:"addresses and networks of proxies whose X-Forwarded-For tells the client's address, such as 10.0.0.0/8, separated by commas; empty: the address of the connection counts"`
	CORSOrigins    Origins       `split_words:"true" desc:"web origins that may call, separated by commas"`
	ShutdownGrace  time.Duration `split_words:"true" default:"20s" more:"0s" desc:"how long requests may take to end after SIGTERM"`
	LogFormat      string        `split_words:"true" desc:"text or json; empty: text on a terminal, else json"`
	LogLevel       string        `split_words:"true" default:"info" desc:"debug, info, warn or error"`

	secretRefresh, dbLifetime, mostHandling time.Duration // shorter in tests; zero: the packages' own

	waiting func() // called when the start has to wait for a secret

	memoryLimit int64 // of the process, in bytes; 0: none

	logDropped func() int64 // how many log lines were dropped; nil: none ever are

	command bool // this gateway runs for one command: it starts no renewals by itself
}

// LimitConfig bounds how many requests are handled at once.
type LimitConfig struct {
	Min int `default:"256" min:"1" desc:"requests of apps that are handled at once at least, whatever is learned; a large body counts for several"`
	Max int `default:"1024" min:"1" desc:"requests of apps that are handled at once at most; further ones get a 503"`
}

// What models learn from.
const (
	learnFromAll   = "all"
	learnFromKnown = "known"
)

// OutcomeConfig is what outcomes count for.
type OutcomeConfig struct {
	Probation Age `default:"30d" min:"0" desc:"how long an outcome waits before models are judged by it as by an imported label, and before it no longer counts towards the caps on what one caller or one hour may contribute, such as 30d; 0: for good"`
}

// RetrainConfig is what starts renewals besides operators.
type RetrainConfig struct {
	Schedule string `desc:"cron line in UTC, such as 30 2 * * 1 for Mondays at 02:30; empty: the clock starts no renewal"`
	Outcomes int64  `default:"0" min:"0" desc:"number of new outcomes that starts a renewal; 0: outcomes start none"`
}

// TrainingConfig is what a renewal trains with unless its overrides say otherwise.
type TrainingConfig struct {
	Algorithm       string            `default:"linear-learner" desc:"linear-learner (logistic regression) or xgboost (gradient boosting); on sagemaker also custom, with an image"`
	Image           string            `desc:"sagemaker: image of the algorithm; empty: the built-in one of the region"`
	InstanceType    string            `split_words:"true" default:"ml.m5.large" desc:"sagemaker: machine to train on"`
	InstanceCount   int               `split_words:"true" default:"1" min:"1" max:"10000" desc:"sagemaker: how many of them"`
	VolumeGB        int               `split_words:"true" default:"10" min:"1" max:"10000" desc:"sagemaker: disk of each, in GB"`
	Spot            bool              `desc:"sagemaker: train on spare machines, which are cheaper and may be taken away"`
	MaxRuntime      time.Duration     `split_words:"true" default:"1h" more:"0s" desc:"how long a training job may run"`
	Hyperparameters map[string]string `desc:"as the SageMaker algorithm names them: wd:0.001,l1:0"`
}

// OutboxConfig is where predictions wait for the database.
type OutboxConfig struct {
	MaxSize Bytes  `split_words:"true" default:"1GiB" min:"1MiB" desc:"how much may wait on local disk for the database"`
	Policy  string `default:"drop-oldest" desc:"what happens beyond that: drop-oldest (predictions go on, the ledger loses its oldest) or refuse (503)"`
	Sync    string `default:"interval" desc:"interval: a prediction is written before it is answered and flushed once a second, which survives a kill but not a power cut; always: it is flushed before it is answered"`
}

// LedgerConfig is what the ledger keeps, and for how long.
type LedgerConfig struct {
	Personal    string `default:"omit" desc:"features marked personal in the ledger: omit, or hash (HMAC-SHA-256)"`
	KeySecretID string `split_words:"true" desc:"file:PATH of the key for hash, at least 32 bytes; empty: one is made in the data dir"`
	Retention   Age    `default:"0" min:"0" desc:"how long predictions are kept, such as 90d or 36h; 0: for good"`
}

// Age is a time in days or in the units of a Duration: 90d, 36h. Zero is 0.
type Age time.Duration

// Decode implements envconfig.Decoder.
func (a *Age) Decode(text string) error {
	const day = 24 * time.Hour
	fault := errors.New("must be 0 or a time such as 90d or 36h")
	digits, inDays := strings.CutSuffix(text, "d")
	if inDays || text == "0" {
		days, err := strconv.ParseUint(digits, 10, 15)
		if err != nil {
			return fault
		}
		*a = Age(time.Duration(days) * day)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute {
		return fault
	}
	*a = Age(d)
	return nil
}

// Bytes is a size, written as 1048576, 512KiB, 1MiB or 1Mi.
type Bytes int64

// byteUnits are the units of sizes. Kubernetes writes Mi for MiB.
var byteUnits = []string{"", "Ki", "Mi", "Gi", "Ti"}

// Decode implements envconfig.Decoder.
func (b *Bytes) Decode(text string) error {
	digits := strings.TrimRight(text, "KMGTiB")
	unit := slices.Index(byteUnits, strings.TrimSuffix(text[len(digits):], "B"))
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if unit < 0 || text == digits+"B" || err != nil || n <= 0 {
		return errors.New("must be a size above zero, such as 512KiB, 1MiB or 4Gi")
	}
	shift := 10 * unit
	if n > math.MaxInt64>>shift {
		return errors.New("is larger than any file can be")
	}
	*b = Bytes(n << shift)
	return nil
}

// String writes a size with the largest unit that it is a multiple of.
func (b Bytes) String() string {
	unit := 0
	for ; unit < len(byteUnits)-1 && b != 0 && b%1024 == 0; b /= 1024 {
		unit++
	}
	text := strconv.FormatInt(int64(b), 10) + byteUnits[unit]
	if unit > 0 {
		text += "B"
	}
	return text
}

// loadConfig reads the environment. Its error names every wrong setting, one a
// line.
func loadConfig() (Config, error) {
	var c Config
	for _, name := range settingNames() { // empty means not set
		if value, ok := os.LookupEnv(name); ok && value == "" {
			_ = os.Unsetenv(name)
		}
	}
	if err := envconfig.Process(envPrefix, &c); err != nil {
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
		if !strings.HasPrefix(name, envPrefix+"_") || slices.Contains(known, name) || setByKubernetes(name, value) {
			continue
		}
		faults = append(faults, fmt.Errorf("%s: there is no such setting; `gateway config` lists all", name))
	}
	return errors.Join(faults...)
}

func (c *Config) validate() error {
	var faults []error
	fault := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s_%s: %s", envPrefix, name, fmt.Sprintf(format, args...)))
	}
	address := func(name, text string) {
		if _, port, err := net.SplitHostPort(text); err != nil {
			fault(name, "%q is not host:port", text)
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
			fault(name, "%q is not a port", port)
		}
	}
	oneOf := func(name, text string, allowed ...string) {
		if !slices.Contains(allowed, text) {
			fault(name, "%q must be one of %s", text, strings.Join(allowed, ", "))
		}
	}
	c.checkNumbers(fault)
	address("ADDR", c.Addr)
	if c.AdminAddr != "" {
		address("ADMIN_ADDR", c.AdminAddr)
	}
	if c.DataDir == "" {
		fault("DATA_DIR", "must name a folder")
	}
	oneOf("PLATFORM", c.Platform, onThisMachine, onSageMaker)
	secret := func(name, id string, check func(string) error) {
		if err := check(id); id != "" && err != nil {
			fault(name, "%v", err)
		}
	}
	secret("DB_SECRET_ID", c.DBSecretID, secrets.CheckID)
	secret("ADMIN_SECRET_ID", c.AdminSecretID, secrets.CheckID)
	secret("API_KEYS_SECRET_ID", c.APIKeysSecretID, secrets.CheckID)
	if _, err := c.databaseDefaults(); err != nil {
		faults = append(faults, err)
	}
	c.validateProtection(fault)
	if !endpointName.MatchString(c.EndpointName) {
		fault("ENDPOINT_NAME", "%q must be at most 63 letters, digits and single dashes", c.EndpointName)
	}
	algorithms := []string{string(learn.LinearLearner), string(learn.XGBoost)}
	if c.Platform == onSageMaker {
		c.validateSageMaker(fault)
		oneOf("TRAINING_ALGORITHM", c.Training.Algorithm, append(algorithms, modelswap.CustomAlgorithm)...)
	} else {
		oneOf("TRAINING_ALGORITHM", c.Training.Algorithm, algorithms...)
		if c.CustomersTable != "" {
			fault("CUSTOMERS_TABLE", "is for GATEWAY_PLATFORM=sagemaker")
		}
	}
	if slices.Contains(algorithms, c.Training.Algorithm) {
		if err := learn.CheckHyperparameters(learn.Algorithm(c.Training.Algorithm), c.Training.Hyperparameters); err != nil {
			fault("TRAINING_HYPERPARAMETERS", "%v", err)
		}
	}
	if _, err := modelswap.ParseGate(c.Gate); err != nil {
		fault("GATE", "%v", err)
	}
	oneOf("LEARN_FROM", c.LearnFrom, learnFromAll, learnFromKnown)
	if c.Retrain.Schedule != "" {
		if _, err := modelswap.ParseSchedule(c.Retrain.Schedule); err != nil {
			fault("RETRAIN_SCHEDULE", "%v", err)
		}
	}
	oneOf("OUTBOX_POLICY", c.Outbox.Policy, string(outbox.DropOldest), string(outbox.Refuse))
	oneOf("OUTBOX_SYNC", c.Outbox.Sync, string(outbox.Always), string(outbox.Interval))
	oneOf("LEDGER_PERSONAL", c.Ledger.Personal, ledgerOmit, ledgerHash)
	secret("LEDGER_KEY_SECRET_ID", c.Ledger.KeySecretID, secrets.CheckFileID)
	if c.Ledger.Personal == ledgerHash && c.DBSecretID != "" && c.Ledger.KeySecretID == "" {
		fault("LEDGER_KEY_SECRET_ID", "gateways that share a database must hash with one key: name the file that all of them have")
	}
	if c.Limit.Max < c.Limit.Min {
		fault("LIMIT_MAX", "%d must not be below GATEWAY_LIMIT_MIN (%d)", c.Limit.Max, c.Limit.Min)
	}
	if _, err := c.trustedProxies(); err != nil {
		faults = append(faults, err)
	}
	oneOf("LOG_FORMAT", cmp.Or(c.LogFormat, "text"), "text", "json")
	oneOf("LOG_LEVEL", c.LogLevel, "debug", "info", "warn", "error")
	return errors.Join(faults...)
}

// trustedProxies returns the networks of the proxies that may name the client.
func (c *Config) trustedProxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range c.TrustedProxies {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		if address, alone := netip.ParseAddr(text); alone == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%s_TRUSTED_PROXIES: %q is not an IP address or a network such as 10.0.0.0/8", envPrefix, text)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

var endpointName = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$`)

// schema loads the schema that the settings name.
func (c *Config) schema() (*predict.Schema, error) {
	if c.Schema == "" {
		return predict.Bank(), nil
	}
	s, err := predict.LoadSchema(c.Schema)
	if err != nil {
		return nil, fmt.Errorf("%s_SCHEMA: %w", envPrefix, err)
	}
	return s, nil
}

// setting is a row of the table of settings.
type setting struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default string `json:"default"`
	Meaning string `json:"meaning"`
}

// settings lists all settings in the order of Config. envconfig itself tells
// their names, so the list cannot differ from what is read.
func settings() []setting {
	const row = "{{range .}}{{usage_key .}}\t{{usage_type .}}\t{{usage_default .}}\t{{usage_description .}}\n{{end}}"
	var text strings.Builder
	if err := envconfig.Usagef(envPrefix, &Config{}, &text, row); err != nil {
		panic(err) // the template and Config are part of the program, and a test runs this
	}
	var all []setting
	for line := range strings.Lines(text.String()) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, setting{cells[0], cells[1], cells[2], cells[3]})
	}
	return all
}

func settingNames() []string {
	var names []string
	for _, s := range settings() {
		names = append(names, s.Name)
	}
	return names
}

// settingsTable prints the settings for people.
func settingsTable() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTYPE\tDEFAULT\tMEANING")
	for _, s := range settings() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Type, cmp.Or(s.Default, "-"), s.Meaning)
	}
	_ = w.Flush()
	return b.String()
}
