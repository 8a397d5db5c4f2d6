package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/app"
	"gateway/internal/config"
)

// remote is how a command reaches a gateway: the one that runs at the URL or,
// without a URL, one that the command itself runs on the data dir while it works.
// So commands always use the API, and the data dir has one owner at a time.
type remote struct {
	URL   string `name:"url" help:"Use the gateway that runs there, such as http://127.0.0.1:8080." placeholder:"URL"`
	Token string `help:"Admin token, or an app's key for predict; without it, that of the data dir where the URL is on this machine." placeholder:"TOKEN"`
	JSON  bool   `name:"json" help:"For machines."`

	schema string // path of the schema instead of the settings'; empty: the settings'
}

// with calls do with a client of that gateway.
func (r remote) with(c *console, do func(ctx context.Context, client *client.Client) error) error {
	if r.URL == "" {
		return r.here(c, do)
	}
	if u, err := url.Parse(r.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &usageError{errors.New("--url: must be like http://127.0.0.1:8080")}
	}
	if strings.ContainsFunc(r.Token, func(c rune) bool { return c < ' ' || c > '~' }) {
		return &usageError{errors.New("--token: must consist of visible ASCII characters")}
	}
	token := r.Token
	if token == "" && isLoopback(r.URL) {
		cfg, err := config.Load()
		if err != nil {
			return err
		}
		if token, err = app.ReadAdminToken(cfg); err != nil {
			return err
		}
	}
	return r.explain(do(c.ctx, &client.Client{BaseURL: strings.TrimRight(r.URL, "/"), Token: token}))
}

// onExisting is with for commands that only read: without a data dir they fail
// instead of creating one.
func (r remote) onExisting(c *console, do func(ctx context.Context, client *client.Client) error) error {
	if r.URL == "" {
		cfg, err := config.Load()
		if err != nil {
			return err
		}
		if _, err := os.Stat(cfg.DataDir); errors.Is(err, os.ErrNotExist) && cfg.DBSecretID == "" {
			return fmt.Errorf("there is no data dir %s: name it with GATEWAY_DATA_DIR, or name a gateway that serves with --url", cfg.DataDir)
		}
	}
	return r.with(c, do)
}

// explain adds to an error of a running gateway which flag or setting helps.
func (r remote) explain(err error) error {
	var problem *edge.Problem
	switch {
	case err == nil:
		return nil
	case unreachable(err):
		return fmt.Errorf("no gateway answers at --url: %w", err)
	case !errors.As(err, &problem):
		return err
	case problem.Status == http.StatusUnauthorized || problem.Status == http.StatusForbidden:
		return fmt.Errorf("%w; give the token with --token, or name with GATEWAY_DATA_DIR the data dir that has it", err)
	}
	return err
}

// here runs a gateway on a port of its own, on this machine only.
func (r remote) here(c *console, do func(ctx context.Context, client *client.Client) error) (err error) {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	cfg.Schema = cmp.Or(r.schema, cfg.Schema)
	cfg.Addr, cfg.AdminAddr, cfg.AdminSecretID, cfg.APIKeysSecretID, cfg.Demo = "127.0.0.1:0", "", "", "", false
	lines := newCommandLog(c.stderr, c.warnings())
	log := slog.New(commandHandler{commandLog: lines})
	// There is no time to drain: this process is the only client.
	a, err := app.Open(c.ctx, cfg, app.Options{Log: log, Version: version, MemoryLimit: app.LimitMemory(c.system(), log), ForCommand: true, WrapPorts: c.wrapPorts})
	if err != nil {
		return err
	}
	lines.starting.Store(false)
	ctx, stop := context.WithCancel(c.ctx)
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx) }()
	defer func() {
		stop()
		stopped := <-served // the log is complete
		err = errors.Join(lines.end(err), stopped)
	}()
	token, err := app.ReadAdminToken(cfg)
	if err != nil {
		return err
	}
	return do(c.ctx, &client.Client{BaseURL: a.URL(), Token: token})
}

// isLoopback reports whether a URL points at this machine.
func isLoopback(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}

// maxShown is the maximum number of bad rows that a command shows.
const maxShown = 20

// badRows shows the first bad rows and counts the others.
type badRows struct {
	out   io.Writer
	count int
}

func (b *badRows) add(line int, text string) {
	b.count++
	switch {
	case b.count <= maxShown:
		fmt.Fprintf(b.out, "line %d: %s\n", line, text)
	case b.count == maxShown+1:
		fmt.Fprintln(b.out, "… more bad rows follow")
	}
}
