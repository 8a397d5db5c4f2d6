package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
)

// opening is a gateway that starts.
type opening struct {
	logs gatewaytest.Buffer
	done chan struct{} // closed when Open has returned
	app  *App
	err  error
}

func open(ctx context.Context, cfg config.Config) *opening {
	o := &opening{done: make(chan struct{})}
	go func() {
		defer close(o.done)
		o.app, o.err = Open(ctx, cfg, Options{Log: slog.New(slog.NewJSONHandler(&o.logs, nil))})
	}()
	return o
}

func TestAStartWaitsForTheDatabase(t *testing.T) {
	postgres := pgtest.New(t, 0)
	cfg := newConfig(t)
	cfg.Demo, cfg.Addr = false, gatewaytest.FreePort(t)
	cfg.DBSecretID = secretOf(t, postgres.URL(), nil)
	postgres.Stop()

	ended, end := context.WithCancel(t.Context())
	o := open(ended, cfg)
	get := func(path string) int {
		res, err := http.Get("http://" + cfg.Addr + path)
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	gatewaytest.Eventually(t, "it says that it lives", func() bool { return get("/livez") == http.StatusOK })
	if got := get("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("meanwhile /readyz is %d", got)
	}
	end()
	<-o.done
	if !errors.Is(o.err, context.Canceled) || !strings.Contains(o.err.Error(), "while waiting for the database") {
		t.Errorf("a start that is ended: got %v", o.err)
	}

	o = open(t.Context(), cfg)
	gatewaytest.Eventually(t, "it says that it lives", func() bool { return get("/livez") == http.StatusOK })
	postgres.Start()
	<-o.done
	if o.err != nil {
		t.Fatal(o.err)
	}
	defer func() {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := o.app.Serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := o.app.components.store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	logs := o.logs.String()
	if strings.Count(logs, "the database does not answer; the start waits") != 1 || strings.Count(logs, "the database answers") != 1 {
		t.Errorf("the log does not say once that it waited, and once that it need not any more: %s", logs)
	}
}

// What waiting cannot mend ends the start with one line that names the setting.
func TestAStartDoesNotWaitForWhatTheDatabaseRefuses(t *testing.T) {
	postgres := pgtest.New(t, 0)
	u, err := url.Parse(postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	if _, err := admin.Exec(t.Context(), `CREATE ROLE app LOGIN PASSWORD 'app'`); err != nil {
		t.Fatal(err)
	}
	cfg := newConfig(t)
	cfg.Demo = false
	cfg.DBSecretID = secretOf(t, postgres.URL(), map[string]any{"username": "app", "password": "app"})
	o := open(t.Context(), cfg)
	<-o.done
	var usage *config.Error
	says := fmt.Sprintf(`user "app" lacks a privilege on database %q; its owner can grant it: GRANT USAGE, CREATE ON SCHEMA "public" TO "app"`, u.Path[1:])
	if !errors.As(o.err, &usage) || !strings.HasPrefix(o.err.Error(), "GATEWAY_DB_SECRET_ID: ") || !strings.Contains(o.err.Error(), says) {
		t.Errorf("got %v, want a wrong setting and %s", o.err, says)
	}
	if logs := o.logs.String(); strings.Contains(logs, "waiting") {
		t.Errorf("it waited: %s", logs)
	}
}
