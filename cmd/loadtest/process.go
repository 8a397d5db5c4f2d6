package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child process.
type process struct {
	name  string
	pid   int
	cmd   *exec.Cmd
	stdin io.Closer // of a role, which ends when stdin is closed
	log   string
	ended chan struct{} // closed when the process has ended and err is set
	err   error
}

// launch starts a program whose output goes to a file.
func launch(name, log string, cmd *exec.Cmd) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stderr = out
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.SysProcAttr = dying()
	p := &process{name: name, cmd: cmd, log: log, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		release := ownThread() // on Linux the child ends when the thread that started it ends
		started <- cmd.Start()
		p.err = cmd.Wait()
		close(p.ended)
		release()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// stop sends SIGTERM and waits for the end of the process. After a while it kills the process.
func (p *process) stop() error {
	const gentle = 30 * time.Second
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.thaw() // a stopped process does not handle SIGTERM
	select {
	case <-p.ended:
	case <-time.After(gentle):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within %v of SIGTERM and was killed", p.name, gentle)
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) && exit.ExitCode() != 0 && exit.ExitCode() != -1 {
		return fmt.Errorf("%s ended: %w: %s", p.name, p.err, tail(p.log))
	}
	return nil
}

// alive returns an error if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return errors.Join(fmt.Errorf("%s has ended unexpectedly: %s", p.name, tail(p.log)), p.err)
	default:
		return nil
	}
}

// tail returns the end of a log.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-2000):]))
}

// role starts this program again in another role. The process ends when its standard input is
// closed, so that it does not outlive this one.
func role(dir, name string, args ...string) (*process, io.ReadCloser, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, append([]string{name}, args...)...) //nolint:noctx // it is ended by stop
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	p, err := launch(name, filepath.Join(dir, name+".log"), cmd)
	if err != nil {
		return nil, nil, err
	}
	p.stdin = in
	return p, out, nil
}

// usage are the resources of a process as counted by the kernel.
type usage struct {
	cpu         time.Duration // user and system time since the start
	rss, peak   int64         // resident memory in bytes, now and the maximum
	files       int           // file descriptors
	connections int           // those of files that are sockets
}

// use returns the usage of a process from /proc.
func use(pid int) (u usage, err error) {
	if u.cpu, err = processorTime(pid); err != nil {
		return u, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		size, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		switch name {
		case "VmRSS":
			u.rss = size << 10
		case "VmHWM":
			u.peak = size << 10
		}
	}
	files := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(files)
	if err != nil {
		return u, err
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(files, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		u.files++
		if strings.HasPrefix(to, "socket:") {
			u.connections++
		}
	}
	return u, nil
}

// processorTime returns the processor time of a process, with a resolution of 10 ms.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("the processor time of a process can be read on Linux only: %w", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown format", pid)
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// wait sleeps for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// until polls is until it returns true. It returns an error after the time most.
func until(ctx context.Context, what string, most time.Duration, is func() (bool, error)) error {
	for end := time.Now().Add(most); ; {
		done, err := is()
		if done || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("time-out after %v while waiting until %s", most, what)
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
