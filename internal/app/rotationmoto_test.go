//go:build long

package app

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"gateway/internal/gatewaytest"
)

// TestRotationsByMotoFailNothing is TestRotationsUnderLoadFailNothing with moto's
// Secrets Manager.
func TestRotationsByMotoFailNothing(t *testing.T) {
	url := moto(t)
	for name, turns := range map[string]bool{"a single user": false, "two users who take turns": true} {
		t.Run(name, func(t *testing.T) { rotateUnderLoad(t, url, turns, max(10, *rotations/5)) })
	}
}

// moto starts moto's server, where it is installed.
func moto(t *testing.T) (url string) {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'); the same test runs against our own stand-in")
	}
	address := gatewaytest.FreePort(t)
	_, port, _ := net.SplitHostPort(address)
	server := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	})
	gatewaytest.Eventually(t, "moto listens", func() bool {
		conn, err := net.Dial("tcp", address)
		return err == nil && conn.Close() == nil
	})
	return "http://" + address
}
