package rehearse

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A task is one gateway, as a process.
type task struct {
	address string // host:port
	cmd     *exec.Cmd
	ended   chan error
	log     *bytes.Buffer // read when it has ended
}

// contain runs its arguments in the root of the first one, which is read-only,
// with the volume of the second one, as the user of the image.
const contain = `set -e
root=$1 volume=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount --bind "$volume" "$root/data"
exec chroot --userspec=65532:65532 "$root" "$@"`

func startTask(t *testing.T, f *files, secret string, d times) *task {
	t.Helper()
	volume := t.TempDir()
	database := filepath.Join(volume, "database.json")
	for name, text := range map[string]string{database: readFile(t, secret), filepath.Join(volume, "tokens.json"): `{"tokens": ["rehearsal"]}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if f.contained {
			if err := os.Chown(name, user, user); err != nil {
				t.Fatal(err)
			}
		}
	}
	data := volume
	args := []string{filepath.Join(f.root, "gateway")}
	if f.contained {
		if err := os.Chown(volume, user, user); err != nil {
			t.Fatal(err)
		}
		data = "/data"
		args = []string{"unshare", "--mount", "sh", "-c", contain, "contain", f.root, volume, "/gateway"}
	}
	r := &task{address: freeAddress(t), ended: make(chan error, 1), log: new(bytes.Buffer)}
	r.cmd = exec.Command(args[0], append(args[1:], "serve")...)
	r.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GATEWAY_ADDR=" + r.address, "GATEWAY_DATA_DIR=" + data, "GATEWAY_LOG_LEVEL=warn",
		"GATEWAY_DB_SECRET_ID=file:" + filepath.Join(data, "database.json"), "GATEWAY_ADMIN_SECRET_ID=file:" + filepath.Join(data, "tokens.json"),
		"GATEWAY_IDLE_TIMEOUT=" + d.gatewayIdle.String(), "GATEWAY_SHUTDOWN_GRACE=" + d.grace.String()}
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
	})
	return r
}

// waitHealthy checks a new gateway as the load balancer does. The first
// gateway of all trains a model meanwhile.
func (r *task) waitHealthy(t *testing.T, d times) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	passed, deadline := 0, time.Now().Add(2*time.Minute)
	for passed < d.healthy {
		resp, err := client.Get("http://" + r.address + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			passed++
		} else {
			passed = 0
		}
		select {
		case ended := <-r.ended:
			r.ended <- ended
			t.Fatalf("the gateway ended: %v\n%s", ended, r.log)
		case <-time.After(d.checkInterval):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway at %s is not healthy", r.address)
		}
	}
}

// end sends a signal and waits for the process. One that does not stop in time
// after SIGTERM is an error.
func (r *task) end(t *testing.T, signal syscall.Signal, limit time.Duration) {
	t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		r.ended <- err
		var exit *exec.ExitError
		if err != nil && (signal != syscall.SIGKILL || !errors.As(err, &exit)) {
			t.Error(fmt.Errorf("after %s the gateway ended with %w\n%s", signal, err, r.log))
		}
	case <-time.After(limit):
		t.Fatalf("the gateway had not stopped %s after %s", limit, signal)
	}
}
