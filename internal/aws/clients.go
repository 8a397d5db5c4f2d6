package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// Clients are the clients of the services. Predictions have a connection pool and a
// retry budget of their own. The calls of a renewal, which are slow and may be
// throttled, use neither.
type Clients struct {
	sagemaker *sagemaker.Client
	runtime   *invoker
	dynamodb  *dynamodb.Client
	s3        *s3.Client
	athena    *athena.Client
	region    string
}

// Connect makes the clients from the SDK's own settings: AWS_REGION, profiles,
// roles, AWS_ENDPOINT_URL and so on. It calls no service.
func Connect(ctx context.Context, log *slog.Logger) (*Clients, error) {
	control := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 32
		t.ResponseHeaderTimeout = time.Minute
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(control), config.WithLogger(sdkLog{log}),
		config.WithAPIOptions([]func(*middleware.Stack) error{boundAnswers(maxServiceAnswer)}), // including answers of credential providers
		// This overrides AWS_RETRY_MODE. The adaptive mode would delay calls by a
		// quota that it estimates.
		config.WithRetryer(controlRetryer))
	if err != nil {
		return nil, fmt.Errorf("settings of the AWS SDK: %w", err)
	}
	return newClients(cfg, log)
}

// NewClients makes the clients from a configuration of the SDK.
func NewClients(cfg sdk.Config) (*Clients, error) {
	return newClients(cfg, slog.New(slog.DiscardHandler))
}

func newClients(cfg sdk.Config, log *slog.Logger) (*Clients, error) {
	if cfg.Region == "" {
		return nil, errors.New("AWS_REGION is not set, and no profile names a region")
	}
	if cfg.Retryer == nil {
		cfg.Retryer = controlRetryer
	}
	runtime := newInvoker(cfg, log)
	cfg.APIOptions = append(slices.Clip(cfg.APIOptions), boundAnswers(maxServiceAnswer))
	return &Clients{
		sagemaker: sagemaker.NewFromConfig(cfg),
		runtime:   runtime,
		dynamodb:  dynamodb.NewFromConfig(cfg),
		athena:    athena.NewFromConfig(cfg),
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) {
			// A custom endpoint has no DNS names for buckets.
			o.UsePathStyle = cfg.BaseEndpoint != nil || o.BaseEndpoint != nil
			o.DisableLogOutputChecksumValidationSkipped = true // objects that other programs wrote have no checksum
		}),
		region: cfg.Region,
	}, nil
}

// sdkLog writes the messages of the SDK to a log.
type sdkLog struct{ log *slog.Logger }

// Logf implements logging.Logger.
func (l sdkLog) Logf(class logging.Classification, format string, args ...any) {
	level := slog.LevelDebug
	if class == logging.Warn {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "AWS SDK: "+fmt.Sprintf(format, args...))
}

// Region returns the AWS region of the services.
func (c *Clients) Region() string { return c.region }

// controlRetryer is the retry layer of all calls but predictions: the standard one of
// the SDK. The engine of renewals retries longer failures, minutes apart.
func controlRetryer() sdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 5
		o.MaxBackoff = 5 * time.Second
	})
}
