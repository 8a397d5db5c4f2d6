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

// Time-outs of one attempt at Secrets Manager, which answers within a tenth of
// a second, and how many attempts a read has. Who reads has a deadline of his
// own for all of them together.
const (
	secretsConnect  = 2 * time.Second
	secretsAnswer   = 3 * time.Second
	secretsAttempts = 3
	secretsBackoff  = time.Second
)

// Secrets is the source of secrets in AWS Secrets Manager, by name or ARN.
type Secrets struct {
	client *secretsmanager.Client
	region string // may be empty where all ids are ARNs
}

var _ secrets.Source = (*Secrets)(nil)

// OpenSecrets makes the source from the SDK's own settings: region, profile,
// endpoint and credentials as AWS_… variables and files say. It makes no call.
func OpenSecrets(ctx context.Context) (*Secrets, error) {
	client := awshttp.NewBuildableClient() // of the SDK's, since that minds AWS_CA_BUNDLE
	client = client.WithTimeout(secretsConnect + secretsAnswer)
	client = client.WithDialerOptions(func(d *net.Dialer) { d.Timeout = secretsConnect })
	client = client.WithTransportOptions(func(t *http.Transport) {
		t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = secretsConnect, secretsAnswer
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client),
		config.WithAPIOptions([]func(*middleware.Stack) error{boundAnswers(maxSecretAnswer)})) // of credentials, too
	if err != nil {
		return nil, err
	}
	return NewSecrets(cfg), nil
}

// NewSecrets makes the source from a configuration.
func NewSecrets(cfg aws.Config) *Secrets {
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.APIOptions = append(o.APIOptions, boundAnswers(maxSecretAnswer))
		// The one layer of retries. The adaptive mode of AWS_RETRY_MODE is not used:
		// it would delay reads that requests wait for.
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts, s.MaxBackoff = secretsAttempts, secretsBackoff
		})
	})
	return &Secrets{client, cfg.Region}
}

// labels are what Secrets Manager calls the stages.
var labels = map[secrets.Stage]string{
	secrets.Current:  "AWSCURRENT",
	secrets.Pending:  "AWSPENDING",
	secrets.Previous: "AWSPREVIOUS",
}

// Get implements secrets.Source. The label is always sent: without it, not
// every service that speaks this protocol answers with the current version.
func (s *Secrets) Get(ctx context.Context, id string, stage secrets.Stage) (secrets.Version, error) {
	region := s.region
	if a, err := arn.Parse(id); err == nil && a.Region != "" {
		region = a.Region // where the secret is, whichever region is ours
	}
	if region == "" {
		return secrets.Version{}, fmt.Errorf("a name without a region: set AWS_REGION, give the ARN, or name a file with file:PATH (%w)", secrets.ErrRefused)
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
		return secrets.Version{}, fmt.Errorf("the %s version in Secrets Manager: the answer is no secret", stage)
	}
	return secrets.Version{ID: *out.VersionId, Created: aws.ToTime(out.CreatedDate), Value: secrets.New(value)}, nil
}

// secretError says which errors of Secrets Manager are final. All others, such
// as throttling, time-outs and answers that make no sense, may pass.
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
