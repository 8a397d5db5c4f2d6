package app

import (
	"context"
	"fmt"
	"net"

	"gateway/internal/config"
)

// warnings are what an operator should know of a gateway that runs. The log has them
// at the start, and /admin/status for as long as it runs.
func (a *App) warnings(ctx context.Context) []string {
	out := warnings(a.cfg)
	for _, m := range a.models {
		// A database that fails is reported elsewhere.
		if turned, err := m.engine.TurnedLabel(ctx); err == nil && turned != "" {
			out = append(out, turned)
		}
	}
	return out
}

// warnings are those of the settings.
func warnings(cfg config.Config) []string {
	out := []string{}
	if cfg.APIKeysSecretID == "" && !onlyThisMachine(cfg.Addr) {
		out = append(out, fmt.Sprintf("apps need no key on %s, which other machines reach: anyone there may report outcomes, from which models learn; set GATEWAY_API_KEYS_SECRET_ID",
			cfg.Addr))
	}
	return out
}

// onlyThisMachine reports whether only this machine reaches a listener's address.
func onlyThisMachine(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
