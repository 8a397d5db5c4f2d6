package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// PostgresServer says where a PostgreSQL database is, who asks, and how the
// connection is protected. Its zero values protect as far as the host allows.
type PostgresServer struct {
	Host     string // a name, an address, or the folder of a Unix socket
	Port     uint16
	Database string
	Username string
	Password func() string // asked for where a connection is made, so that it cannot be printed

	// SSLMode is libpq's sslmode. Empty: verify-full, or disable where the host
	// is this machine.
	SSLMode string
	// SSLRootCert is libpq's sslrootcert: the file of the authorities that may
	// vouch for the server, or "system". Empty: as libpq's own variable and file
	// have it, else those of the system. The file is read for each connection.
	SSLRootCert string
	// RequireAuth is libpq's require_auth: the ways in which the server may ask
	// for the password. Empty: scram-sha-256, which does not show it; where the
	// host is this machine, also none.
	RequireAuth string

	resolve pgconn.LookupFunc // in tests; nil: the system's
}

// Check says whether a connection could be asked for, without asking.
func (p PostgresServer) Check() error {
	_, err := p.config()
	return err
}

// connect makes a connection that is not used again once retired says so.
func (p PostgresServer) connect(ctx context.Context, retired func() bool) (driver.Conn, error) {
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	reset := func(context.Context, *pgx.Conn) error {
		if retired() {
			return driver.ErrBadConn
		}
		return nil
	}
	conn, err := stdlib.GetConnector(*cfg, stdlib.OptionResetSession(reset)).Connect(ctx)
	return conn, protectionError(err)
}

func (p PostgresServer) config() (*pgx.ConnConfig, error) {
	if err := p.CheckProtection(); err != nil {
		return nil, failed("address", err)
	}
	// The port counts for each of several hosts.
	address := fmt.Sprintf("host=%s port=%d dbname=%s sslmode=%s require_auth=%s",
		quote(p.Host), p.Port, quote(p.Database), p.sslMode(), quote(p.requireAuth()))
	if p.SSLRootCert != "" {
		address += " sslrootcert=" + quote(p.SSLRootCert)
	}
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// What pgx says around the cause repeats the address.
		return nil, failed("address", cmp.Or(errors.Unwrap(err), errors.New("the host, the port or a PG… variable is wrong")))
	}
	// Set here and not in the address, which pgx repeats in errors.
	cfg.User, cfg.Password = p.Username, p.Password()
	cfg.RuntimeParams["application_name"] = "gateway" // which poolers have, too; see sessionConnector
	if p.resolve != nil {
		cfg.LookupFunc = p.resolve
	}
	return cfg, nil
}

// quote quotes a value of a connection string.
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
