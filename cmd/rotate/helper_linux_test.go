package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
	"gateway/internal/rotate"
	"gateway/internal/rotate/databases"
	"gateway/internal/sandbox"
	"gateway/internal/secrets"
)

// compiled is the path of the function, which TestMain compiles as for Lambda.
var compiled string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "rotate-")
	if err != nil {
		panic(err)
	}
	if compiled, err = gatewaytest.BuildFunction(folder, "gateway/cmd/rotate"); err != nil {
		panic(err)
	}
	code := pgtest.Run(m)
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// account is Secrets Manager with the compiled function, called over the wire by the SDK.
type account struct {
	t        *testing.T
	manager  *sandbox.SecretsManager
	function *sandbox.Function
	client   *secretsmanager.Client
	logs     *gatewaytest.Buffer
	points   *points

	mu     sync.Mutex
	hidden []string // what must not be in the log
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{t: t, manager: sandbox.NewSecretsManager(), logs: &gatewaytest.Buffer{}, points: &points{}}
	server := httptest.NewServer(a.points.around(a.manager))
	cfg := aws.Config{Region: sandbox.Region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-real-key", "")}
	direct := httptest.NewServer(a.manager) // for the test, whose calls are no points
	a.client = secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) { o.BaseEndpoint = &direct.URL })
	a.function = sandbox.NewFunction("rotate", compiled, []string{"AWS_ENDPOINT_URL=" + server.URL, "AWS_REGION=" + sandbox.Region,
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-real-key"}, a.logs)
	a.manager.UseFunctions(60_000, a.function) // a minute is a millisecond
	t.Cleanup(func() {
		a.manager.Close()
		a.function.Kill()
		server.Close()
		direct.Close()
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, value := range a.hidden {
			if strings.Contains(a.logs.String(), value) {
				t.Errorf("the log of the function has a secret:\n%s", a.logs)
			}
		}
	})
	return a
}

func (a *account) create(id string, members map[string]any) {
	a.t.Helper()
	text, err := json.Marshal(members)
	must(a.t, err)
	_, err = a.client.CreateSecret(a.t.Context(), &secretsmanager.CreateSecretInput{Name: &id, SecretString: aws.String(string(text)),
		ClientRequestToken: aws.String(rotate.NewToken())})
	must(a.t, err)
}

// rotate rotates a secret and waits for the end.
func (a *account) rotate(id string) (token string) {
	a.t.Helper()
	token = rotate.NewToken()
	before := aws.ToTime(a.describe(id).LastRotatedDate)
	_, err := a.client.RotateSecret(a.t.Context(), &secretsmanager.RotateSecretInput{SecretId: &id, ClientRequestToken: &token,
		RotationLambdaARN: aws.String(a.function.ARN())})
	must(a.t, err)
	gatewaytest.Eventually(a.t, "the rotation ends", func() bool { return aws.ToTime(a.describe(id).LastRotatedDate).After(before) })
	if current := a.holder(id, rotate.Current); current != token {
		a.t.Fatalf("the current version is %s, want %s", current, token)
	}
	return token
}

func (a *account) describe(id string) *secretsmanager.DescribeSecretOutput {
	a.t.Helper()
	out, err := a.client.DescribeSecret(context.Background(), &secretsmanager.DescribeSecretInput{SecretId: &id})
	must(a.t, err)
	return out
}

// holder returns the version that has a label.
func (a *account) holder(id, label string) string {
	a.t.Helper()
	for version, labels := range a.describe(id).VersionIdsToStages {
		for _, l := range labels {
			if l == label {
				return version
			}
		}
	}
	return ""
}

// database reads the version with a label; ok is false if there is none.
func (a *account) database(id, label string) (d secrets.Database, ok bool) {
	out, err := a.client.GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &label})
	if err != nil {
		return d, false
	}
	d, err = secrets.ParseDatabase(secrets.Database{})(secrets.New(*out.SecretString))
	if err != nil {
		a.t.Error(err)
	}
	a.mu.Lock()
	a.hidden = append(a.hidden, d.Password.Reveal())
	a.mu.Unlock()
	return d, true
}

// works reports whether the version with a label logs in, past the proxy.
func (a *account) works(id, label string, at *database) bool { return a.login(id, label, at) == nil }

// login logs in with the version that has a label, past the proxy.
func (a *account) login(id, label string, at *database) error {
	d, ok := a.database(id, label)
	if !ok {
		return errors.New("there is no such version")
	}
	d.Port = at.port
	_, err := databases.Postgres{}.Login(context.Background(), d)
	return err
}

// database is a PostgreSQL server that takes verified TLS alone, with a master who is no
// superuser and a user app who owns the database.
type database struct {
	t     *testing.T
	port  uint16
	roots string
	super *pgx.Conn
	proxy string // host:port; what is sent there is a point
}

func newDatabase(t *testing.T, p *points) *database {
	t.Helper()
	server := pgtest.New(t, 0)
	authority := pgtest.NewAuthority(t)
	server.UseTLS(authority.Issue("127.0.0.1", time.Now().Add(time.Hour)))
	u, err := url.Parse(server.URL())
	must(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	must(t, err)
	d := &database{t: t, port: uint16(port), roots: authority.File}
	d.super, err = pgx.Connect(t.Context(), server.URL())
	must(t, err)
	t.Cleanup(func() { _ = d.super.Close(context.Background()) })
	for _, statement := range []string{`CREATE ROLE app LOGIN PASSWORD 'first-of-app'`, `CREATE ROLE app_owner`,
		`CREATE ROLE boss LOGIN CREATEROLE PASSWORD 'first-of-boss'`, `GRANT app, app_owner TO boss WITH ADMIN OPTION`, `CREATE DATABASE bank OWNER app_owner`} {
		_, err := d.super.Exec(t.Context(), statement)
		must(t, err)
	}
	d.proxy = p.before(t, u.Host)
	return d
}

// secret is the secret of a user, at the proxy.
func (d *database) secret(user string, members map[string]any) map[string]any {
	d.t.Helper()
	_, port, ok := strings.Cut(d.proxy, ":")
	if !ok {
		d.t.Fatalf("the proxy is at %s", d.proxy)
	}
	form := map[string]any{"engine": "postgres", "host": "127.0.0.1", "port": port, "dbname": "bank", "username": user, "password": "first-of-" + user,
		"sslmode": "verify-full", "sslrootcert": d.roots}
	for name, value := range members {
		form[name] = value
	}
	return form
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
