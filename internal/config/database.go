package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"gateway/internal/postgres"
	"gateway/internal/secrets"
)

// DatabaseDefaults are what a database secret may leave out.
func (c *Config) DatabaseDefaults() (secrets.Database, error) {
	d := secrets.Database{Name: c.DBName, SSLMode: c.DBSslmode, SSLRootCert: cmp.Or(c.DBSslrootcert, os.Getenv("PGSSLROOTCERT")), RequireAuth: c.DBRequireAuth}
	var err error
	if d.Host, d.Port, err = secrets.ParseHost(c.DBHost); err != nil {
		return d, fmt.Errorf("GATEWAY_DB_HOST: %w", err)
	}
	if strings.Contains(d.Name, "://") {
		return d, errors.New("GATEWAY_DB_NAME: must be the name of a database, not a URL")
	}
	return d, nil
}

// validateProtection checks the settings of the connection to the database.
func (c *Config) validateProtection(fault func(name, format string, args ...any)) {
	for _, setting := range []struct {
		name   string
		server postgres.Server
	}{
		{"DB_SSLMODE", postgres.Server{SSLMode: c.DBSslmode}},
		{"DB_SSLROOTCERT", postgres.Server{SSLRootCert: c.DBSslrootcert}},
		{"DB_REQUIRE_AUTH", postgres.Server{RequireAuth: c.DBRequireAuth}},
	} {
		if err := setting.server.CheckProtection(); err != nil {
			fault(setting.name, "%v", err)
		}
	}
}
