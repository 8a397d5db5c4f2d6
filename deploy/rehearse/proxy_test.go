package rehearse

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A proxy stands for the load balancer.
type proxy interface {
	address() string
	register(*testing.T, *task)
	deregister(*testing.T, *task)
	// closesIdle tells that a change closes idle connections of clients, who
	// must then use one for each request.
	closesIdle() bool
}

// run starts a proxy, which ends with the test.
func run(t *testing.T, log string, args ...string) *os.Process {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		out.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("%s: %.3000s", args[0], text)
		}
	})
	return cmd.Process
}

func waitListening(t *testing.T, address string) {
	t.Helper()
	eventually(t, "connect", func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// nginx is told of a change by a new configuration. Its old processes end
// their requests.
type nginx struct {
	folder, listen string
	times          times
	process        *os.Process
	servers        []string
}

func newNginx(t *testing.T, d times) *nginx {
	return &nginx{folder: t.TempDir(), listen: freeAddress(t), times: d}
}

func (n *nginx) address() string { return n.listen }

func (n *nginx) closesIdle() bool { return true }

func (n *nginx) register(t *testing.T, r *task) {
	n.servers = append(n.servers, r.address)
	n.apply(t)
}

func (n *nginx) deregister(t *testing.T, r *task) {
	n.servers = slices.DeleteFunc(n.servers, func(address string) bool { return address == r.address })
	n.apply(t)
}

func (n *nginx) apply(t *testing.T) {
	t.Helper()
	config := filepath.Join(n.folder, "nginx.conf")
	if err := os.WriteFile(config+".new", []byte(n.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(config+".new", config); err != nil {
		t.Fatal(err)
	}
	if n.process == nil {
		n.process = run(t, filepath.Join(n.folder, "log"), "nginx", "-p", n.folder, "-c", config, "-e", "stderr")
		waitListening(t, n.listen)
	} else if err := n.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func (n *nginx) config() string {
	asRoot := ""
	if os.Geteuid() == 0 {
		asRoot = "user root;"
	}
	// max_fails=0: a failed request does not take a server out.
	servers := ""
	for _, address := range n.servers {
		servers += fmt.Sprintf("server %s max_fails=0; ", address)
	}
	idle := n.times.proxyIdle.Milliseconds()
	return fmt.Sprintf(`daemon off; %s worker_processes 2; pid nginx.pid;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	upstream gateways { %s keepalive 64; keepalive_timeout %dms; keepalive_requests 1000000; }
	server {
		listen %s;
		location / {
			proxy_pass http://gateways;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_request_buffering off;
			proxy_next_upstream off;
			proxy_read_timeout %dms;
		}
	}
}
`, asRoot, servers, idle, n.listen, idle)
}

// haproxy is told of a change through its socket.
type haproxy struct {
	folder, listen string
	slots          [3]*task
}

func newHAProxy(t *testing.T, d times) *haproxy {
	t.Helper()
	folder, err := os.MkdirTemp("", "haproxy") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	h := &haproxy{folder: folder, listen: freeAddress(t)}
	config := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(h.config(d)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, filepath.Join(folder, "log"), "haproxy", "-db", "-f", config)
	waitListening(t, h.listen)
	return h
}

func (h *haproxy) config(d times) string {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	servers := ""
	for i := range h.slots {
		servers += fmt.Sprintf("\tserver s%d 127.0.0.1:1 disabled\n", i)
	}
	return fmt.Sprintf(`global
	stats socket %s mode 600 level admin
	maxconn 1000
defaults
	mode http
	timeout connect 5s
	timeout check 5s
	timeout client %[2]dms
	timeout server %[2]dms
	timeout http-keep-alive %[2]dms
	retries 0
frontend apps
	bind %[3]s
	default_backend gateways
backend gateways
	balance roundrobin
	http-reuse safe
	option httpchk GET /readyz
	http-check expect status 200
	default-server check inter %[4]dms rise %[5]d fall %[6]d pool-purge-delay %[2]dms
%[7]s`, h.socket(), ms(d.proxyIdle), h.listen, ms(d.checkInterval), d.healthy, d.unhealthy, servers)
}

func (h *haproxy) socket() string { return filepath.Join(h.folder, "socket") }

func (h *haproxy) address() string { return h.listen }

func (h *haproxy) closesIdle() bool { return false }

// register puts a gateway in the place of one that has ended.
func (h *haproxy) register(t *testing.T, r *task) {
	t.Helper()
	slot := slices.IndexFunc(h.slots[:], func(other *task) bool { return other == nil || len(other.ended) > 0 })
	if slot < 0 {
		t.Fatal("all slots are taken")
	}
	h.slots[slot] = r
	_, port, _ := net.SplitHostPort(r.address)
	h.tell(t, slot, "state maint")
	h.tell(t, slot, "addr 127.0.0.1 port "+port)
	h.tell(t, slot, "state ready")
	eventually(t, "haproxy", func() error { return h.isUp(slot) })
}

func (h *haproxy) deregister(t *testing.T, r *task) {
	t.Helper()
	h.tell(t, slices.Index(h.slots[:], r), "state drain")
}

func (h *haproxy) tell(t *testing.T, slot int, change string) {
	t.Helper()
	answer, err := h.command(fmt.Sprintf("set server gateways/s%d %s", slot, change))
	if answer = strings.TrimSpace(answer); err != nil || answer != "" && !strings.Contains(answer, "changed from") {
		t.Fatalf("%s: %q, %v", change, answer, err)
	}
}

// isUp is an error unless the proxy sends requests to a server.
func (h *haproxy) isUp(slot int) error {
	answer, err := h.command("show servers state gateways")
	if err != nil {
		return err
	}
	for line := range strings.Lines(answer) {
		// Fields: backend's id and name, server's id, name, address and state, of which 2 is running.
		if f := strings.Fields(line); len(f) > 5 && f[3] == fmt.Sprintf("s%d", slot) && f[5] == "2" {
			return nil
		}
	}
	return errors.New("the server is not up")
}

func (h *haproxy) command(line string) (string, error) {
	conn, err := net.Dial("unix", h.socket())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}
