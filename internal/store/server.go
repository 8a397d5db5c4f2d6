package store

import (
	"context"
	"database/sql/driver"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// frozenTime is how long the server keeps the locks of a transaction whose
// client has gone silent in the middle of it. Ours never pause there, so such a
// client is frozen or cut off, and others wait for the rows it holds: whoever
// takes over its renewal, say, must not wait for longer than its lease.
const frozenTime = 5 * time.Second

// PostgresServer says where a PostgreSQL database is and who asks.
type PostgresServer struct {
	Host     string
	Port     uint16
	Database string
	Username string
	Password func() string // asked for where a connection is made, so that it cannot be printed
	SSLMode  string        // as libpq has it; empty: disable on this machine, else require
}

// Check says whether a connection could be asked for, without asking.
func (p PostgresServer) Check() error {
	_, err := p.config()
	return err
}

func (p PostgresServer) connect(ctx context.Context) (driver.Conn, error) {
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	return stdlib.GetConnector(*cfg).Connect(ctx)
}

func (p PostgresServer) config() (*pgx.ConnConfig, error) {
	mode := p.SSLMode
	if mode == "" {
		mode = "require"
		if ip := net.ParseIP(p.Host); p.Host == "localhost" || (ip != nil && ip.IsLoopback()) {
			mode = "disable"
		}
	}
	address := url.URL{Scheme: "postgres", Host: net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))), Path: "/" + p.Database,
		RawQuery: url.Values{"sslmode": {mode}}.Encode()}
	cfg, err := pgx.ParseConfig(address.String())
	if err != nil {
		return nil, failed("address", err)
	}
	// Set here and not in the address, which pgx repeats in errors.
	cfg.User, cfg.Password = p.Username, p.Password()
	cfg.RuntimeParams["application_name"] = "gateway"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(frozenTime.Milliseconds(), 10)
	return cfg, nil
}
