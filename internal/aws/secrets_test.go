package aws_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gateway/internal/aws"
	"gateway/internal/sandbox"
	"gateway/internal/secrets"
	"gateway/internal/secrets/secretstest"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// configAt is a configuration for a service at a URL.
func configAt(url string) sdk.Config {
	return sdk.Config{Region: "eu-central-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", "")}
}

// manager is a Secrets Manager, ours or moto's.
type manager struct {
	t      *testing.T
	cfg    sdk.Config
	client *secretsmanager.Client
	count  int
}

func newManager(t *testing.T, url string) *manager {
	cfg := configAt(url)
	return &manager{t: t, cfg: cfg, client: secretsmanager.NewFromConfig(cfg)}
}

func standIn(t *testing.T) (*sandbox.SecretsManager, *manager) {
	stand := sandbox.NewSecretsManager()
	server := httptest.NewServer(stand)
	t.Cleanup(server.Close)
	return stand, newManager(t, server.URL)
}

func (m *manager) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// token is a new one for a version.
func (m *manager) token() *string {
	m.count++
	return sdk.String(fmt.Sprintf("%032d", m.count))
}

// put makes a value a version of a secret, made first where there is none.
func (m *manager) put(name, value string, stages ...string) {
	m.t.Helper()
	_, err := m.client.CreateSecret(m.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, ClientRequestToken: m.token()})
	var exists *types.ResourceExistsException
	if err != nil && !errors.As(err, &exists) {
		m.t.Fatal(err)
	}
	in := &secretsmanager.PutSecretValueInput{SecretId: &name, ClientRequestToken: m.token(), VersionStages: stages}
	if strings.ContainsRune(value, 0) {
		in.SecretBinary = []byte(value)
	} else {
		in.SecretString = &value
	}
	_, err = m.client.PutSecretValue(m.t.Context(), in)
	m.must(err)
}

// kit is for the suite.
func (m *manager) kit(name string) secretstest.Kit {
	return secretstest.Kit{
		Source: aws.NewSecrets(m.cfg), ID: name, Missing: name + "-nosuch",
		Put:  func(value string) { m.put(name, value) },
		Pend: func(value string) { m.put(name, value, "AWSPENDING") },
		Remove: func() {
			_, err := m.client.DeleteSecret(m.t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &name})
			m.must(err)
		},
	}
}

func TestSecretsManagerIsASource(t *testing.T) {
	secretstest.TestSource(t, func(t *testing.T) secretstest.Kit {
		stand, m := standIn(t)
		t.Cleanup(func() {
			if all, withoutLabel := stand.Reads(); withoutLabel != 0 {
				t.Errorf("%d of %d reads named no label", withoutLabel, all)
			}
		})
		return m.kit("gateway/db")
	})
}

// TestMotoIsASourceToo runs where moto's server is installed.
func TestMotoIsASourceToo(t *testing.T) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'); our own stand-in serves the other tests")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	server := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get("http://" + address + "/moto-api/data.json")
		if err == nil {
			_ = res.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto_server did not start: %v", err)
		}
	}
	count := 0
	secretstest.TestSource(t, func(t *testing.T) secretstest.Kit {
		count++
		return newManager(t, "http://"+address).kit(fmt.Sprint("secret-", count))
	})
}

func TestFaultsOfSecretsManagerAreClassified(t *testing.T) {
	stand, m := standIn(t)
	m.put("db", "a-value")
	source := aws.NewSecrets(m.cfg)
	for fault, want := range map[sandbox.SecretsFault]struct {
		final error
		text  string
		reads int
	}{
		sandbox.SecretsThrottle: {nil, "ThrottlingException", 3},
		sandbox.SecretsFail:     {nil, "InternalServiceError", 3},
		sandbox.SecretsDown:     {nil, "EOF", 3},
		sandbox.SecretsGarbage:  {nil, "deserialization", 1},
		sandbox.SecretsEmpty:    {nil, "no secret", 1},
		sandbox.SecretsSlow:     {nil, "deadline", 1},
		sandbox.SecretsDeny:     {secrets.ErrRefused, "AccessDenied", 1},
	} {
		t.Run(string(fault), func(t *testing.T) {
			stand.Fault(fault)
			defer stand.Fault(sandbox.SecretsWork)
			before, _ := stand.Reads()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			if fault == sandbox.SecretsSlow {
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			defer cancel()
			_, err := source.Get(ctx, "db", secrets.Current)
			if err == nil || !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "a-value") {
				t.Errorf("got %v, want an error of %s", err, want.text)
			}
			if final := errors.Is(err, secrets.ErrRefused) || errors.Is(err, secrets.ErrNotFound); final != (want.final != nil) {
				t.Errorf("%v: final is %v, want %v", err, final, want.final != nil)
			}
			if after, _ := stand.Reads(); after-before != want.reads {
				t.Errorf("%d attempts were made, want %d", after-before, want.reads)
			}
		})
	}
	kit := m.kit("db")
	kit.Remove()
	if _, err := source.Get(t.Context(), "db", secrets.Current); !errors.Is(err, secrets.ErrRefused) || !strings.Contains(err.Error(), "marked for deletion") {
		t.Errorf("a secret that is to be deleted gives %v, want ErrRefused", err)
	}
	m.put("failed", "one")
	_, err := m.client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: sdk.String("empty")})
	m.must(err)
	if _, err := source.Get(t.Context(), "empty", secrets.Current); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("a secret without a value gives %v, want ErrNotFound", err)
	}
}

func TestAnARNIsReadInItsOwnRegion(t *testing.T) {
	stand, m := standIn(t)
	m.put("db", "a-value")
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf"
	var scope string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope = r.Header.Get("Authorization")
		stand.ServeHTTP(w, r)
	}))
	defer server.Close()
	for _, region := range []string{"us-east-1", ""} {
		cfg := configAt(server.URL)
		cfg.Region = region
		v, err := aws.NewSecrets(cfg).Get(t.Context(), arn, secrets.Current)
		if err != nil || v.Value.Reveal() != "a-value" || !strings.Contains(scope, "/eu-central-1/secretsmanager/") {
			t.Errorf("from region %q: got %v (%v), signed %s", region, v.ID, err, scope)
		}
	}
	cfg := configAt(server.URL)
	cfg.Region = ""
	if _, err := aws.NewSecrets(cfg).Get(t.Context(), "db", secrets.Current); !errors.Is(err, secrets.ErrRefused) || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: got %v, want an error that names AWS_REGION", err)
	}
}

func TestTheSDKsSettingsAreMinded(t *testing.T) {
	stand, m := standIn(t)
	m.put("db", "a-value")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", *m.cfg.BaseEndpoint)
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	source, err := aws.OpenSecrets(t.Context())
	m.must(err)
	v, err := source.Get(t.Context(), "db", secrets.Current)
	if err != nil || v.Value.Reveal() != "a-value" {
		t.Errorf("got %v (%v)", v.ID, err)
	}
	stand.Fault(sandbox.SecretsThrottle)
	before, _ := stand.Reads()
	if _, err := source.Get(t.Context(), "db", secrets.Current); err == nil {
		t.Error("a throttled read succeeded")
	}
	if after, _ := stand.Reads(); after-before != 3 {
		t.Errorf("%d attempts were made, want 3", after-before)
	}
}
