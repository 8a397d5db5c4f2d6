package main

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
	onThisMachine = "local"
	onSageMaker   = "sagemaker"
)

// SageMakerConfig are the settings of GATEWAY_PLATFORM=sagemaker alone. Where
// the services are and who asks them, the SDK's own variables say.
type SageMakerConfig struct {
	CustomersTable   string `split_words:"true" desc:"sagemaker: DynamoDB table of customers, its key the schema's id; empty: the database"`
	S3               S3Config
	ExecutionRoleARN string `split_words:"true" desc:"sagemaker: role that SageMaker takes on to train and serve"`
	Hosting          HostingConfig
	Deploy           DeployConfig
	Transform        string `default:"inline" desc:"sagemaker: who converts the export: inline, the gateway"`
	ExportFrom       string `split_words:"true" desc:"sagemaker: s3:// address below which others put exports of DynamoDB or backups of Data Pipeline, the newest of which is read; empty: the gateway exports"`
	Model            ModelConfig
	Batch            BatchConfig
	Breaker          BreakerConfig
	Hedge            string        `default:"off" desc:"sagemaker: when a call of the endpoint is made a second time because the first takes long, for endpoints of several instances: off, p95 (longer than all but a twentieth of recent calls) or a time such as 50ms; at most one call in ten"`
	RenewalPoll      time.Duration `split_words:"true" default:"10s" more:"0s" desc:"sagemaker: how often to look at exports, training and deployments"`
}

// S3Config is where files go.
type S3Config struct {
	Bucket string `desc:"sagemaker: bucket of exports, training data and models"`
	Prefix string `desc:"sagemaker: folder in the bucket; empty: its root"`
}

// BatchConfig bounds how requests share calls of the endpoint.
type BatchConfig struct {
	MaxRows int           `split_words:"true" default:"256" min:"1" max:"3999" desc:"sagemaker: most rows of concurrent requests that share a call of the endpoint"`
	MaxWait time.Duration `split_words:"true" default:"2ms" more:"0s" desc:"sagemaker: how long requests may wait for a free call, on average, before one call more at once is tried"`
}

// BreakerConfig is when an endpoint that does not answer is left alone.
type BreakerConfig struct {
	Failures int           `default:"20" min:"1" desc:"sagemaker: failures of the endpoint in a row after which it is not asked for a while; a call without an answer in time counts for a fifth of them"`
	Open     time.Duration `default:"500ms" more:"0s" desc:"sagemaker: how long it is not asked, before two calls find out whether it answers again"`
}

// HostingConfig is what models serve on.
type HostingConfig struct {
	InstanceType  string `split_words:"true" default:"ml.m5.large" desc:"sagemaker: machine to serve on"`
	InstanceCount int    `split_words:"true" default:"1" min:"1" max:"10000" desc:"sagemaker: how many of them at first; later what autoscaling made of it stays"`
}

// DeployConfig is how a new model takes over.
type DeployConfig struct {
	Strategy string `default:"all-at-once" desc:"sagemaker: all-at-once, canary, linear or rolling"`
	Alarms   List   `desc:"sagemaker: CloudWatch alarms that make SageMaker take a deployment back, separated by commas"`
}

// ModelConfig is how a model of one's own is spoken to.
type ModelConfig struct {
	ContentType string `split_words:"true" desc:"sagemaker: media type of the rows for a custom model; empty: text/csv"`
	Accept      string `desc:"sagemaker: media type of a custom model's answers; empty: application/json, or text/csv where XGBoost serves"`
}

// hedge reads the setting: whether to hedge, and after how long; zero means p95.
func (c *SageMakerConfig) hedge() (on bool, after time.Duration, err error) {
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
	if c.Transform != "inline" {
		fault("TRANSFORM", "%q must be inline", c.Transform)
	}
	if _, _, err := c.hedge(); err != nil {
		fault("HEDGE", "%v", err)
	}
	// Its models cost money, so nobody gets them by not having set a variable.
	if os.Getenv(envPrefix+"_DEMO") == "" {
		c.Demo = false
	}
	if c.Demo && c.CustomersTable != "" {
		fault("DEMO", "generated customers do not go into the table that GATEWAY_CUSTOMERS_TABLE names")
	}
	if c.ExportFrom != "" && c.CustomersTable == "" {
		fault("EXPORT_FROM", "is for customers in a table; GATEWAY_CUSTOMERS_TABLE names none")
	}
}
