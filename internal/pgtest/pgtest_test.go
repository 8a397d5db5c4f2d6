package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

func TestDatabasesAreNewAndApart(t *testing.T) {
	t.Parallel()
	for range 2 {
		conn, err := pgx.Connect(t.Context(), Database(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), `CREATE TABLE it (x BIGINT)`); err != nil {
			t.Error(err)
		}
	}
}

func TestPreparedDatabasesBeginAlikeAndAreApart(t *testing.T) {
	t.Parallel()
	calls := 0
	for range 2 {
		url := Prepared(t, func(url string) error {
			calls++
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				return err
			}
			_, err = conn.Exec(t.Context(), `CREATE TABLE it (x BIGINT PRIMARY KEY)`)
			return errors.Join(err, conn.Close(t.Context()))
		})
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), `INSERT INTO it VALUES (1)`); err != nil {
			t.Error(err)
		}
	}
	if calls != 1 {
		t.Errorf("prepare was called %d times, want 1", calls)
	}
}

func TestDatabaseIsDroppedEvenWhileInUse(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("a test that leaves a connection open", func(t *testing.T) {
		name = Database(t)
		if _, err := pgx.Connect(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	})
	if name == "" {
		t.Skip("there is no server")
	}
	if conn, err := pgx.Connect(t.Context(), name); err == nil {
		conn.Close(t.Context())
		t.Error("the database is still there")
	}
}

func TestBinaries(t *testing.T) {
	t.Run("a folder that is named must have them", func(t *testing.T) {
		t.Setenv("TEST_PG_BIN", t.TempDir())
		if _, err := binaries(); err == nil || errors.Is(err, errNoBinaries) {
			t.Errorf("got %v, want an error that does not let tests be skipped", err)
		}
	})
	t.Run("a link on the PATH leads to them", func(t *testing.T) {
		bin, path := t.TempDir(), t.TempDir()
		for _, name := range []string{"pg_ctl", "initdb", "postgres"} {
			if err := os.WriteFile(filepath.Join(bin, name), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join(bin, "pg_ctl"), filepath.Join(path, "pg_ctl")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TEST_PG_BIN", "")
		t.Setenv("PATH", path)
		got, err := binaries()
		if wanted, _ := filepath.EvalSymlinks(bin); got != wanted || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, wanted)
		}
	})
}

// childEnv makes a child of this test binary wait with a server to be killed.
const childEnv = "PGTEST_KILLED_CHILD"

func TestServerEndsWithATestThatIsKilled(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		Database(t)
		os.Stdout.WriteString(shared.server.folder + "\n")
		select {}
	}
	t.Parallel()
	if os.Getenv("TEST_PG_URL") != "" {
		t.Skip("there is no server of our own")
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux tells the server that we were killed")
	}
	if _, err := binaries(); err != nil {
		t.Skip(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestServerEndsWithATestThatIsKilled$")
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4096)
	n, err := out.Read(line)
	folder := strings.TrimSpace(string(line[:n]))
	if err != nil || !strings.Contains(folder, "pgtest-") {
		child.Process.Kill()
		t.Fatalf("the child said %q, %v", folder, err)
	}
	defer os.RemoveAll(folder)
	text, err := os.ReadFile(filepath.Join(folder, "data", "postmaster.pid"))
	if err != nil {
		t.Error(err)
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		state, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.Contains(string(state), ") Z ") {
			return
		}
	}
	t.Errorf("the server, process %s, still runs", pid)
}
