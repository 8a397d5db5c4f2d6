package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gateway/api/edge"
	"gateway/internal/aws"
	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/secrets"
)

// secretOpener opens the secrets that the settings name, each from the source that
// its id speaks of: a file, or Secrets Manager.
type secretOpener struct {
	*secrets.Store
	log     *slog.Logger
	grace   time.Duration
	files   *secrets.Files
	manager *aws.Secrets // nil until a secret needs it
}

func newSecretOpener(c *components) *secretOpener {
	options := secrets.Options{TTL: c.cfg.SecretTTL, Refresh: c.options.secretRefresh, Waiting: c.waiting}
	return &secretOpener{
		Store: secrets.NewStore(options, c.log, c.registry),
		log:   c.log, grace: c.cfg.SecretGrace, files: secrets.NewFiles(),
	}
}

// source returns where a secret is kept.
func (v *secretOpener) source(ctx context.Context, id string) (secrets.Source, error) {
	if strings.HasPrefix(id, secrets.FilePrefix) {
		return v.files, nil
	}
	if v.manager == nil {
		manager, err := aws.OpenSecrets(ctx)
		if err != nil {
			return nil, fmt.Errorf("the settings of AWS: %w", err)
		}
		v.manager = manager
	}
	return v.manager, nil
}

// openSecret opens the secret that a setting names. It waits while the source
// does not answer; what waiting cannot mend is a wrong setting.
func openSecret[T any](ctx context.Context, v *secretOpener, setting, name, id string, grace time.Duration,
	parse func(secrets.Secret) (T, error)) (*secrets.Rotating[T], error) {
	source, err := v.source(ctx, id)
	if err != nil {
		return nil, &config.Error{Err: fmt.Errorf("GATEWAY_%s: %w", setting, err)}
	}
	if source == v.files && secrets.ReadableByOthers(id) {
		v.log.Warn("other users of this machine can read the file of a secret", "setting", "GATEWAY_"+setting)
	}
	s, err := secrets.Open(ctx, v.Store, secrets.Declared{Name: name, ID: id, Source: source, Grace: grace}, parse)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, &config.Error{Err: fmt.Errorf("GATEWAY_%s: %w", setting, err)}
	}
	return s, nil
}

// adminTokenFile is where the data dir keeps the admin token.
const adminTokenFile = "admin-token"

// adminTokens opens the operators' tokens. made is the path of a token that
// was made just now.
func (v *secretOpener) adminTokens(ctx context.Context, cfg config.Config, dir *datadir.Dir) (t *credentials, made string, err error) {
	id, parse := cfg.AdminSecretID, secrets.ParseTokens
	if id == "" {
		path := dir.Path(adminTokenFile)
		isNew, err := secrets.MakeFile(path, secrets.Generate)
		if err != nil {
			return nil, "", err
		}
		if isNew {
			made = path
		}
		id, parse = secrets.FilePrefix+path, secrets.ParseToken
	}
	s, err := openSecret(ctx, v, "ADMIN_SECRET_ID", "admin", id, v.grace, parse)
	return &credentials{s}, made, err
}

// ReadAdminToken reads the token that a gateway made in the data dir; empty if
// there is none.
func ReadAdminToken(cfg config.Config) (string, error) {
	text, err := os.ReadFile(filepath.Join(cfg.DataDir, adminTokenFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// apiKeys opens the apps' keys; nil where the settings name none.
func (v *secretOpener) apiKeys(ctx context.Context, cfg config.Config) (*credentials, error) {
	if cfg.APIKeysSecretID == "" {
		return nil, nil
	}
	s, err := openSecret(ctx, v, "API_KEYS_SECRET_ID", "api-keys", cfg.APIKeysSecretID, v.grace, secrets.ParseKeys)
	return &credentials{s}, err
}

// credentials are tokens or keys, as package api wants them.
type credentials struct {
	secret *secrets.Rotating[[]secrets.Named]
}

// valid lists those of the current version and, in its grace, of the previous
// one. Of a value that is in both the current name counts.
func (c *credentials) valid() []edge.Token {
	var all []edge.Token
	versions := c.secret.Valid()
	for i := len(versions) - 1; i >= 0; i-- {
		for _, n := range versions[i].Data {
			all = append(all, edge.Token{Name: n.Name, Value: n.Value.Reveal()})
		}
	}
	return all
}

// renew looks whether there is a newer version.
func (c *credentials) renew(ctx context.Context) { c.secret.Refresh(ctx, c.secret.Current().Version) }
