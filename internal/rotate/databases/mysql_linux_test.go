package databases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
	"gateway/internal/rotate"
	"gateway/internal/secrets"
)

// mariaDB is a server of the test's own, which takes TLS alone.
type mariaDB struct {
	t    *testing.T
	base secrets.Database
	root secrets.Database
}

func newMariaDB(t *testing.T) *mariaDB {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (Debian: mariadb-server)", program)
		}
	}
	folder := t.TempDir()
	data, socket := filepath.Join(folder, "data"), filepath.Join(os.TempDir(), fmt.Sprintf("mariadb-%d.sock", os.Getpid()))
	install := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	authority := pgtest.NewAuthority(t)
	cert, key := authority.Issue("localhost", time.Now().Add(time.Hour))
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		must(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	address := gatewaytest.FreePort(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	logs := &gatewaytest.Buffer{}
	server := exec.Command("mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+socket, "--bind-address=127.0.0.1", "--port="+port,
		"--pid-file="+filepath.Join(folder, "pid"), "--ssl-cert="+filepath.Join(folder, "cert.pem"), "--ssl-key="+filepath.Join(folder, "key.pem"),
		"--require-secure-transport=on", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M")
	server.Stdout, server.Stderr = logs, logs
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = os.Remove(socket)
	})
	m := &mariaDB{t: t, base: secrets.Database{Host: "localhost", SSLMode: "verify-full", SSLRootCert: authority.File}}
	_, err = fmt.Sscan(port, &m.base.Port)
	must(t, err)
	m.root = secrets.Database{Host: socket, Username: "root", Password: secrets.New("")}
	gatewaytest.Eventually(t, "MariaDB answers", func() bool {
		_, err := MySQL{}.Login(t.Context(), m.root)
		return err == nil
	})
	m.sql(m.root, `CREATE DATABASE bank`, `CREATE TABLE bank.t (n int)`,
		`CREATE USER app@'%' IDENTIFIED BY 'first' REQUIRE SSL`, `CREATE USER app@'localhost' IDENTIFIED BY 'first'`,
		`GRANT SELECT, INSERT, CREATE, DROP ON bank.* TO app@'%'`, `GRANT SELECT, INSERT, CREATE, DROP ON bank.* TO app@'localhost'`,
		`CREATE USER boss@'%' IDENTIFIED BY 'of-passwords'`, `CREATE USER boss@'localhost' IDENTIFIED BY 'of-passwords'`)
	for _, host := range []string{"%", "localhost"} {
		m.sql(m.root, `GRANT CREATE USER ON *.* TO boss@'`+host+`'`, `GRANT SELECT ON mysql.* TO boss@'`+host+`'`,
			`GRANT SELECT, INSERT, CREATE, DROP ON bank.* TO boss@'`+host+`' WITH GRANT OPTION`)
	}
	m.base.Name = "bank"
	return m
}

func (m *mariaDB) user(name, password string) secrets.Database {
	d := m.base
	d.Username, d.Password = name, secrets.New(password)
	return d
}

func (m *mariaDB) sql(as secrets.Database, statements ...string) {
	m.t.Helper()
	err := MySQL{}.do(context.Background(), as, func(conn *sql.Conn) error {
		for _, statement := range statements {
			if _, err := conn.ExecContext(context.Background(), statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		m.t.Errorf("%s: %v", as.Username, err)
	}
}

func (m *mariaDB) logsIn(as secrets.Database, want bool) {
	m.t.Helper()
	_, err := MySQL{}.Login(m.t.Context(), as)
	if want && err != nil || !want && !errors.Is(err, rotate.ErrLogin) {
		m.t.Errorf("login of %s: got %v, want success: %v", as.Username, err, want)
	}
}

// stored returns what the server stores of a user, of each host.
func (m *mariaDB) stored(user, column string) (all []string) {
	m.t.Helper()
	err := MySQL{}.do(m.t.Context(), m.root, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(m.t.Context(), `SELECT `+column+` FROM mysql.user WHERE User = ? ORDER BY Host`, user)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			all = append(all, text)
		}
		return rows.Err()
	})
	must(m.t, err)
	return all
}

func TestMariaDB(t *testing.T) {
	m := newMariaDB(t)
	ctx := t.Context()
	t.Run("a user changes its own password", func(t *testing.T) {
		must(t, MySQL{}.SetPassword(ctx, m.user("app", "first"), "app", secrets.New("second")))
		m.logsIn(m.user("app", "first"), false)
		m.logsIn(m.user("app", "second"), true)
	})
	t.Run("a master changes it for all hosts", func(t *testing.T) {
		must(t, MySQL{}.SetPassword(ctx, m.user("boss", "of-passwords"), "app", secrets.New("third")))
		m.logsIn(m.user("app", "third"), true)
		for _, hash := range m.stored("app", "authentication_string") {
			if hash != nativeHash("third") {
				t.Errorf("the server stores %s for a host, want %s", hash, nativeHash("third"))
			}
		}
	})
	t.Run("alternating users", func(t *testing.T) {
		current, next := "app", "app_clone"
		for i := range 4 {
			password := fmt.Sprintf("turn-%d", i)
			for range 2 { // again is the same
				must(t, MySQL{}.SetTwin(ctx, m.user("boss", "of-passwords"), rotate.Twins{Next: next, Other: current}, secrets.New(password)))
			}
			m.sql(m.user(next, password), `INSERT INTO bank.t VALUES (1)`, `CREATE TABLE bank.of_`+next+` (n int)`, `DROP TABLE bank.of_`+next)
			current, next = next, current
		}
		m.logsIn(m.user("app", "turn-3"), true)
		m.logsIn(m.user("app_clone", "turn-2"), true)
		if app, clone := m.stored("app", "ssl_type"), m.stored("app_clone", "ssl_type"); strings.Join(app, ",") != strings.Join(clone, ",") || strings.Join(app, ",") != "ANY," {
			t.Errorf("app requires TLS %q, the clone %q", app, clone)
		}
	})
	t.Run("a wrong network is no wrong password", func(t *testing.T) {
		closed := m.user("app", "turn-3")
		closed.Port = 1
		if _, err := (MySQL{}).Login(ctx, closed); !errors.Is(err, rotate.ErrUnreachable) {
			t.Errorf("a closed port: got %v", err)
		}
		stranger := m.user("app", "turn-3")
		stranger.SSLRootCert = pgtest.NewAuthority(t).File
		if _, err := (MySQL{}).Login(ctx, stranger); !errors.Is(err, rotate.ErrProtection) {
			t.Errorf("a certificate of another authority: got %v", err)
		}
		missing := m.user("app", "turn-3")
		missing.Name = "information_schemata"
		if _, err := (MySQL{}).Login(ctx, missing); err == nil || errors.Is(err, rotate.ErrLogin) || errors.Is(err, rotate.ErrUnreachable) {
			t.Errorf("a database that does not exist: got %v", err)
		}
	})
}
