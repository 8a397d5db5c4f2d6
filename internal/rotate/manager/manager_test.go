package manager

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"gateway/internal/rotate"
	"gateway/internal/sandbox"
	"gateway/internal/secrets"
)

func newManager(t *testing.T, members string) *Manager {
	t.Helper()
	server := httptest.NewServer(sandbox.NewSecretsManager())
	t.Cleanup(server.Close)
	m := New(aws.Config{Region: sandbox.Region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-real-key", "")})
	_, err := m.secretsmanager.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("app"), SecretString: &members,
		ClientRequestToken: aws.String(rotate.NewToken())})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Two rotations by hand that begin at once: a password may be in the server already when the
// second one begins, so its version must stay the pending one.
func TestOfTwoRotationsThatBeginAtOnceOneIsRefused(t *testing.T) {
	m := newManager(t, `{}`)
	ctx := t.Context()
	first := rotate.Version{Token: rotate.NewToken(), Begins: true}
	second := rotate.Version{Token: rotate.NewToken(), Begins: true}
	if err := m.Put(ctx, "app", first, secrets.New("first")); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(ctx, "app", second, secrets.New("second")); !errors.Is(err, rotate.ErrUnderWay) {
		t.Errorf("the second one: got %v", err)
	}
	value, err := m.Get(ctx, "app", first.Token, rotate.Pending)
	if err != nil || value.Reveal() != "first" {
		t.Errorf("the pending version is %s, %v", value.Reveal(), err)
	}
	// After the end of the first, a third one takes over the label that it left.
	d, err := m.Describe(ctx, "app")
	if err != nil {
		t.Fatal(err)
	}
	for version, labels := range d.Labels {
		if strings.Join(labels, "") == rotate.Current {
			err = m.Promote(ctx, "app", first.Token, version)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	third := rotate.Version{Token: rotate.NewToken(), Begins: true, Before: first.Token}
	if err := m.Put(ctx, "app", third, secrets.New("third")); err != nil {
		t.Errorf("the third one: %v", err)
	}
	// The same again, as after a lost answer.
	if err := m.Put(ctx, "app", third, secrets.New("third")); err != nil {
		t.Errorf("the third one again: %v", err)
	}
	if err := m.Put(ctx, "app", third, secrets.New("other")); !errors.Is(err, rotate.ErrOtherValue) {
		t.Errorf("another value: got %v", err)
	}
}

func TestSecretsManagerOutOfReachIsNamed(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	m := New(aws.Config{Region: sandbox.Region, BaseEndpoint: &closed.URL, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-real-key", "")})
	_, err := m.Describe(context.Background(), "app")
	if err == nil || !strings.Contains(err.Error(), "needs an endpoint") || errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
