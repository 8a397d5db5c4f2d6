package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gateway/internal/postgres"
)

// Unavailable reports whether an error of OpenPostgres means that the server does not
// answer or has no resources, so that retrying may help.
func Unavailable(err error) bool {
	var (
		protection *postgres.ProtectionError
		pg         *pgconn.PgError
		connect    *pgconn.ConnectError
		network    net.Error
	)
	switch {
	case errors.As(err, &protection), errors.Is(err, ErrSharedSessions):
		return false
	case errors.As(err, &pg):
		const connection, resources, operator = "08", "53", "57P"
		return strings.HasPrefix(pg.Code, connection) || strings.HasPrefix(pg.Code, resources) || strings.HasPrefix(pg.Code, operator)
	}
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.DeadlineExceeded)
}

// PermissionError means that the user of the database lacks a privilege.
type PermissionError struct {
	User, Database string
	Grant          string // the statement that grants the privilege
	Err            error
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("user %q lacks a privilege on database %q; its owner can grant it: %s: %v", e.User, e.Database, e.Grant, e.Err)
}
func (e *PermissionError) Unwrap() error { return e.Err }

// permissionError returns a PermissionError if err is about a missing privilege. It
// asks the server for the names that the error does not have.
func permissionError(ctx context.Context, connector driver.Connector, err error) error {
	const insufficientPrivilege, invalidSchemaName = "42501", "3F000"
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != insufficientPrivilege && pg.Code != invalidSchemaName {
		return err
	}
	name := func(text string) string { return pgx.Identifier{text}.Sanitize() }
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) { // the login failed
		user, database := connect.Config.User, connect.Config.Database
		return &PermissionError{user, database, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", name(database), name(user)), err}
	}
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	conn, failure := connectPgx(ctx, connector)
	if failure != nil {
		return err
	}
	defer conn.Close()
	var user, database, schema, owner string
	failure = conn.Conn().QueryRow(ctx, `SELECT current_user, current_database(), coalesce(current_schema(), 'public'), coalesce((
SELECT tableowner FROM pg_catalog.pg_tables WHERE schemaname = coalesce(current_schema(), 'public') AND tablename = 'goose_db_version'), '')`).
		Scan(&user, &database, &schema, &owner)
	if failure != nil {
		return err
	}
	grant := fmt.Sprintf("GRANT USAGE, CREATE ON SCHEMA %s TO %s", name(schema), name(user))
	if owner != "" && owner != user { // the tables are another user's
		grant = fmt.Sprintf("GRANT %s TO %s", name(owner), name(user))
	}
	return &PermissionError{user, database, grant, err}
}
