package config

import (
	"fmt"
	"os"
	"regexp"
	"time"

	"gateway/internal/aws"
	"gateway/internal/modelswap"
)

// The platforms.
const (
	Local     = "local"
	SageMaker = "sagemaker"
)

// SageMakerSettings are the settings of GATEWAY_PLATFORM=sagemaker alone.
type SageMakerSettings struct {
	S3               S3Config
	CustomersTable   string `split_words:"true" desc:"DynamoDB table of customers; its key is the schema's id; empty: customers are in the database"`
	ExecutionRoleARN string `split_words:"true" desc:"role that SageMaker assumes to train and serve"`
	Transform        string `default:"inline" desc:"who converts an export to training data: inline, the gateway; athena, queries in Athena"`
	Athena           AthenaConfig
	ExportAll        bool          `split_words:"true" desc:"an export of the table has all attributes; else only those that the model is made from, so that excluded ones do not reach S3"`
	ExportFrom       string        `split_words:"true" desc:"s3:// address below which others write DynamoDB exports or Data Pipeline backups; the newest complete one is read; empty: the gateway exports the table"`
	RenewalPoll      time.Duration `split_words:"true" default:"10s" more:"0s" desc:"interval at which exports, training jobs and deployments are polled"`
	Hosting          HostingConfig
	Deploy           DeployConfig
	Model            ModelConfig
	Batch            BatchConfig
	Breaker          BreakerConfig
	Hedge            string `default:"off" desc:"when a second attempt of a slow endpoint call starts, for endpoints of several instances: off; p95, after the 95th percentile of recent calls; or a time such as 50ms. At most one call in ten has a second attempt"`
}

// AthenaConfig is where queries run.
type AthenaConfig struct {
	Workgroup string `default:"primary" desc:"workgroup of Athena that queries run in"`
	Database  string `default:"default" desc:"database of the Glue catalog in which tables are made"`
	Output    string `desc:"s3:// address of the results of questions; empty: athena/ below GATEWAY_S3_PREFIX"`
}

// S3Config is where files go.
type S3Config struct {
	Bucket string `desc:"bucket of exports, training data and models"`
	Prefix string `desc:"prefix of the keys in the bucket; empty: none"`
}

// BatchConfig bounds how requests share calls of the endpoint.
type BatchConfig struct {
	MaxRows int           `split_words:"true" default:"256" min:"1" max:"3999" desc:"maximum number of rows in one call of the endpoint; concurrent requests share calls"`
	MaxWait time.Duration `split_words:"true" default:"2ms" more:"0s" desc:"target queue wait; above it a higher concurrency is tried sooner"`
}

// BreakerConfig is when an endpoint that does not answer is left alone.
type BreakerConfig struct {
	Failures int           `default:"20" min:"1" desc:"consecutive failures of the endpoint that open the circuit breaker; a call without a response in time counts as a fifth of them"`
	Open     time.Duration `default:"500ms" more:"0s" desc:"time after which an open circuit breaker lets two trial calls through"`
}

// HostingConfig is what models serve on.
type HostingConfig struct {
	InstanceType  string `split_words:"true" default:"ml.m5.large" desc:"instance type of the endpoint"`
	InstanceCount int    `split_words:"true" default:"1" min:"1" max:"10000" desc:"initial number of instances of the endpoint; a deployment keeps what autoscaling has set"`
}

// DeployConfig is how a new model takes over.
type DeployConfig struct {
	Strategy string `default:"all-at-once" desc:"deployment strategy: all-at-once, canary, linear or rolling"`
	Alarms   List   `desc:"CloudWatch alarms that make SageMaker roll a deployment back, separated by commas, at most ten"`
}

// ModelConfig is how a custom model is called.
type ModelConfig struct {
	ContentType string `split_words:"true" desc:"media type of the rows for a custom model; empty: text/csv"`
	Accept      string `desc:"media type of a custom model's responses; empty: application/json, or text/csv for SageMaker's XGBoost"`
}

// HedgeAfter reads the setting: whether to hedge, and after how long; zero means p95.
func (c *SageMakerSettings) HedgeAfter() (on bool, after time.Duration, err error) {
	switch c.Hedge {
	case "", "off":
		return false, 0, nil
	case "p95":
		return true, 0, nil
	}
	after, err = time.ParseDuration(c.Hedge)
	if err != nil || after <= 0 {
		return false, 0, fmt.Errorf("%q must be off, p95 or a time such as 50ms", c.Hedge)
	}
	return true, after, nil
}

var (
	roleARN      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@/-]+$`)
	instanceType = regexp.MustCompile(`^ml\.[a-z0-9-]+\.[a-z0-9-]+$`)
)

// The values of Transform.
const (
	TransformInline = "inline"
	TransformAthena = "athena"
)

var (
	workgroupName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,128}$`)
	databaseName  = regexp.MustCompile(`^[a-z0-9_]{1,255}$`)
	s3Address     = regexp.MustCompile(`^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$`)
)

// validateAthena checks who converts exports, and the settings of queries.
func (c *Config) validateAthena(fault func(name, format string, args ...any)) {
	if c.Transform != TransformInline && c.Transform != TransformAthena {
		fault("TRANSFORM", "%q must be inline or athena", c.Transform)
	}
	if !workgroupName.MatchString(c.Athena.Workgroup) {
		fault("ATHENA_WORKGROUP", "%q is not the name of a workgroup: letters, digits, '.', '_' and '-'", c.Athena.Workgroup)
	}
	if !databaseName.MatchString(c.Athena.Database) {
		fault("ATHENA_DATABASE", "%q is not the name of a database: small letters, digits and '_'", c.Athena.Database)
	}
	if c.Athena.Output != "" && !s3Address.MatchString(c.Athena.Output) {
		fault("ATHENA_OUTPUT", "%q is not an address such as s3://bucket/prefix/", c.Athena.Output)
	}
}

// validateSageMaker checks what only this platform reads.
func (c *Config) validateSageMaker(fault func(name, format string, args ...any)) {
	if c.S3.Bucket == "" {
		fault("S3_BUCKET", "must name a bucket where GATEWAY_PLATFORM is sagemaker")
	}
	if !roleARN.MatchString(c.ExecutionRoleARN) {
		fault("EXECUTION_ROLE_ARN", "%q is not the ARN of a role, such as arn:aws:iam::123456789012:role/gateway-execution", c.ExecutionRoleARN)
	}
	for name, text := range map[string]string{"TRAINING_INSTANCE_TYPE": c.Training.InstanceType, "HOSTING_INSTANCE_TYPE": c.Hosting.InstanceType} {
		if !instanceType.MatchString(text) {
			fault(name, "%q is not a type of machine such as ml.m5.large", text)
		}
	}
	if err := aws.Strategy(c.Deploy.Strategy).Check(c.Hosting.InstanceCount); err != nil {
		fault("DEPLOY_STRATEGY", "%v", err)
	}
	if len(c.Deploy.Alarms) > 10 {
		fault("DEPLOY_ALARMS", "names %d alarms; SageMaker takes ten", len(c.Deploy.Alarms))
	}
	if c.Training.Algorithm == modelswap.CustomAlgorithm && c.Training.Image == "" {
		fault("TRAINING_IMAGE", "must name the image of the custom algorithm")
	}
	c.validateAthena(fault)
	if _, _, err := c.HedgeAfter(); err != nil {
		fault("HEDGE", "%v", err)
	}
	// Models on SageMaker cost money, so the demo must be asked for.
	if os.Getenv(Prefix+"_DEMO") == "" {
		c.Demo = false
	}
	if c.Demo && c.CustomersTable != "" {
		fault("DEMO", "generated customers do not go into the table that GATEWAY_CUSTOMERS_TABLE names")
	}
	if c.ExportFrom != "" && c.CustomersTable == "" {
		fault("EXPORT_FROM", "is for customers in a table; GATEWAY_CUSTOMERS_TABLE names none")
	}
}
