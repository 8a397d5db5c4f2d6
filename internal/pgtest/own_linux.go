package pgtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Server is a server for one test, which may mistreat it.
type Server struct {
	t        testing.TB
	server   *server
	bin      string
	uid, gid int
	running  bool
}

// New starts a server that is removed when the test ends. What it has committed
// it keeps when it is stopped, unlike the one that tests share. Where size is not
// zero its files are on a disk of that size in bytes, which only root can make; the
// test is skipped where that is refused.
func New(t testing.TB, size int) *Server {
	t.Helper()
	bin, err := binaries()
	if errors.Is(err, errNoBinaries) && os.Getenv("CI") != "true" {
		t.Skipf("pgtest: %v", err)
	}
	s := &Server{t: t, bin: bin, server: &server{password: rand.Text(), keeps: true}}
	s.must(err)
	s.uid, s.gid, err = serverUser()
	s.must(err)
	s.server.folder, s.server.inMemory, err = newFolder()
	s.must(err)
	t.Cleanup(func() { s.must(os.RemoveAll(s.server.folder)) })
	if size > 0 {
		s.disk(size)
	}
	s.must(s.server.initialize(bin, s.uid, s.gid))
	s.server.port, err = freePort()
	s.must(err)
	t.Cleanup(func() {
		if s.running {
			s.Stop()
		}
	})
	s.Start()
	return s
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// disk gives the server's folder a file system of its own.
func (s *Server) disk(size int) {
	s.t.Helper()
	folder := s.server.folder
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", size)); err != nil {
		s.t.Skipf("a server on a full disk needs a file system of its own, which only root may mount: %v", err)
	}
	s.t.Cleanup(func() { s.must(syscall.Unmount(folder, syscall.MNT_DETACH)) })
}

// URL names the database "postgres", as its owner.
func (s *Server) URL() string { return s.server.url().String() }

// Start starts the server after Stop, on the same port.
func (s *Server) Start() {
	s.t.Helper()
	s.must(s.server.listen(s.bin, s.uid, s.gid))
	s.running = true
}

// Stop ends the server at once, as a crash would. One that has ended by itself
// is fine.
func (s *Server) Stop() {
	s.t.Helper()
	s.Resume()
	close(s.server.quit)
	<-s.server.ended //nolint:errcheck // on a full disk it may have ended by itself
	s.running = false
}

// UseTLS restarts the server, which from then on takes TLS connections with
// this certificate and key, in PEM form.
func (s *Server) UseTLS(cert, key []byte) {
	s.t.Helper()
	s.Stop()
	for name, text := range map[string][]byte{"server.crt": cert, "server.key": key} { // where the server looks
		path := filepath.Join(s.server.data(), name)
		s.must(os.WriteFile(path, text, 0o600))
		if s.uid >= 0 {
			s.must(os.Chown(path, s.uid, s.gid))
		}
	}
	s.configure("ssl = on")
	s.Start()
}

// configure adds a line to the configuration, for the next start.
func (s *Server) configure(line string) {
	s.t.Helper()
	file, err := os.OpenFile(filepath.Join(s.server.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	s.must(err)
	_, err = file.WriteString(line + "\n")
	s.must(errors.Join(err, file.Close()))
}

// Alive reports whether the server has not ended by itself.
func (s *Server) Alive() bool {
	return syscall.Kill(int(s.server.pid.Load()), 0) == nil
}

// Pause freezes the server and its sessions: connections stay open without an
// answer.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// signal reaches the server's processes, whose sessions are groups of their own.
func (s *Server) signal(signal syscall.Signal) {
	pid := int(s.server.pid.Load())
	_ = syscall.Kill(pid, signal) // first the one that makes the others
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(children)) {
		var n int
		if _, err := fmt.Sscan(child, &n); err == nil {
			_ = syscall.Kill(n, signal)
		}
	}
}

// Fill takes all the room that is left on the server's disk, until free is
// called.
func (s *Server) Fill() (free func()) {
	s.t.Helper()
	path := filepath.Join(s.server.folder, "filler")
	file, err := os.Create(path)
	s.must(err)
	for block := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.t.Fatalf("pgtest: got %v, want a full disk", err)
	}
	s.must(file.Close())
	return func() { s.must(os.Remove(path)) }
}
