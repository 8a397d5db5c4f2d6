package gatewaytest

import (
	"testing"
	"time"
)

// Patience bounds what a test waits for. It is far above what anything takes.
const Patience = 2 * time.Minute

// Eventually looks again and again until what is true, at first often: under
// the race detector looking is work too.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for wait := 5 * time.Millisecond; !is(); wait = min(wait*5/4, 50*time.Millisecond) {
		select {
		case <-time.After(wait):
		case <-deadline.C:
			t.Fatalf("after %s it is still not so that %s", Patience, what)
		}
	}
}
