package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"gateway/internal/gatewaytest"
	"gateway/internal/postgres"
	"gateway/internal/rotate"
	"gateway/internal/secrets"
	"gateway/internal/testsize"
)

// strategies are the members of secrets of each strategy.
var strategies = map[string]map[string]any{
	"single":      {},
	"master":      {"masterarn": "boss"},
	"alternating": {"masterarn": "boss", "strategy": "alternating"},
	"owner role":  {"masterarn": "boss", "owner": "app_owner"},
}

// TestTheFunctionMayBeKilledAnywhere ends the compiled function with SIGKILL at each point of
// a rotation. Secrets Manager calls it again. At every moment a version of the secret works.
func TestTheFunctionMayBeKilledAnywhere(t *testing.T) {
	for name, members := range strategies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			at := newDatabase(t, a.points)
			a.create("boss", at.secret("boss", nil))
			a.create("app", at.secret("app", members))
			a.rotate("app")
			a.points.arm(-1, nil)
			a.rotate("app")
			all := a.points.passed()
			if all < 20 {
				t.Fatalf("a rotation has only %d points", all)
			}
			stride := max(1, all/testsize.Of(6, all))
			killed := 0
			for n := 0; n < all; n += stride {
				a.points.arm(n, func() {
					a.function.Kill()
					killed++
					current, pending := a.login("app", rotate.Current, at), a.login("app", rotate.Pending, at)
					if current != nil && pending != nil {
						t.Errorf("killed at point %d of %d, no version works: %v; %v", n, all, current, pending)
					}
				})
				a.rotate("app")
				a.points.arm(-1, nil)
				if !a.works("app", rotate.Current, at) {
					t.Errorf("killed at point %d of %d, the rotation ends with a version that does not work", n, all)
				}
			}
			t.Logf("killed %d times, at %d points of a rotation", killed, all)
			if killed == 0 {
				t.Error("the function was never killed")
			}
		})
	}
}

func TestEitherUserCanWorkWithTheTablesOfBoth(t *testing.T) {
	for _, name := range []string{"alternating", "owner role"} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			at := newDatabase(t, a.points)
			a.create("boss", at.secret("boss", nil))
			a.create("app", at.secret("app", strategies[name]))
			if name == "alternating" {
				_, err := at.super.Exec(t.Context(), `ALTER DATABASE bank OWNER TO app`)
				must(t, err)
			}
			var users []secrets.Database
			for range 2 {
				a.rotate("app")
				d, _ := a.database("app", rotate.Current)
				users = append(users, d)
			}
			if users[0].Username != "app_clone" || users[1].Username != "app" {
				t.Fatalf("the users are %s and %s", users[0].Username, users[1].Username)
			}
			for i, user := range users {
				other := users[1-i]
				at.sql(user, `CREATE TABLE t (n int)`, `INSERT INTO t VALUES (1)`)
				at.sql(other, `INSERT INTO t SELECT n + 1 FROM t`, `ALTER TABLE t ADD m int`, `CREATE INDEX ON t (n)`, `DROP TABLE t`)
			}
		})
	}
}

func TestTokensAndKeysByTheFunction(t *testing.T) {
	a := newAccount(t)
	a.create("admin", map[string]any{"tokens": map[string]string{"ops": "first-token-of-ops"}})
	a.create("keys", map[string]any{"keys": []string{"first-key"}})
	for id, parse := range map[string]func(secrets.Secret) ([]secrets.Named, error){"admin": secrets.ParseTokens, "keys": secrets.ParseKeys} {
		a.rotate(id)
		for label, wantNew := range map[string]bool{rotate.Current: true, rotate.Previous: false} {
			out, err := a.client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &label})
			must(t, err)
			all, err := parse(secrets.New(*out.SecretString))
			must(t, err)
			if isNew := !strings.HasPrefix(all[0].Value.Reveal(), "first"); isNew != wantNew {
				t.Errorf("%s of %s is new: %v", label, id, isNew)
			}
		}
	}
}

func TestSecretsRotateBySchedule(t *testing.T) {
	a := newAccount(t)
	a.create("keys", map[string]any{"keys": []string{"first-key"}})
	id := "keys"
	_, err := a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &id, RotationLambdaARN: aws.String(a.function.ARN()),
		RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1)}, RotateImmediately: aws.Bool(false)}) // 1.44 s
	must(t, err)
	before := a.holder(id, rotate.Current)
	d := a.describe(id)
	if !*d.RotationEnabled || *d.RotationLambdaARN != a.function.ARN() || *d.RotationRules.AutomaticallyAfterDays != 1 || d.NextRotationDate == nil || d.LastRotatedDate != nil {
		t.Errorf("the secret is described as %+v", d)
	}
	gatewaytest.Eventually(t, "the secret is rotated twice", func() bool {
		return a.holder(id, rotate.Current) != before && a.holder(id, rotate.Previous) != before && a.holder(id, rotate.Previous) != ""
	})
	_, err = a.client.CancelRotateSecret(t.Context(), &secretsmanager.CancelRotateSecretInput{SecretId: &id})
	must(t, err)
	if d := a.describe(id); *d.RotationEnabled || d.LastRotatedDate == nil || d.NextRotationDate != nil {
		t.Errorf("after the cancellation the secret is described as %+v", d)
	}
}

func TestAFailedRotationIsTriedAgainAndGivenUp(t *testing.T) {
	a := newAccount(t)
	at := newDatabase(t, a.points)
	form := at.secret("app", nil)
	form["password"] = "wrong-one"
	a.create("app", form)
	id := "app"
	_, err := a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &id, RotationLambdaARN: aws.String(a.function.ARN())})
	must(t, err)
	gatewaytest.Eventually(t, "the rotation was tried five times", func() bool { return strings.Count(a.logs.String(), "neither the pending") >= 5 })
	var refused *types.InvalidRequestException
	_, err = a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &id})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "A previous rotation isn't complete") {
		t.Errorf("a second rotation: got %v", err)
	}
	// The password is repaired; the same rotation ends.
	_, err = at.super.Exec(t.Context(), `ALTER ROLE app PASSWORD 'wrong-one'`)
	must(t, err)
	token := a.holder(id, rotate.Pending)
	gatewaytest.Eventually(t, "the rotation ends", func() bool {
		_, _ = a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &id, ClientRequestToken: &token})
		return a.holder(id, rotate.Current) == token
	})
	if !a.works(id, rotate.Current, at) {
		t.Error("the current version does not work")
	}
}

func TestRotateSecretRefuses(t *testing.T) {
	a := newAccount(t)
	a.create("keys", map[string]any{"keys": []string{"first-key"}})
	id, missing := "keys", "missing"
	for name, tc := range map[string]struct {
		in   secretsmanager.RotateSecretInput
		want string
	}{
		"no function":         {secretsmanager.RotateSecretInput{SecretId: &id}, "InvalidRequestException"},
		"an unknown function": {secretsmanager.RotateSecretInput{SecretId: &id, RotationLambdaARN: aws.String("arn:aws:lambda:eu-central-1:123456789012:function:other")}, "AccessDeniedException"},
		"an unknown secret":   {secretsmanager.RotateSecretInput{SecretId: &missing, RotationLambdaARN: aws.String(a.function.ARN())}, "ResourceNotFoundException"},
		"a day too many": {secretsmanager.RotateSecretInput{SecretId: &id, RotationLambdaARN: aws.String(a.function.ARN()),
			RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1001)}}, "InvalidParameterException"},
		"two rules": {secretsmanager.RotateSecretInput{SecretId: &id, RotationLambdaARN: aws.String(a.function.ARN()),
			RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1), ScheduleExpression: aws.String("rate(2 days)")}}, "InvalidParameterException"},
	} {
		if _, err := a.client.RotateSecret(t.Context(), &tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
	if d := a.describe(id); aws.ToBool(d.RotationEnabled) {
		t.Error("a refused call enabled the rotation")
	}
}

func (d *database) sql(as secrets.Database, statements ...string) {
	d.t.Helper()
	conn, err := postgres.Server{Host: as.Host, Port: as.Port, Database: as.Name, Username: as.Username, Password: as.Password.Reveal,
		SSLMode: as.SSLMode, SSLRootCert: as.SSLRootCert}.Connect(d.t.Context())
	must(d.t, err)
	defer func() { _ = conn.Close(d.t.Context()) }()
	for _, statement := range statements {
		if _, err := conn.Exec(d.t.Context(), statement); err != nil {
			d.t.Errorf("%s: %s: %v", as.Username, statement, err)
		}
	}
}
