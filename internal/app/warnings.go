package app

import (
	"fmt"
	"net"

	"gateway/internal/config"
)

// warnings are what an operator should know of the settings of a gateway that
// runs. The log has them at the start, and /admin/status for as long as it runs.
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
