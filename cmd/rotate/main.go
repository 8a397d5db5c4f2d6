// Command rotate is a Lambda function that rotates secrets: AWS Secrets Manager calls it for
// each of the four steps of a rotation. Package gateway/internal/rotate has the steps.
//
// It runs on provided.al2023; make rotate-function builds it.
//
// The environment has what secrets may leave out, under the names of the gateway's settings:
// GATEWAY_DB_HOST, GATEWAY_DB_NAME, GATEWAY_DB_SSLMODE, GATEWAY_DB_SSLROOTCERT and
// GATEWAY_DB_REQUIRE_AUTH. GATEWAY_ROTATE_STRATEGY (single, master or alternating) and
// GATEWAY_ROTATE_MASTER, a secret, override the members strategy and masterarn of a secret.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"gateway/internal/rotate"
	"gateway/internal/rotate/databases"
	"gateway/internal/rotate/manager"
	"gateway/internal/secrets"
)

// version is set at the build.
var version = "dev"

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	log.Info("the function starts", "build", version)
	handler, err := newHandler(context.Background(), log, os.Getenv)
	if err != nil {
		log.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

// newHandler makes the function from the environment.
func newHandler(ctx context.Context, log *slog.Logger, env func(string) string) (func(context.Context, events.SecretsManagerSecretRotationEvent) error, error) {
	store, err := manager.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("the settings of AWS: %w", err)
	}
	missing := secrets.Database{Name: env("GATEWAY_DB_NAME"), SSLMode: env("GATEWAY_DB_SSLMODE"),
		SSLRootCert: env("GATEWAY_DB_SSLROOTCERT"), RequireAuth: env("GATEWAY_DB_REQUIRE_AUTH")}
	if missing.Host, missing.Port, err = secrets.ParseHost(env("GATEWAY_DB_HOST")); err != nil {
		return nil, fmt.Errorf("GATEWAY_DB_HOST: %w", err)
	}
	options := rotate.Options{Strategy: rotate.Strategy(env("GATEWAY_ROTATE_STRATEGY")), Master: env("GATEWAY_ROTATE_MASTER"),
		Missing: missing, Postgres: databases.Postgres{}, MySQL: databases.MySQL{}}
	if err := options.Check(); err != nil {
		return nil, fmt.Errorf("GATEWAY_ROTATE_STRATEGY: %w", err)
	}
	return func(ctx context.Context, event events.SecretsManagerSecretRotationEvent) error {
		log := log.With("secret", event.SecretID)
		err := rotate.New(store, options, log).Do(ctx, rotate.Request{Step: rotate.Step(event.Step), Secret: event.SecretID,
			Version: rotate.Version{Token: event.ClientRequestToken, Proof: event.RotationToken}})
		if err != nil {
			log.Error("the step failed; Secrets Manager will call it again", "version", event.ClientRequestToken, "error", err)
		}
		return err
	}, nil
}
