package config

import "time"

// Config is every setting, read from the environment. Its embedded structs are
// the groups in which docs/configuration.md lists the settings.
//
// The tags of a setting: default; desc, its meaning; and for numbers, times and
// sizes the bounds min, max and more (see bounds.go).
type Config struct {
	BasicSettings      `group:"Basics" about:"What every gateway has."`
	ListenerSettings   `group:"Listeners" about:"Who may connect, and for how long."`
	AccessSettings     `group:"Access and secrets" about:"A secret is named by its name or ARN in Secrets Manager, or by file:PATH. See [credentials.md](credentials.md)."`
	DatabaseSettings   `group:"Database" about:"Without GATEWAY_DB_SECRET_ID the gateway keeps its data in SQLite, in the data directory. A member of the secret takes precedence over the setting of the same meaning."`
	PredictionSettings `group:"Predictions" about:"Limits of requests, and what protects the gateway from overload."`
	LedgerSettings     `group:"Ledger and outbox" about:"How predictions are recorded. They wait in the outbox, on local disk, until the database has them."`
	RenewalSettings    `group:"Renewals" about:"When a new model is trained, from what, and when it may replace the one that serves. See [lifecycle.md](lifecycle.md)."`
	SageMakerSettings  `group:"SageMaker" about:"Read with GATEWAY_PLATFORM=sagemaker only. Region, credentials and addresses of AWS come from the variables of its SDK. See [sagemaker.md](sagemaker.md)."`
	LambdaSettings     `group:"Lambda" about:"Read where the gateway runs as a function of AWS Lambda. See [install.md](install.md#lambda)."`
	LogSettings        `group:"Logs" about:"Traces go to the collector that OpenTelemetry's own variables name, such as OTEL_EXPORTER_OTLP_ENDPOINT."`
}

// BasicSettings are what a newcomer sets first.
type BasicSettings struct {
	Platform string `default:"local" desc:"local: models are trained and served in this process; sagemaker: by Amazon SageMaker"`
	DataDir  string `split_words:"true" default:"./gateway-data" desc:"directory of all local state"`
	Schema   string `desc:"path of the feature schema; empty: schema.yaml in the data dir, which gateway init writes, or, without that, the built-in schema of bank customers"`
	Demo     bool   `default:"true" desc:"fill an empty customer store with generated customers and train a first model; with sagemaker the default is false"`
}

// ListenerSettings are about connections.
type ListenerSettings struct {
	Addr           string        `default:"127.0.0.1:8080" desc:"address of the public listener, host:port"`
	AdminAddr      string        `split_words:"true" desc:"address of a second listener for /admin and /metrics; empty: they are on the public listener"`
	MaxConnections int           `split_words:"true" default:"0" min:"0" desc:"maximum number of open connections of a listener; a further one gets a 503 and is closed. 0: 16384, or less where memory is limited: one for each 32 KiB of an eighth of the limit. One address may have half of them, a proxy all of them. 512 of the process's file descriptors stay free"`
	TrustedProxies List          `split_words:"true" desc:"addresses and networks of proxies, such as 10.0.0.0/8, separated by commas. The client's address is taken from their X-Forwarded-For; empty: it is that of the connection"`
	CORSOrigins    Origins       `split_words:"true" desc:"web origins that may call the gateway, separated by commas; empty: none"`
	ReadTimeout    time.Duration `split_words:"true" default:"10s" more:"0s" desc:"maximum time for the header and body of a request to arrive; streams are bounded by GATEWAY_STREAM_MIN_RATE"`
	WriteTimeout   time.Duration `split_words:"true" default:"10s" more:"0s" desc:"maximum time for a client to read a response that is ready"`
	IdleTimeout    time.Duration `split_words:"true" default:"2m" more:"0s" desc:"maximum time that a connection is kept open without a request"`
	ShutdownGrace  time.Duration `split_words:"true" default:"20s" more:"0s" desc:"maximum time for requests to end after SIGTERM"`
}

// AccessSettings are about tokens and keys.
type AccessSettings struct {
	AdminSecretID   string        `split_words:"true" desc:"secret with the tokens of operators: {\"tokens\": {\"name\": \"token\"}} or {\"tokens\": [\"token\"]}; empty: a token is generated in the data directory, in admin-token"`
	APIKeysSecretID string        `split_words:"true" desc:"secret with the API keys of apps: {\"keys\": {\"name\": \"key\"}}; empty: apps need no key"`
	APIKeyRate      float64       `split_words:"true" default:"0" min:"0" max:"1000000" desc:"maximum requests per second of each API key, which is also the largest burst; 0: no maximum"`
	SecretTTL       time.Duration `split_words:"true" default:"5m" more:"0s" desc:"time after which a secret is fetched again"`
	SecretGrace     time.Duration `split_words:"true" default:"2h" min:"0s" desc:"time after a rotation during which tokens and keys of the previous version remain valid"`
}

// DatabaseSettings are about the database that gateways share.
type DatabaseSettings struct {
	DBSecretID    string `split_words:"true" desc:"secret of a PostgreSQL database: engine (postgres), host, port, username, password, dbname, sslmode; empty: SQLite in the data directory"`
	DBHost        string `split_words:"true" desc:"host or host:port of the database if the secret has none, as that of a master user managed by RDS"`
	DBName        string `split_words:"true" desc:"name of the database if the secret has none; empty: postgres"`
	DBSslmode     string `split_words:"true" desc:"sslmode of libpq if the secret has none; empty: disable for a server on this machine, else verify-full"`
	DBSslrootcert string `split_words:"true" desc:"PEM file of the certificate authorities to trust if the secret has none, or if its sslrootcert is rds; empty: those of the system"`
	DBRequireAuth string `split_words:"true" desc:"require_auth of libpq if the secret has none: the authentication methods that are accepted; empty: scram-sha-256, for a server on this machine also none"`
}

// PredictionSettings bound what apps may ask.
type PredictionSettings struct {
	EndpointName       string        `split_words:"true" default:"ServiceEndpoint" desc:"name of the SageMaker endpoint, and of the path /endpoints/NAME/invocations"`
	PredictTimeout     time.Duration `split_words:"true" default:"2s" more:"0s" desc:"maximum time of a prediction; a caller may ask for less in X-Request-Timeout"`
	MaxBody            Bytes         `split_words:"true" default:"1MiB" min:"1" desc:"maximum size of a JSON body"`
	Limit              LimitConfig
	MaxStreams         int           `split_words:"true" default:"128" min:"1" desc:"maximum number of open streams (CSV and NDJSON to /predict/batch); one caller (API key, else address) may have half of them"`
	StreamMinRate      Bytes         `split_words:"true" default:"256" min:"1" desc:"minimum bytes per second of a stream's body, averaged over its time, with pauses of up to 30 s; a slower stream is ended"`
	SpoolMaxSize       Bytes         `split_words:"true" default:"1GiB" min:"1" desc:"maximum size of the streamed responses that wait on local disk to be read; one caller may use half of it, and the outbox keeps its space"`
	IdempotencyTTL     time.Duration `split_words:"true" default:"24h" min:"1m" desc:"time for which a request with an Idempotency-Key gets the stored response when it is repeated"`
	IdempotencyMaxSize Bytes         `split_words:"true" default:"512MiB" min:"1MiB" desc:"maximum size of the stored responses in the database; one caller may use half of it. The oldest are removed first, at the earliest after ten minutes"`
}

// LimitConfig bounds how many requests are handled at once.
type LimitConfig struct {
	Min int `default:"256" min:"1" desc:"minimum of the adaptive concurrency limit; a large body counts as several requests"`
	Max int `default:"1024" min:"1" desc:"maximum of the adaptive concurrency limit; a request beyond the limit gets a 503"`
}

// LedgerSettings are about the record of predictions.
type LedgerSettings struct {
	Ledger LedgerConfig
	Outbox OutboxConfig
}

// What the ledger has of personal features.
const (
	ledgerOmit = "omit"
	LedgerHash = "hash"
)

// LedgerConfig is what the ledger keeps, and for how long.
type LedgerConfig struct {
	Personal    string `default:"omit" desc:"how the ledger keeps features that the schema marks personal: omit, or hash (HMAC-SHA-256)"`
	KeySecretID string `split_words:"true" desc:"file:PATH of the key for hash, at least 32 bytes; empty: a key is generated in the data directory"`
	Retention   Age    `default:"0" min:"0" desc:"time for which predictions are kept, such as 90d or 36h; 0: no limit"`
}

// OutboxConfig is where predictions wait for the database.
type OutboxConfig struct {
	MaxSize Bytes  `split_words:"true" default:"1GiB" min:"1MiB" desc:"maximum size of the outbox"`
	Policy  string `default:"drop-oldest" desc:"what happens when the outbox is full: drop-oldest removes the oldest predictions, so that they miss in the ledger; refuse answers 503"`
	Sync    string `default:"interval" desc:"interval: a prediction is written before its response and flushed once a second, so it survives the end of the process but not of the machine; always: it is flushed before its response; database: it is in the database before its response and never on disk, and a prediction that the database does not take gets a 503"`
}

// What models learn from.
const (
	learnFromAll   = "all"
	LearnFromKnown = "known"
)

// RenewalSettings are about training and the swap of models.
type RenewalSettings struct {
	Retrain        RetrainConfig
	Training       TrainingConfig
	LearnFrom      string `split_words:"true" default:"all" desc:"customers that models learn from: all, or known, which leaves out those that only predictions and outcomes of apps have made"`
	Outcome        OutcomeConfig
	Gate           string  `default:"auc:-0.005" desc:"metric by which the challenger is compared with the champion (auc, log_loss, accuracy or f1) and the minimum gain; off: every challenger passes"`
	VerifyMaxShift float64 `split_words:"true" default:"0.5" min:"0" desc:"maximum change of the mean score of recent requests at a swap, as a share of the mean; beyond it the renewal rolls back. 0: no maximum"`
	KeepModels     int     `split_words:"true" default:"5" min:"1" max:"10000" desc:"number of former models that are kept for a rollback"`
}

// OutcomeConfig is what outcomes count for.
type OutcomeConfig struct {
	Maturity  string `desc:"age, such as 14d or 36h, from which a prediction counts in its model's quality; empty: it is learned from the time that outcomes take"`
	Default   string `desc:"label that a mature prediction without an outcome counts as in its model's quality, for apps that report one label alone; empty: it is left out"`
	Probation Age    `default:"30d" min:"0" desc:"age, such as 30d, at which an outcome counts like an imported label: models are judged by it, and it no longer counts towards the caps of one caller and one hour; 0: never"`
}

// RetrainConfig is what starts renewals besides operators.
type RetrainConfig struct {
	Schedule string `desc:"cron expression in UTC at which a renewal starts, such as 30 2 * * 1 for Mondays at 02:30; empty: none"`
	Outcomes int64  `default:"0" min:"0" desc:"number of new outcomes at which a renewal starts; 0: none"`
	Drift    bool   `desc:"start a renewal when what the model is asked has drifted from its training data"`
	Quality  string `desc:"figure of the serving model over mature predictions and its limit, such as auc:0.85: a renewal starts when the figure is worse; empty: none"`
}

// TrainingConfig is what a renewal trains with unless its overrides differ.
type TrainingConfig struct {
	Algorithm       string            `desc:"linear-learner (logistic regression) or xgboost (gradient boosting); with local also auto, which chooses between them and their blend by cross-validation; with sagemaker also custom, with an image; empty: auto with local, linear-learner with sagemaker"`
	Hyperparameters map[string]string `desc:"hyperparameters by the names of SageMaker's algorithm, such as wd:0.001,l1:0"`
	MaxRuntime      time.Duration     `split_words:"true" default:"1h" more:"0s" desc:"maximum time of a training job"`
	Image           string            `desc:"sagemaker: image of the algorithm; empty: SageMaker's own image in the region"`
	InstanceType    string            `split_words:"true" default:"ml.m5.large" desc:"sagemaker: instance type of a training job"`
	InstanceCount   int               `split_words:"true" default:"1" min:"1" max:"10000" desc:"sagemaker: number of instances of a training job"`
	VolumeGB        int               `split_words:"true" default:"10" min:"1" max:"10000" desc:"sagemaker: disk of each instance in GB"`
	Spot            bool              `desc:"sagemaker: train on spot instances, which cost less and may be interrupted"`
}

// Which routes a function answers.
const (
	RoutesOfApps      = "apps"
	RoutesOfOperators = "operators"
	RoutesOfAll       = "all"
)

// LambdaSettings are those of a function.
type LambdaSettings struct {
	LambdaRoutes string `split_words:"true" default:"apps" desc:"routes that the function answers: apps; operators (/admin, /metrics, /console), for a function that operators alone may invoke; or all"`
}

// LogSettings are about the log.
type LogSettings struct {
	LogFormat string `split_words:"true" desc:"text or json; empty: text on a terminal, else json"`
	LogLevel  string `split_words:"true" default:"info" desc:"debug, info, warn or error"`
}
