package main

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gateway/deploy/image/sbom"
)

// gatewayImage writes an image of the gateway itself, for this machine's
// architecture, from the sources in a folder.
func gatewayImage(t *testing.T, sources string) (dir, binary string) {
	t.Helper()
	binary = goBuild(t, sources, "./cmd/gateway", filepath.Join(t.TempDir(), "gateway"), "GOARCH="+runtime.GOARCH)
	dir = filepath.Join(t.TempDir(), "image")
	if err := run([]string{"-o", dir, "-version", "test", binary}); err != nil {
		t.Fatal(err)
	}
	return dir, binary
}

// The same sources in another folder give the same digest.
func TestTwoBuildsHaveTheSameDigest(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "a copy")
	if err := os.MkdirAll(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum", "gateway.go", "openapi.yaml", "api", "cmd", "internal"} {
		if text, err := exec.CommandContext(t.Context(), "cp", "-r", filepath.Join("../..", name), elsewhere).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	first, binary := gatewayImage(t, "../..")
	second, _ := gatewayImage(t, elsewhere)
	a, err := readIndex(t, first).Digest()
	if err != nil {
		t.Fatal(err)
	}
	b, err := readIndex(t, second).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("the digests are %s and %s", a, b)
	}

	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	checkSPDX(t, sbom.Of(sbom.Program{Version: "test", OS: "linux", Info: info}),
		"stdlib", "github.com/jackc/pgx/v5", "github.com/aws/aws-sdk-go-v2", "modernc.org/sqlite")
}

// unpack writes the files of an image below a directory.
func unpack(t *testing.T, image, root string) {
	t.Helper()
	headers, contents := filesOf(t, imageFor(t, readIndex(t, image), runtime.GOARCH))
	for name, header := range headers {
		target := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(target, contents[name], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(target, header.Uid, header.Gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(target, os.FileMode(header.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// contain runs its arguments in the root of the first one, which is read-only,
// with the volume of the second one, as the user of the image.
const contain = `set -e
root=$1 volume=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount --bind "$volume" "$root/data"
exec chroot --userspec=65532:65532 "$root" "$@"`

// The image starts as its user, with a read-only root and one volume, gets
// ready, predicts and stops when it is told to.
func TestTheImageStarts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for mounts and chroot")
	}
	if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("needs namespaces of mounts: %v: %s", err, text)
	}
	image, _ := gatewayImage(t, "../..")
	root, volume := t.TempDir(), t.TempDir()
	unpack(t, image, root)
	if err := os.Chown(volume, user, user); err != nil {
		t.Fatal(err)
	}
	config, err := imageFor(t, readIndex(t, image), runtime.GOARCH).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--mount", "sh", "-c", contain, "contain", root, volume}, config.Config.Entrypoint...)
	cmd := exec.CommandContext(t.Context(), "unshare", append(args, config.Config.Cmd...)...)
	cmd.Env = append(config.Config.Env, "GATEWAY_ADDR=127.0.0.1:0")
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH")) // of unshare and mount; the gateway starts no programs
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(stderr)
	address := servingOn(t, lines)
	go io.Copy(io.Discard, lines) // until the process ends

	waitReady(t, address)
	checkUser(t, cmd.Process.Pid)
	predict(t, address)
	if _, err := os.Stat(filepath.Join(volume, "admin-token")); err != nil {
		t.Errorf("the volume has no token: %v", err)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM ends it with %v", err)
	}
}

// servingOn reads the log up to the line that tells the address.
func servingOn(t *testing.T, lines *bufio.Reader) string {
	t.Helper()
	pattern := regexp.MustCompile(`serving on (http://127\.0\.0\.1:\d+)`)
	var log strings.Builder
	for {
		line, err := lines.ReadString('\n')
		log.WriteString(line)
		if match := pattern.FindStringSubmatch(line); match != nil {
			return match[1]
		}
		if err != nil {
			t.Fatalf("it ended: %v\n%s", err, log.String())
		}
	}
}

// waitReady asks /readyz until it answers 200. The first model is trained meanwhile.
func waitReady(t *testing.T, address string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := http.Get(address + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("not ready")
		}
	}
}

// checkUser checks that a process runs as the user of the image, without the
// groups of root.
func checkUser(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Uid:\t65532\t65532\t65532\t65532$`).Match(status) {
		t.Errorf("it does not run as 65532:\n%s", status)
	}
}

func predict(t *testing.T, address string) {
	t.Helper()
	const body = `{"features": {"age": 34, "job": "technician", "marital": "married", "education": "high.school",
		"default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "jun",
		"day_of_week": "wed", "duration": 190, "campaign": 1, "pdays": 3, "previous": 4,
		"poutcome": "success", "emp_var_rate": -1.7, "cons_price_idx": 94.055,
		"cons_conf_idx": -39.8, "euribor3m": 0.715, "nr_employed": 4991.6}}`
	resp, err := http.Post(address+"/predict", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		ID    string `json:"prediction_id"`
		Score *float64
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || answer.ID == "" || answer.Score == nil {
		t.Errorf("POST /predict answered %d %+v", resp.StatusCode, answer)
	}
}
