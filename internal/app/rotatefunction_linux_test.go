package app

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"gateway/api"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
	"gateway/internal/sandbox"
	"gateway/internal/testsize"
)

var functionRotations = flag.Int("function-rotations", testsize.Of(3, 100), "how often the compiled function rotates secrets, for each strategy")

// TestRotationsByTheCompiledFunctionFailNothing lets the function of cmd/rotate, compiled as for
// Lambda, rotate the secrets of a gateway under load. The database is PostgreSQL with SCRAM
// and TLS, whose certificate is verified. No request may fail, and no prediction be lost.
func TestRotationsByTheCompiledFunctionFailNothing(t *testing.T) {
	function := compileRotate(t)
	for name, members := range map[string]map[string]any{
		"single":          {},
		"master":          {"masterarn": "boss"},
		"alternating":     {"masterarn": "boss", "owner": "app_owner"},
		"tokens and keys": nil,
	} {
		t.Run(name, func(t *testing.T) { rotateByFunction(t, function, members) })
	}
}

// compileRotate compiles the rotation function as make rotate-function does.
func compileRotate(t *testing.T) string {
	t.Helper()
	path, err := gatewaytest.BuildFunction(t.TempDir(), "gateway/cmd/rotate")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// rotateByFunction rotates the database's secret with these members; nil: the secrets of
// tokens and keys instead.
func rotateByFunction(t *testing.T, function string, members map[string]any) {
	f := newFunctionRotation(t, function)
	token, key := f.newValue(), f.newValue()
	f.create("app", f.database("app", members))
	f.create("boss", f.database("boss", nil))
	f.create("admin", map[string]any{"tokens": map[string]string{"ops": token}})
	f.create("keys", map[string]any{"keys": map[string]string{"web": key}})

	cfg := newConfig(t)
	cfg.DBSecretID, cfg.AdminSecretID, cfg.APIKeysSecretID = "app", "admin", "keys"
	cfg.Demo, cfg.SecretTTL, cfg.PredictTimeout = false, time.Second, gatewaytest.Patience
	g := startWith(t, cfg, Options{secretRefresh: 20 * time.Millisecond, databaseLifetime: 200 * time.Millisecond})
	l := &clientele{t: t, g: g, known: customersOf(t, g)}
	l.token.Store(&token)
	l.key.Store(&key)
	g.client.Token = token
	if renewal := g.renew(t, api.RetrainRequest{}); renewal.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", renewal.Status, renewal.Error)
	}

	stop := l.begin(t.Context())
	gatewaytest.Eventually(t, "the load is under way", func() bool { return l.predictions.Load() > 50 })
	users := map[string]int{}
	for range *functionRotations {
		goal := l.predictions.Load() + 1
		if members == nil {
			goal += 100
			f.rotate("admin")
			f.rotate("keys")
			token, key := f.member("admin", "tokens", "ops"), f.member("keys", "keys", "web")
			l.token.Store(&token)
			l.key.Store(&key)
			// The gateway keeps two versions: clients must not be two behind.
			gatewaytest.Eventually(t, "no request has an older token or key", l.upToDate)
		} else {
			opened, _ := g.components.connector.Opened()
			f.rotate("app")
			users[f.form("app")["username"].(string)]++
			gatewaytest.Eventually(t, "the gateway has made a connection", func() bool {
				now, _ := g.components.connector.Opened()
				return now > opened
			})
		}
		gatewaytest.Eventually(t, "predictions go on", func() bool { return l.predictions.Load() >= goal })
	}
	stop()
	opened, retried := g.components.connector.Opened()
	t.Logf("%d rotations, %d requests (%d predictions), %d failed, the slowest took %v (%s); %d renewals; %d connections made, %d logins tried again; rotations by user %v",
		*functionRotations, l.requests.Load(), l.predictions.Load(), l.failed.Load(), l.slowest.Round(time.Millisecond), l.slow, l.renewals.Load(), opened, retried, users)
	if want := min(*functionRotations, 2); members["owner"] != nil && len(users) != want {
		t.Errorf("the users are %v, want %d who take turns", users, want)
	}
	if *functionRotations >= 20 && members != nil && retried == 0 {
		t.Error("no login met a rotation")
	}
	f.wantRows(l.predictions.Load())
	f.wantNoSecret(map[string]string{"log of the gateway": g.logs.String(), "log of the function": f.logs.String(), "answers": l.bodies.String()})
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
}

// functionRotation is Secrets Manager with the compiled function, and a database server that
// takes verified TLS alone.
type functionRotation struct {
	rotation
	function *sandbox.Function
	logs     *gatewaytest.Buffer
	server   *url.URL
	roots    string
}

func newFunctionRotation(t *testing.T, path string) *functionRotation {
	t.Helper()
	manager, address := gatewaytest.StartSecretsManager(t)
	f := &functionRotation{rotation: rotation{t: t, client: useSecretsManager(t, address)}, logs: &gatewaytest.Buffer{}}
	f.function = sandbox.NewFunction("rotate", path, []string{"AWS_ENDPOINT_URL=" + address, "AWS_REGION=" + sandbox.Region,
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-real-key"}, f.logs)
	manager.UseFunctions(60_000, f.function) // a minute is a millisecond
	t.Cleanup(func() {
		manager.Close()
		f.function.Kill()
	})
	server := pgtest.New(t, 0)
	authority := pgtest.NewAuthority(t)
	f.roots = authority.File
	server.UseTLS(authority.Issue("127.0.0.1", time.Now().Add(time.Hour)))
	var err error
	if f.server, err = url.Parse(server.URL()); err != nil {
		t.Fatal(err)
	}
	f.connect(t, server.URL())
	// What an operator runs once (docs/rotation.md). The master is no superuser.
	for _, statement := range []string{
		`CREATE ROLE app_owner NOLOGIN`, `CREATE ROLE app LOGIN PASSWORD 'first-of-app' IN ROLE app_owner`, `ALTER ROLE app SET role = app_owner`,
		`CREATE ROLE boss LOGIN CREATEROLE PASSWORD 'first-of-boss'`, `GRANT app, app_owner TO boss WITH ADMIN OPTION`, `CREATE DATABASE bank OWNER app_owner`,
	} {
		f.sql(statement)
	}
	inside := *f.server
	inside.Path = "/bank"
	f.connect(t, inside.String())
	f.used = []string{"first-of-app", "first-of-boss"}
	return f
}

// connect makes the superuser's connection.
func (f *functionRotation) connect(t *testing.T, address string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	f.admin = conn
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
}

// database returns the secret of a user, with more members.
func (f *functionRotation) database(user string, members map[string]any) map[string]any {
	form := map[string]any{"engine": "postgres", "host": "127.0.0.1", "port": f.server.Port(), "dbname": "bank", "username": user,
		"password": "first-of-" + user, "sslmode": "verify-full", "sslrootcert": f.roots, "require_auth": "scram-sha-256"}
	maps.Copy(form, members)
	return form
}

// rotate rotates a secret and waits for the end.
func (f *functionRotation) rotate(id string) {
	f.t.Helper()
	before := f.rotated(id)
	out, err := f.client.RotateSecret(f.t.Context(), &secretsmanager.RotateSecretInput{SecretId: &id, RotationLambdaARN: aws.String(f.function.ARN())})
	if err != nil {
		f.t.Fatal(err)
	}
	gatewaytest.Eventually(f.t, "the rotation ends", func() bool { return f.rotated(id).After(before) })
	d := f.describe(id)
	if !slices.Contains(d.VersionIdsToStages[*out.VersionId], "AWSCURRENT") {
		f.t.Fatalf("after the rotation the versions are %v", d.VersionIdsToStages)
	}
	if password, ok := f.form(id)["password"].(string); ok {
		f.used = append(f.used, password)
	}
}

func (f *functionRotation) describe(id string) *secretsmanager.DescribeSecretOutput {
	f.t.Helper()
	d, err := f.client.DescribeSecret(f.t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

// rotated returns when the last rotation ended.
func (f *functionRotation) rotated(id string) time.Time {
	f.t.Helper()
	return aws.ToTime(f.describe(id).LastRotatedDate)
}

// form returns the members of a secret's current version.
func (f *functionRotation) form(id string) (form map[string]any) {
	f.t.Helper()
	out, err := f.client.GetSecretValue(f.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: aws.String("AWSCURRENT")})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(*out.SecretString), &form); err != nil {
		f.t.Fatal(err)
	}
	return form
}

// member returns the value of a name, of tokens or keys.
func (f *functionRotation) member(id, member, name string) string {
	value := f.form(id)[member].(map[string]any)[name].(string)
	f.used = append(f.used, value)
	return value
}

// wantNoSecret holds what was written to contain none of the secrets.
func (f *functionRotation) wantNoSecret(written map[string]string) {
	f.t.Helper()
	for name, text := range written {
		if text == "" {
			f.t.Errorf("the %s is empty", name)
		}
		for i, value := range f.used {
			if strings.Contains(text, value) {
				f.t.Errorf("value %d of %d is in the %s", i, len(f.used), name)
			}
		}
	}
	if all := len(f.used); all < *functionRotations {
		f.t.Errorf("only %d values are known", all)
	}
}
