package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Server is the address of a PostgreSQL database, with the user and the
// settings that protect the connection. Their zero values protect it as far as the
// host allows.
type Server struct {
	Host     string // a name, an address, or the folder of a Unix socket
	Port     uint16
	Database string
	Username string
	Password func() string // called for each connection; a function, so that it cannot be printed

	// SSLMode is libpq's sslmode. Empty: verify-full, or disable where the host
	// is this machine.
	SSLMode string
	// SSLRootCert is libpq's sslrootcert: the file of the authorities that are trusted,
	// or "system". Empty: as libpq's own variable and file have it, else those of the
	// system. The file is read for each connection.
	SSLRootCert string
	// RequireAuth is libpq's require_auth: the methods by which the server may ask for
	// the password. Empty: scram-sha-256, which does not send the password; if the host
	// is this machine, also none.
	RequireAuth string

	// Resolve returns the addresses of a host. Nil: the system's.
	Resolve pgconn.LookupFunc
}

// Check checks the settings without making a connection.
func (p Server) Check() error {
	_, err := p.Config()
	return err
}

// Connect makes a connection. Its error is a ProtectionError if the server does not
// meet the settings.
func (p Server) Connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := p.Config()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	return conn, Protected(err)
}

// Config returns the settings for pgx.
func (p Server) Config() (*pgx.ConnConfig, error) {
	if err := p.CheckProtection(); err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	// If Host is a list, the port is that of each host.
	address := fmt.Sprintf("host=%s port=%d dbname=%s sslmode=%s require_auth=%s",
		quote(p.Host), p.Port, quote(p.Database), p.sslMode(), quote(p.requireAuth()))
	if p.SSLRootCert != "" {
		address += " sslrootcert=" + quote(p.SSLRootCert)
	}
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// The error of pgx repeats the address; its cause does not.
		return nil, fmt.Errorf("address: %w", cmp.Or(errors.Unwrap(err), errors.New("the host, the port or a PG… variable is wrong")))
	}
	// Set here and not in the address, which pgx repeats in errors.
	cfg.User, cfg.Password = p.Username, p.Password()
	cfg.RuntimeParams["application_name"] = "gateway" // poolers accept this parameter; see sessionConnector
	if p.Resolve != nil {
		cfg.LookupFunc = p.Resolve
	}
	return cfg, nil
}

// quote quotes a value of a connection string.
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
