package app

import (
	"net"
	"strings"
	"testing"

	"gateway/internal/config"
)

func TestAnOpenListenerThatOthersReachWarns(t *testing.T) {
	for _, tt := range []struct {
		addr, keys string
		warns      bool
	}{
		{"127.0.0.1:8080", "", false},
		{"localhost:8080", "", false},
		{"[::1]:8080", "", false},
		{"0.0.0.0:8080", "", true},
		{":8080", "", true},
		{"[::]:8080", "", true},
		{"192.168.1.7:8080", "", true},
		{"gateway.internal:8080", "", true},
		{"0.0.0.0:8080", "keys", false},
	} {
		got := warnings(config.Config{ListenerSettings: config.ListenerSettings{Addr: tt.addr}, AccessSettings: config.AccessSettings{APIKeysSecretID: tt.keys}})
		if (len(got) == 1) != tt.warns || got == nil {
			t.Errorf("%s with keys %q: warnings are %q", tt.addr, tt.keys, got)
		}
	}
}

// TestTheWarningIsInTheLogOnceAndInTheStatus starts a gateway that others reach.
func TestTheWarningIsInTheLogOnceAndInTheStatus(t *testing.T) {
	for addr, n := range map[string]int{"0.0.0.0:0": 1, "127.0.0.1:0": 0} {
		cfg := newConfig(t)
		cfg.Addr, cfg.Demo = addr, false
		g := start(t, cfg)
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		const says = "apps need no key"
		if got := strings.Count(g.logs.String(), says); got != n {
			t.Errorf("%s: the log warns %d times, want %d", host, got, n)
		}
		list, ok := g.App.status(t.Context())["warnings"].([]string)
		if !ok || len(list) != n || n == 1 && !strings.Contains(list[0], says) {
			t.Errorf("%s: the status says %q", host, list)
		}
	}
}
