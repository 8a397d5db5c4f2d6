package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"gateway/internal/secrets"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Limits of one read of Secrets Manager, which normally answers within 100 ms. The caller
// has a deadline for all attempts together.
const (
	secretsConnect  = 2 * time.Second // of one attempt
	secretsAnswer   = 3 * time.Second // of one attempt
	secretsAttempts = 3
	secretsBackoff  = time.Second // the maximum between attempts
)

// Secrets implements secrets.Source with AWS Secrets Manager. An id is a name or an ARN.
type Secrets struct {
	client *secretsmanager.Client
	region string // may be empty if all ids are ARNs
}

var _ secrets.Source = (*Secrets)(nil)

// OpenSecrets makes the source from the settings of the SDK: region, profile, endpoint and
// credentials from AWS_… variables and files. It makes no call.
func OpenSecrets(ctx context.Context) (*Secrets, error) {
	client := awshttp.NewBuildableClient() // this client supports AWS_CA_BUNDLE
	client = client.WithTimeout(secretsConnect + secretsAnswer)
	client = client.WithDialerOptions(func(d *net.Dialer) { d.Timeout = secretsConnect })
	client = client.WithTransportOptions(func(t *http.Transport) {
		t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = secretsConnect, secretsAnswer
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client),
		config.WithAPIOptions([]func(*middleware.Stack) error{boundAnswers(maxSecretAnswer)})) // including answers of credential providers
	if err != nil {
		return nil, err
	}
	return NewSecrets(cfg), nil
}

// NewSecrets makes the source from a configuration.
func NewSecrets(cfg aws.Config) *Secrets {
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.APIOptions = append(o.APIOptions, boundAnswers(maxSecretAnswer))
		// The only retry layer. It overrides AWS_RETRY_MODE, whose adaptive mode would
		// delay reads that requests wait for.
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts, s.MaxBackoff = secretsAttempts, secretsBackoff
		})
	})
	return &Secrets{client, cfg.Region}
}

// labels are the staging labels of Secrets Manager.
var labels = map[secrets.Stage]string{
	secrets.Current:  "AWSCURRENT",
	secrets.Pending:  "AWSPENDING",
	secrets.Previous: "AWSPREVIOUS",
}

// Get implements secrets.Source. It always sends the staging label, because without it some
// compatible services do not answer with the current version.
func (s *Secrets) Get(ctx context.Context, id string, stage secrets.Stage) (secrets.Version, error) {
	region := s.region
	if a, err := arn.Parse(id); err == nil && a.Region != "" {
		region = a.Region // the region of the secret, which may be another one
	}
	if region == "" {
		return secrets.Version{}, fmt.Errorf("the id is a name and no region is set: set AWS_REGION, use the ARN, or name a file with file:PATH (%w)", secrets.ErrRefused)
	}
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId: aws.String(id), VersionStage: aws.String(labels[stage])},
		func(o *secretsmanager.Options) { o.Region = region })
	if err != nil {
		return secrets.Version{}, fmt.Errorf("the %s version in Secrets Manager: %w", stage, secretError(err))
	}
	value := aws.ToString(out.SecretString)
	if out.SecretString == nil {
		value = string(out.SecretBinary)
	}
	if out.VersionId == nil || out.SecretString == nil && out.SecretBinary == nil {
		return secrets.Version{}, fmt.Errorf("the %s version in Secrets Manager: the answer contains no secret", stage)
	}
	return secrets.Version{ID: *out.VersionId, Created: aws.ToTime(out.CreatedDate), Value: secrets.New(value)}, nil
}

// secretError marks the errors of Secrets Manager that a retry cannot change. All others,
// such as throttling, time-outs and malformed answers, may be temporary.
func secretError(err error) error {
	var (
		notFound *types.ResourceNotFoundException
		request  *types.InvalidRequestException
		param    *types.InvalidParameterException
		key      *types.DecryptionFailure
		other    smithy.APIError
	)
	switch {
	case errors.As(err, &notFound):
		return fmt.Errorf("%w (%w)", err, secrets.ErrNotFound)
	case errors.As(err, &request), errors.As(err, &param), errors.As(err, &key):
		return fmt.Errorf("%w (%w)", err, secrets.ErrRefused)
	case errors.As(err, &other):
		switch other.ErrorCode() {
		case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException",
			"InvalidClientTokenId", "IncompleteSignature", "ValidationException":
			return fmt.Errorf("%w (%w)", err, secrets.ErrRefused)
		}
	}
	return err
}
