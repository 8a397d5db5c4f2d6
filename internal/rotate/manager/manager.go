// Package manager is the store of rotations in AWS Secrets Manager.
package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"gateway/internal/rotate"
	"gateway/internal/secrets"
)

// Limits of one call.
const (
	connectTime = 2 * time.Second
	answerTime  = 5 * time.Second
	attempts    = 5
	maxBackoff  = 2 * time.Second
)

// Manager implements rotate.Store. The id of a secret is its name or ARN.
type Manager struct {
	secretsmanager *secretsmanager.Client
	region         string // may be empty if all ids are ARNs
}

var _ rotate.Store = (*Manager)(nil)

// Open makes the store from the settings of the SDK: region, profile, endpoint and
// credentials from AWS_… variables and files. It makes no call.
func Open(ctx context.Context) (*Manager, error) {
	client := awshttp.NewBuildableClient(). // this client supports AWS_CA_BUNDLE
						WithTimeout(connectTime + answerTime).
						WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTime }).
						WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = connectTime })
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return nil, err
	}
	return New(cfg), nil
}

// New makes the store from a configuration.
func New(cfg aws.Config) *Manager {
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) { s.MaxAttempts, s.MaxBackoff = attempts, maxBackoff })
	})
	return &Manager{client, cfg.Region}
}

// in returns the option for the region of a secret, which is in its ARN.
func (m *Manager) in(id string) (func(*secretsmanager.Options), error) {
	region := m.region
	if a, err := arn.Parse(id); err == nil && a.Region != "" {
		region = a.Region
	}
	if region == "" {
		return nil, errors.New("the id is a name and no region is set: set AWS_REGION, or use the ARN")
	}
	return func(o *secretsmanager.Options) { o.Region = region }, nil
}

// Describe implements rotate.Store.
func (m *Manager) Describe(ctx context.Context, id string) (rotate.Description, error) {
	in, err := m.in(id)
	if err != nil {
		return rotate.Description{}, err
	}
	out, err := m.secretsmanager.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id}, in)
	if err != nil {
		return rotate.Description{}, marked(err)
	}
	return rotate.Description{Rotates: aws.ToBool(out.RotationEnabled), Labels: out.VersionIdsToStages}, nil
}

// Get implements rotate.Store.
func (m *Manager) Get(ctx context.Context, id, version, label string) (secrets.Secret, error) {
	in, err := m.in(id)
	if err != nil {
		return secrets.Secret{}, err
	}
	input := &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &label}
	if version != "" {
		input.VersionId = &version
	}
	out, err := m.secretsmanager.GetSecretValue(ctx, input, in)
	switch {
	case err != nil:
		return secrets.Secret{}, fmt.Errorf("the version %s: %w", label, marked(err))
	case out.SecretString != nil:
		return secrets.New(*out.SecretString), nil
	case out.SecretBinary != nil:
		return secrets.New(string(out.SecretBinary)), nil
	}
	return secrets.Secret{}, fmt.Errorf("the version %s: the answer contains no secret", label)
}

// Put implements rotate.Store.
func (m *Manager) Put(ctx context.Context, id string, version rotate.Version, value secrets.Secret) error {
	in, err := m.in(id)
	if err != nil {
		return err
	}
	label := rotate.Pending
	if version.Begins {
		label = beginning
	}
	input := &secretsmanager.PutSecretValueInput{SecretId: &id, ClientRequestToken: &version.Token,
		SecretString: aws.String(value.Reveal()), VersionStages: []string{label}}
	if version.Proof != "" {
		input.RotationToken = &version.Proof
	}
	_, err = m.secretsmanager.PutSecretValue(ctx, input, in)
	var exists *types.ResourceExistsException
	if errors.As(err, &exists) {
		return fmt.Errorf("%w (%w)", err, rotate.ErrOtherValue)
	}
	if err != nil || !version.Begins {
		return marked(err)
	}
	return m.begin(ctx, id, version, in)
}

// beginning is the staging label of a version that begins a rotation by hand. It stays at the
// last one.
const beginning = "gateway-rotate"

// begin labels a version as pending unless another version than before got the label
// meanwhile. PutSecretValue alone would take the label away from that version, whose password
// the server may have already.
func (m *Manager) begin(ctx context.Context, id string, version rotate.Version, in func(*secretsmanager.Options)) error {
	input := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: aws.String(rotate.Pending), MoveToVersionId: &version.Token}
	if version.Before != "" {
		input.RemoveFromVersionId = &version.Before
	}
	_, err := m.secretsmanager.UpdateSecretVersionStage(ctx, input, in)
	var taken *types.InvalidParameterException
	if errors.As(err, &taken) {
		return fmt.Errorf("%w (%w)", rotate.ErrUnderWay, err)
	}
	return marked(err)
}

// Promote implements rotate.Store.
func (m *Manager) Promote(ctx context.Context, id, to, from string) error {
	in, err := m.in(id)
	if err != nil {
		return err
	}
	input := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: aws.String(rotate.Current), MoveToVersionId: &to}
	if from != "" {
		input.RemoveFromVersionId = &from
	}
	_, err = m.secretsmanager.UpdateSecretVersionStage(ctx, input, in)
	return marked(err)
}

// marked marks the errors of secrets and versions that do not exist. A version that has a
// label and no value yet is one of them.
func marked(err error) error {
	var missing *types.ResourceNotFoundException
	var network net.Error
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%w (%w)", err, secrets.ErrNotFound)
	case errors.As(err, &network):
		return fmt.Errorf("no connection to Secrets Manager; in a VPC the function needs an endpoint or a NAT gateway: %w", err)
	}
	return err
}
