package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"gateway/internal/config"
	"gateway/internal/rotate"
	"gateway/internal/rotate/databases"
	"gateway/internal/rotate/manager"
	"gateway/internal/secrets"
)

type rotateCommand struct {
	Secret   string `required:"" placeholder:"NAME|file:PATH" help:"Secret to rotate: its name or ARN in Secrets Manager, or a file."`
	Strategy string `placeholder:"single|master|alternating" help:"Who changes the password of a database, and whose; by the members of the secret if not given."`
	Master   string `placeholder:"NAME|file:PATH" help:"Secret of the user who changes the password; masterarn of the secret if not given."`
}

// Help is shown by gateway rotate --help.
func (rotateCommand) Help() string {
	return `Replaces the credentials in a secret, in the four steps of Secrets Manager: createSecret makes the next version, setSecret gives it to the server, testSecret logs in with it, finishSecret makes it the current one. Requests of a gateway that reads the secret do not fail meanwhile.

The members of the secret say what it is:

    tokens, keys         of operators and apps: each gets a new value
    username, password   of a database: PostgreSQL, or MySQL and MariaDB where engine says so

and, for a database, the strategy:

    single        the user changes its own password (the default without masterarn)
    master        the user of the master secret changes it (the default with masterarn)
    alternating   two users take turns, such as app and app_clone: the master changes the password of the one that is not in use (the default with masterarn and owner, or where username ends with _clone)

If the command is interrupted or fails, run it again: it goes on with the version that it made. Of two that run at once, one is refused, or both finish the same version. docs/rotation.md has the forms of secrets, and what to run in a database first.

Exit codes: 0 the secret is rotated; 1 the rotation failed; 2 a flag or a setting is wrong.`
}

// Run rotates the secret.
func (cmd rotateCommand) Run(c *console) error {
	options, err := cmd.options()
	if err != nil {
		return err
	}
	if strings.HasPrefix(cmd.Secret, secrets.FilePrefix) {
		unlock, err := rotate.Files{}.Lock(cmd.Secret)
		if err != nil {
			return err
		}
		defer unlock()
	}
	stores := &secretStores{ctx: c.ctx}
	r := rotate.New(stores, options, slog.New(stepHandler{out: c.stderr}))
	token, err := r.Unfinished(c.ctx, cmd.Secret)
	if err != nil {
		return err
	}
	if token != "" {
		fmt.Fprintf(c.stderr, "a rotation was begun before; going on with version %s\n", token)
	} else {
		token = rotate.NewToken()
	}
	for _, step := range rotate.Steps() {
		if err := r.Do(c.ctx, rotate.Request{Step: step, Secret: cmd.Secret, Version: rotate.Version{Token: token}}); err != nil {
			if step == rotate.Create {
				return fmt.Errorf("%w; no credential was changed", err)
			}
			return fmt.Errorf("%w; run the command again to go on with version %s", err, token)
		}
	}
	_, err = fmt.Fprintf(c.stdout, "rotated: version %s is the current one\n", token)
	return err
}

func (cmd rotateCommand) options() (rotate.Options, error) {
	o := rotate.Options{Strategy: rotate.Strategy(cmd.Strategy), Master: cmd.Master, Manual: true,
		Postgres: databases.Postgres{}, MySQL: databases.MySQL{}}
	if err := secrets.CheckID(cmd.Secret); err != nil {
		return o, &usageError{fmt.Errorf("--secret: %w", err)}
	}
	if cmd.Master != "" {
		if err := secrets.CheckID(cmd.Master); err != nil {
			return o, &usageError{fmt.Errorf("--master: %w", err)}
		}
	}
	if err := o.Check(); err != nil {
		return o, &usageError{fmt.Errorf("--strategy: %w", err)}
	}
	cfg, err := config.Load()
	if err != nil {
		return o, err
	}
	if o.Missing, err = cfg.DatabaseDefaults(); err != nil {
		return o, &config.Error{Err: err}
	}
	return o, nil
}

// secretStores is the store of both kinds of secrets: files, and Secrets Manager, which is
// opened for the first secret that needs it.
type secretStores struct {
	ctx     context.Context
	manager *manager.Manager
}

func (s *secretStores) of(id string) (rotate.Store, error) {
	if strings.HasPrefix(id, secrets.FilePrefix) {
		return rotate.Files{}, nil
	}
	if s.manager == nil {
		m, err := manager.Open(s.ctx)
		if err != nil {
			return nil, fmt.Errorf("the settings of AWS: %w", err)
		}
		s.manager = m
	}
	return s.manager, nil
}

// Describe implements rotate.Store.
func (s *secretStores) Describe(ctx context.Context, id string) (rotate.Description, error) {
	store, err := s.of(id)
	if err != nil {
		return rotate.Description{}, err
	}
	return store.Describe(ctx, id)
}

// Get implements rotate.Store.
func (s *secretStores) Get(ctx context.Context, id, version, label string) (secrets.Secret, error) {
	store, err := s.of(id)
	if err != nil {
		return secrets.Secret{}, err
	}
	return store.Get(ctx, id, version, label)
}

// Put implements rotate.Store.
func (s *secretStores) Put(ctx context.Context, id string, version rotate.Version, value secrets.Secret) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Put(ctx, id, version, value)
}

// Promote implements rotate.Store.
func (s *secretStores) Promote(ctx context.Context, id, to, from string) error {
	store, err := s.of(id)
	if err != nil {
		return err
	}
	return store.Promote(ctx, id, to, from)
}

// stepHandler implements slog.Handler: it prints what a step did, one line each.
type stepHandler struct {
	out   io.Writer
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (stepHandler) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h stepHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return stepHandler{h.out, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements slog.Handler. Lines have no groups.
func (h stepHandler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h stepHandler) Handle(_ context.Context, r slog.Record) error {
	var step string
	var rest []string
	add := func(a slog.Attr) bool {
		switch a.Key {
		case "step":
			step = a.Value.String()
		case "version": // the first line and the last one have it
		default:
			rest = append(rest, a.Key+" "+a.Value.String())
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	line := fmt.Sprintf("%-12s  %s", step, r.Message)
	if len(rest) > 0 {
		line += " (" + strings.Join(rest, ", ") + ")"
	}
	_, err := fmt.Fprintln(h.out, line)
	return err
}
