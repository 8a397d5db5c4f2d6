// Package rehearse rehearses a rolling deployment of the gateway: `make rehearse`.
//
// Two gateways of the image share a PostgreSQL database behind nginx or HAProxy.
// Under load they are replaced, one after the other, in the order of ECS: a new
// one starts, is healthy twice, and is registered; an old one is deregistered,
// keeps its requests for the deregistration delay, gets SIGTERM and is given its
// time to stop. No request may fail, and each prediction that was answered must
// be in the database at the end.
//
// The times are those of deploy/cloudformation/gateway.yaml and the defaults of
// the gateway; those that only pass are divided by -factor. A proxy never
// repeats a request.
package rehearse

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
)

var (
	image        = flag.String("image", "", "OCI layout of the image that is deployed; empty: nothing is rehearsed")
	replacements = flag.Int("replacements", 2, "gateways that are replaced behind each proxy")
	factor       = flag.Int("factor", 10, "number that the waits of a deployment are divided by")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(pgtest.Run(m))
}

func TestNoRequestFailsInARollingDeployment(t *testing.T) {
	eachProxy(t, func(t *testing.T, kind string) {
		d := deploy(t, kind)
		load := d.generateLoad(t)
		for range *replacements {
			d.add(t)
			d.drain(t, d.tasks[0])
			d.stop(t, d.tasks[0])
		}
		report := load.end()
		t.Logf("%s: %d replacements, %s, slowest stop %s; waits divided by %d, %s", kind, *replacements, report, d.slowest.Round(time.Millisecond), *factor, d.files)
		if report.failed > 0 {
			t.Errorf("%d requests failed: %v", report.failed, report.reasons)
		}
		if slow := report.slow; slow == 0 {
			t.Error("no slow request was answered")
		}
		for len(d.tasks) > 0 { // a stopping gateway drains its outbox
			d.stop(t, d.tasks[0])
		}
		if stored := countStored(t, d.secret, report.ids); stored != len(report.ids) {
			t.Errorf("%d predictions were answered, %d of them are in the database", len(report.ids), stored)
		}
	})
}

// Without its order a deployment loses requests, and the rehearsal sees it.
func TestAnAbruptStopIsSeen(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "terminated": syscall.SIGTERM} {
		t.Run(name+" without being deregistered", func(t *testing.T) {
			eachProxy(t, func(t *testing.T, kind string) {
				d := deploy(t, kind)
				load := d.generateLoad(t)
				load.wait(t, 50)
				d.tasks[0].end(t, signal, d.times.stop)
				load.wait(t, 50)
				report := load.end()
				t.Logf("%s: %s", kind, report)
				if report.failed == 0 {
					t.Error("no request failed")
				}
			})
		})
	}
}

func eachProxy(t *testing.T, rehearse func(*testing.T, string)) {
	if *image == "" {
		t.Skip("no -image: run make rehearse")
	}
	for _, kind := range []string{"nginx", "haproxy"} {
		t.Run(kind, func(t *testing.T) {
			if _, err := exec.LookPath(kind); err != nil {
				t.Skipf("%s is not installed", kind)
			}
			rehearse(t, kind)
		})
	}
}

// A deployment has two gateways behind a proxy.
type deployment struct {
	files  *files
	secret string // of the database
	times  times
	proxy  proxy
	tasks  []*task // that are registered; the oldest first

	slowest time.Duration // stop
}

func deploy(t *testing.T, kind string) *deployment {
	t.Helper()
	d := &deployment{files: unpack(t, *image), secret: gatewaytest.DatabaseSecret(t), times: statedTimes(t, *factor)}
	if kind == "nginx" {
		d.proxy = newNginx(t, d.times)
	} else {
		d.proxy = newHAProxy(t, d.times)
	}
	for range 2 {
		d.add(t)
	}
	return d
}

// add starts a gateway and registers it when it is healthy.
func (d *deployment) add(t *testing.T) {
	t.Helper()
	created := startTask(t, d.files, d.secret, d.times)
	created.waitHealthy(t, d.times)
	d.tasks = append(d.tasks, created)
	d.proxy.register(t, created)
}

// drain gives a gateway no new requests and waits for those it has.
func (d *deployment) drain(t *testing.T, old *task) {
	t.Helper()
	d.proxy.deregister(t, old)
	pause(t.Context(), d.times.deregistration)
}

func (d *deployment) stop(t *testing.T, old *task) {
	t.Helper()
	began := time.Now()
	old.end(t, syscall.SIGTERM, d.times.stop)
	d.slowest = max(d.slowest, time.Since(began))
	d.tasks = d.tasks[1:]
}

// countStored counts which of the predictions the database has.
func countStored(t *testing.T, secret string, ids []string) (n int) {
	t.Helper()
	text, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Host, Username, Password, DBName string
		Port                             int
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "postgres", User: url.UserPassword(s.Username, s.Password),
		Host: net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), Path: s.DBName, RawQuery: "sslmode=disable"}
	db, err := sql.Open("pgx", address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM predictions WHERE id = ANY($1)`, ids).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// pause waits, as a deployment does, and not for something to happen.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// freeAddress finds a free port of the loopback interface.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually asks until the answer is no error.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || t.Context().Err() != nil {
			t.Fatal(fmt.Errorf("%s: %w", what, err))
		}
		pause(t.Context(), 50*time.Millisecond)
	}
}
