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
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// Clients are the clients of the services. Predictions have a connection pool
// and a retry budget of their own, so that a renewal, whose calls are slow and
// may be throttled, takes nothing from them.
type Clients struct {
	sagemaker *sagemaker.Client
	runtime   *invoker
	dynamodb  *dynamodb.Client
	s3        *s3.Client
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
		config.WithAPIOptions([]func(*middleware.Stack) error{boundAnswers(maxServiceAnswer)}), // of credentials, too
		// Given here, it wins over AWS_RETRY_MODE: the adaptive mode makes
		// callers wait for a quota that it guesses.
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
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) {
			// A host of its own per bucket needs DNS that a stand-in lacks.
			o.UsePathStyle = cfg.BaseEndpoint != nil || o.BaseEndpoint != nil
			o.DisableLogOutputChecksumValidationSkipped = true // objects of others have none
		}),
		region: cfg.Region,
	}, nil
}

// sdkLog takes what the SDK has to say.
type sdkLog struct{ log *slog.Logger }

// Logf implements logging.Logger.
func (l sdkLog) Logf(class logging.Classification, format string, args ...any) {
	level := slog.LevelDebug
	if class == logging.Warn {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "AWS SDK: "+fmt.Sprintf(format, args...))
}

// Region is where the services are.
func (c *Clients) Region() string { return c.region }

// controlRetryer is the retry layer of everything but predictions: the SDK's
// standard one. What outlasts it is tried again by the renewal, minutes apart.
func controlRetryer() sdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 5
		o.MaxBackoff = 5 * time.Second
	})
}
