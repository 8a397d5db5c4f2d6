package gatewaytest

import (
	"net/http/httptest"
	"testing"

	"gateway/internal/sandbox"
)

// UseSandbox points gateways at the services of a sandbox that has the bucket bank.
// More settings follow, each as its name and value.
func UseSandbox(t *testing.T, s *sandbox.Server, settings ...string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": sandbox.Region, "AWS_ACCESS_KEY_ID": "AKIASTANDIN", "AWS_SECRET_ACCESS_KEY": "stand-in",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "",
		"GATEWAY_PLATFORM": "sagemaker", "GATEWAY_S3_BUCKET": "bank", "GATEWAY_S3_PREFIX": "gateway", "GATEWAY_EXECUTION_ROLE_ARN": sandbox.Role,
		"GATEWAY_RENEWAL_POLL": "20ms",
	} {
		t.Setenv(name, value)
	}
	for i := 0; i < len(settings); i += 2 {
		t.Setenv(settings[i], settings[i+1])
	}
}

// StartSandbox is a stand-in whose hours are seconds.
func StartSandbox(t *testing.T) *sandbox.Server {
	t.Helper()
	return sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(500)})
}

// StartSecretsManager is our own Secrets Manager.
func StartSecretsManager(t *testing.T) (stand *sandbox.SecretsManager, url string) {
	t.Helper()
	stand = sandbox.NewSecretsManager()
	server := httptest.NewServer(stand)
	t.Cleanup(server.Close)
	return stand, server.URL
}

// UseSecretsManager points gateways at a Secrets Manager.
func UseSecretsManager(t *testing.T, url string) {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-key")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
}
