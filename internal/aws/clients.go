package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// Clients are the clients of the services. Predictions have a connection pool
// and a retry budget of their own, so that a renewal, whose calls are slow and
// may be throttled, takes nothing from them.
type Clients struct {
	sagemaker *sagemaker.Client
	runtime   *sagemakerruntime.Client
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
		// Given here, it wins over AWS_RETRY_MODE: the adaptive mode makes
		// callers wait for a quota that it guesses.
		config.WithRetryer(controlRetryer))
	if err != nil {
		return nil, fmt.Errorf("settings of the AWS SDK: %w", err)
	}
	return NewClients(cfg)
}

// NewClients makes the clients from a configuration of the SDK.
func NewClients(cfg sdk.Config) (*Clients, error) {
	if cfg.Region == "" {
		return nil, errors.New("AWS_REGION is not set, and no profile names a region")
	}
	if cfg.Retryer == nil {
		cfg.Retryer = controlRetryer
	}
	predictions := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		// By default ten connections are kept, and a gateway with more calls
		// in flight would open new ones all the time.
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 512
		t.IdleConnTimeout = 5 * time.Minute
	})
	return &Clients{
		sagemaker: sagemaker.NewFromConfig(cfg),
		runtime: sagemakerruntime.NewFromConfig(cfg, func(o *sagemakerruntime.Options) {
			o.HTTPClient = predictions
			o.Retryer = runtimeRetryer()
		}),
		dynamodb: dynamodb.NewFromConfig(cfg),
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

// Bounds of the retries of predictions.
const (
	invokeAttempts  = 3
	firstInvokeWait = 25 * time.Millisecond
)

// runtimeRetryer is the one retry layer of predictions. It works within the
// caller's deadline, which ends its waiting. Its budget is the SDK's: 500
// tokens, 5 for a retry (10 after a time-out), and a token back for each call
// that succeeds at once; so at most a fifth of the traffic can be retries.
func runtimeRetryer() sdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = invokeAttempts
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			most := firstInvokeWait << min(attempt, 4)
			return most/2 + rand.N(most/2+1), nil
		})
		// After the SDK's own rules, which never repeat what was cancelled.
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryInvocation))
	})
}

// retryInvocation adds to the SDK's rules what is worth another try because a
// model has no memory: asking it twice does no harm.
func retryInvocation(err error) sdk.Ternary {
	var model *runtimetypes.ModelError
	var api smithy.APIError
	switch {
	case errors.As(err, &model):
		// The container failed. That it did not answer in time (0) means that it
		// is overloaded or the rows are too many: more calls make it worse.
		return sdk.BoolTernary(originalStatus(model) >= http.StatusInternalServerError)
	case errors.As(err, &api):
		switch api.ErrorCode() {
		case "ModelNotReadyException", "InternalDependencyException":
			return sdk.TrueTernary
		}
		if isThrottle(err) {
			return sdk.TrueTernary
		}
	case errors.Is(err, io.ErrUnexpectedEOF): // the answer was cut off
		return sdk.TrueTernary
	}
	return sdk.UnknownTernary
}
