package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const unitFile = "../systemd/gateway.service"

// analyze runs systemd-analyze, and skips the test where there is none.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// systemd understands each line of the unit.
func TestTheUnitIsValid(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The program must be there; this one is.
	unit := strings.Replace(read(t, unitFile), "ExecStart=/usr/local/bin/gateway", "ExecStart="+self, 1)
	file := filepath.Join(t.TempDir(), "gateway.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := analyze(t, "verify", "--man=no", file); strings.Contains(out, "gateway.service") {
		t.Errorf("systemd-analyze verify says\n%s", out)
	}
}

// What is left open is the network, the disk of the data dir, and what the
// gateway reads of its own limits. An exposure of 2 is what systemd calls OK.
func TestTheUnitIsHardened(t *testing.T) {
	out := analyze(t, "security", "--offline=true", "--no-pager", "--threshold=15", unitFile)
	if !strings.Contains(out, "Overall exposure level") {
		t.Errorf("systemd-analyze security says\n%s", out)
	}
}

func TestTheUnitFitsTheGateway(t *testing.T) {
	unit := read(t, unitFile)
	value := func(name string) string {
		match := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
		if match == nil {
			t.Fatalf("the unit has no %s", name)
		}
		return match[1]
	}
	seconds, err := strconv.Atoi(value("TimeoutStopSec"))
	if stop := time.Duration(seconds) * time.Second; err != nil || stop <= defaultTime(t, "GATEWAY_SHUTDOWN_GRACE") {
		t.Errorf("it has %s to stop (%v)", stop, err)
	}
	if !strings.Contains(unit, "GATEWAY_DATA_DIR=%S/"+value("StateDirectory")+" ") {
		t.Error("the data dir is not the unit's state directory")
	}
	page := read(t, "../../docs/configuration.md")
	for _, match := range regexp.MustCompile(`\b(GATEWAY_\w+)=`).FindAllStringSubmatch(unit, -1) {
		if !strings.Contains(page, "| `"+match[1]+"` |") {
			t.Errorf("there is no setting %s", match[1])
		}
	}
}
