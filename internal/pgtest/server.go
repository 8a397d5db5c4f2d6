package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	owner = "pgtest" // the server's superuser
	// startTime bounds the start of a server, on a machine that has much else to do.
	startTime = time.Minute
	// portTries is how often a port is tried that another process may take
	// between our finding it and the server's.
	portTries = 5
)

// server is a running PostgreSQL server.
type server struct {
	folder   string // everything of it; removed by stop
	inMemory bool   // the folder
	password string
	port     int
	keeps    bool // what it has committed, if it is killed
	pid      atomic.Int64

	quit  chan struct{} // closed by stop
	ended chan error    // the server's end
}

// start makes a new server with the programs in bin.
func start(bin string) (*server, error) {
	uid, gid, err := serverUser()
	if err != nil {
		return nil, err
	}
	// Not a folder of the test's: another user could not get into that.
	folder, inMemory, err := newFolder()
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder, inMemory: inMemory, password: rand.Text()}
	if err := s.initialize(bin, uid, gid); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	for range portTries {
		if s.port, err = freePort(); err == nil {
			err = s.listen(bin, uid, gid)
		}
		if err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(folder))
}

// serverUser returns the user to run the server as; -1: the current one.
func serverUser() (uid, gid int, err error) {
	if os.Getuid() != 0 {
		return -1, -1, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.Atoi(u.Uid)
			gid, err2 := strconv.Atoi(u.Gid)
			return uid, gid, errors.Join(err1, err2)
		}
	}
	return 0, 0, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

func (s *server) data() string { return filepath.Join(s.folder, "data") }

// initialize makes the files of the server.
func (s *server) initialize(bin string, uid, gid int) error {
	password := filepath.Join(s.folder, "password")
	if err := os.WriteFile(password, []byte(s.password), 0o600); err != nil {
		return err
	}
	if uid >= 0 {
		if err := errors.Join(os.Chown(s.folder, uid, gid), os.Chown(password, uid, gid)); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", s.data(), "-U", owner, "--pwfile", password,
		"-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = s.folder, attributes(uid, gid)
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// listen starts the server on its port and waits until it is ready.
func (s *server) listen(bin string, uid, gid int) error {
	output, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return err
	}
	defer output.Close()
	// It continues after the test that started it; stop ends it.
	postgres := exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit="+onOff(s.keeps),
		"-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "wal_init_zero=off", "-c", "autovacuum=off",
		"-c", "max_wal_size=128MB")
	postgres.Dir, postgres.SysProcAttr = s.folder, attributes(uid, gid)
	postgres.Stdout, postgres.Stderr = output, output

	s.quit, s.ended = make(chan struct{}), make(chan error, 1)
	started := make(chan error)
	go func() {
		// The kernel ends the server with the thread that started it, so that
		// thread must last: this goroutine keeps it for as long as the server is.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := postgres.Start()
		started <- err
		if err != nil {
			return
		}
		s.pid.Store(int64(postgres.Process.Pid))
		exited := make(chan error, 1)
		go func() { exited <- postgres.Wait() }()
		select {
		case err := <-exited:
			s.ended <- fmt.Errorf("the server has ended by itself: %w", errors.Join(err))
		case <-s.quit:
			err := postgres.Process.Signal(syscall.SIGQUIT) // at once, without tidying
			<-exited                                        //nolint:errcheck // its code says that it was not tidy
			s.ended <- err
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	for deadline := time.Now().Add(startTime); !s.ready(); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-s.ended:
			text, _ := os.ReadFile(output.Name())
			return fmt.Errorf("%w\n%s", err, text)
		default:
		}
		if time.Now().After(deadline) {
			close(s.quit)
			<-s.ended //nolint:errcheck // that it was not ready says more
			return fmt.Errorf("the server was not ready after %v", startTime)
		}
	}
	return nil
}

// strategy is how the server copies a database: the clause of CREATE DATABASE. The copy of
// files is faster in memory and slower on a disk than what PostgreSQL 15 does by default;
// before 15 there is no choice.
func (s *server) strategy() string {
	version, _ := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if number, err := strconv.Atoi(strings.TrimSpace(string(version))); err != nil || number < 15 || !s.inMemory {
		return ""
	}
	return " STRATEGY FILE_COPY"
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// ready reads what the server says of itself in its file postmaster.pid.
func (s *server) ready() bool {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	return err == nil && len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// url names the database that every server has.
func (s *server) url() *url.URL {
	return &url.URL{
		Scheme: "postgres", User: url.UserPassword(owner, s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
}

// stop ends the server and removes its files.
func (s *server) stop() error {
	close(s.quit)
	return errors.Join(<-s.ended, os.RemoveAll(s.folder))
}
