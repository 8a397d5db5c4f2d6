package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/pgtest"
	"gateway/internal/secrets"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkcredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"gateway/internal/gatewaytest"
)

// useSecretsManager points the gateway and the test at a Secrets Manager.
func useSecretsManager(t *testing.T, url string) *secretsmanager.Client {
	t.Helper()
	gatewaytest.UseSecretsManager(t, url)
	return secretsmanager.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: &url,
		Credentials: sdkcredentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-real-key", "")})
}

// rotation rotates secrets in the four steps of the functions that AWS gives
// as examples, with a pause after each, and remembers every value.
type rotation struct {
	t      *testing.T
	client *secretsmanager.Client
	pause  time.Duration
	admin  *pgx.Conn // the superuser
	base   map[string]any

	mu   sync.Mutex
	used []string // passwords, tokens and keys
}

func newRotation(t *testing.T, client *secretsmanager.Client) *rotation {
	t.Helper()
	address := pgtest.Database(t)
	admin, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	r := &rotation{t: t, client: client, admin: admin, pause: 30 * time.Millisecond, base: map[string]any{
		"engine": "postgres", "host": u.Hostname(), "port": port, "dbname": name, "username": name + "_app"}}
	for _, statement := range []string{
		`CREATE ROLE %[1]s_app LOGIN`, `CREATE ROLE %[1]s_app_clone LOGIN IN ROLE %[1]s_app`, `ALTER DATABASE %[1]s OWNER TO %[1]s_app`,
	} {
		r.sql(fmt.Sprintf(statement, name))
	}
	t.Cleanup(func() {
		for _, statement := range []string{`ALTER DATABASE %[1]s OWNER TO CURRENT_USER`,
			`DROP OWNED BY %[1]s_app, %[1]s_app_clone`, `DROP ROLE %[1]s_app, %[1]s_app_clone`} {
			r.sql(fmt.Sprintf(statement, name))
		}
		_ = admin.Close(context.Background())
	})
	return r
}

func (r *rotation) sql(statement string) {
	r.t.Helper()
	if _, err := r.admin.Exec(context.Background(), statement); err != nil {
		r.t.Errorf("%s: %v", statement, err)
	}
}

// newValue makes a password, token or key.
func (r *rotation) newValue() string {
	value := secrets.Generate().Reveal()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = append(r.used, value)
	return value
}

func (r *rotation) values() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.used...)
}

// create makes a secret.
func (r *rotation) create(id string, value any) {
	r.t.Helper()
	if _, err := r.client.CreateSecret(r.t.Context(), &secretsmanager.CreateSecretInput{
		Name: &id, ClientRequestToken: aws.String(failure.NewID()), SecretString: text(r.t, value)}); err != nil {
		r.t.Fatal(err)
	}
}

func text(t *testing.T, value any) *string {
	t.Helper()
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return aws.String(string(out))
}

// createDatabase makes the secret of the database, and the user's first password.
func (r *rotation) createDatabase(id string) {
	r.t.Helper()
	form := maps.Clone(r.base)
	form["password"] = r.newValue()
	r.sql(fmt.Sprintf(`ALTER ROLE %s PASSWORD '%s'`, form["username"], form["password"]))
	r.create(id, form)
}

// begin is createSecret: it makes the pending version, from the current one.
func (r *rotation) begin(id string, next func(form map[string]any)) (form map[string]any, before, after string) {
	r.t.Helper()
	current, err := r.client.GetSecretValue(r.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: aws.String("AWSCURRENT")})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(*current.SecretString), &form); err != nil {
		r.t.Fatal(err)
	}
	next(form)
	after = failure.NewID()
	if _, err := r.client.PutSecretValue(r.t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id,
		ClientRequestToken: &after, SecretString: text(r.t, form), VersionStages: []string{"AWSPENDING"}}); err != nil {
		r.t.Fatal(err)
	}
	r.wait()
	return form, *current.VersionId, after
}

// finish is finishSecret: the pending version becomes the current one.
func (r *rotation) finish(id, before, after string) {
	r.t.Helper()
	if _, err := r.client.UpdateSecretVersionStage(r.t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id,
		VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &after, RemoveFromVersionId: &before}); err != nil {
		r.t.Fatal(err)
	}
	r.wait()
}

func (r *rotation) wait() { time.Sleep(r.pause) }

// database rotates the secret of the database; with turns two users take turns.
func (r *rotation) database(id string, turns bool) (before, after string) {
	r.t.Helper()
	form, before, after := r.begin(id, func(form map[string]any) {
		form["password"] = r.newValue()
		if user := form["username"].(string); turns {
			if first, clone := strings.CutSuffix(user, "_clone"); clone {
				form["username"] = first
			} else {
				form["username"] = user + "_clone"
			}
		}
	})
	r.sql(fmt.Sprintf(`ALTER ROLE %s PASSWORD '%s'`, form["username"], form["password"])) // setSecret
	r.wait()
	if err := r.login(form); err != nil { // testSecret
		r.t.Errorf("the pending version does not work: %v", err)
	}
	r.wait()
	r.finish(id, before, after)
	return before, after
}

func (r *rotation) login(form map[string]any) error {
	cfg := r.admin.Config().Copy()
	cfg.User, cfg.Password = form["username"].(string), form["password"].(string)
	conn, err := pgx.ConnectConfig(r.t.Context(), cfg)
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(r.t.Context()), conn.Close(r.t.Context()))
}

// token rotates a secret of one token or key, and returns the new one.
func (r *rotation) token(id, member, name string) string {
	r.t.Helper()
	value := r.newValue()
	_, before, after := r.begin(id, func(form map[string]any) { form[member] = map[string]string{name: value} })
	r.finish(id, before, after)
	return value
}
