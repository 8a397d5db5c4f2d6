package databases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gateway/internal/postgres"
	"gateway/internal/rotate"
	"gateway/internal/secrets"
)

// loginTime bounds the time to make a connection.
const loginTime = 10 * time.Second

// Postgres changes passwords of PostgreSQL. It sends a SCRAM-SHA-256 verifier and never a
// password, neither in a statement nor at the login.
type Postgres struct{}

var _ rotate.Server = Postgres{}

// Login implements rotate.Server. The role is current_user.
func (p Postgres) Login(ctx context.Context, as secrets.Database) (role string, err error) {
	err = p.do(ctx, as, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT current_user::text`).Scan(&role)
	})
	return role, err
}

// SetPassword implements rotate.Server.
func (p Postgres) SetPassword(ctx context.Context, as secrets.Database, user string, password secrets.Secret) error {
	verifier, err := scramVerifier(password.Reveal())
	if err != nil {
		return err
	}
	return p.do(ctx, as, func(conn *pgx.Conn) error {
		// A user may change its own password, but not in the role that a login may have set.
		return execute(ctx, conn, `SET ROLE NONE`, `ALTER ROLE `+identifier(user)+` PASSWORD `+literal(verifier))
	})
}

// SetTwin implements rotate.Server. It makes the owner role and the user if they do not exist,
// makes both users members of the owner role, and sets that role at their logins, so that what
// they make belongs to it. All is done in one transaction.
func (p Postgres) SetTwin(ctx context.Context, as secrets.Database, twins rotate.Twins, password secrets.Secret) error {
	verifier, err := scramVerifier(password.Reveal())
	if err != nil {
		return err
	}
	return p.do(ctx, as, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if err := ownNothing(ctx, tx, twins, as.Name); err != nil {
				return err
			}
			if err := makeRole(ctx, tx, twins.Owner, "NOLOGIN"); err != nil {
				return err
			}
			if err := makeRole(ctx, tx, twins.Next, "LOGIN"); err != nil {
				return err
			}
			for _, user := range []string{twins.Other, twins.Next} {
				if err := join(ctx, tx, user, twins.Owner); err != nil {
					return err
				}
			}
			return execute(ctx, tx, `ALTER ROLE `+identifier(twins.Next)+` LOGIN PASSWORD `+literal(verifier))
		})
	})
}

// ownNothing returns an error if something in the database belongs to one of the users
// instead of their role, as with AWS's templates: the other user could not work with it.
func ownNothing(ctx context.Context, tx pgx.Tx, twins rotate.Twins, database string) error {
	var users []string
	for _, user := range []string{twins.Other, twins.Next} {
		if user != twins.Owner {
			users = append(users, user)
		}
	}
	rows, err := tx.Query(ctx, `SELECT DISTINCT rolname::text FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = ANY($1)
AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1`, users)
	if err != nil {
		return err
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(owners) == 0 {
		return err
	}
	statements, err := handOver(ctx, tx, owners, twins.Owner)
	if err != nil {
		return err
	}
	return fmt.Errorf("there are tables or other objects of users that their role %s should own; run this in the database %s, and rotate again: %s",
		identifier(twins.Owner), identifier(database), strings.Join(statements, "; "))
}

// handOver returns the statements that give what users own to their role. The users become
// members first, so that those in use keep their rights.
func handOver(ctx context.Context, tx pgx.Tx, users []string, owner string) (statements []string, err error) {
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, owner).Scan(&exists); err != nil {
		return nil, err
	}
	if !exists {
		statements = append(statements, "CREATE ROLE "+identifier(owner)+" NOLOGIN")
	}
	names := make([]string, len(users))
	for i, user := range users {
		names[i] = identifier(user)
		statements = append(statements, "GRANT "+identifier(owner)+" TO "+names[i])
	}
	return append(statements, "REASSIGN OWNED BY "+strings.Join(names, ", ")+" TO "+identifier(owner)), nil
}

// makeRole makes a role that does not exist.
func makeRole(ctx context.Context, tx pgx.Tx, role, login string) error {
	var exists bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&exists)
	if err != nil || exists {
		return err
	}
	return execute(ctx, tx, `CREATE ROLE `+identifier(role)+` `+login)
}

// join makes a user a member of the owner role and sets that role at its logins. What is so
// already is not done again, since it may need rights that are not needed otherwise.
func join(ctx context.Context, tx pgx.Tx, user, owner string) error {
	if user == owner {
		return nil
	}
	var member bool
	var settings []string
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid WHERE m.member = u.oid AND o.rolname = $2),
coalesce(u.rolconfig, '{}') FROM pg_roles u WHERE u.rolname = $1`, user, owner).Scan(&member, &settings)
	if err != nil {
		return fmt.Errorf("the user %s: %w", identifier(user), err)
	}
	if !member {
		if err := execute(ctx, tx, `GRANT `+identifier(owner)+` TO `+identifier(user)); err != nil {
			return err
		}
	}
	if slices.Contains(settings, "role="+owner) {
		return nil
	}
	return execute(ctx, tx, `ALTER ROLE `+identifier(user)+` SET role = `+literal(owner))
}

// do makes a connection, and closes it after use.
func (Postgres) do(ctx context.Context, as secrets.Database, use func(*pgx.Conn) error) error {
	server := postgres.Server{Host: as.Host, Port: as.Port, Database: as.Name, Username: as.Username, Password: as.Password.Reveal,
		SSLMode: as.SSLMode, SSLRootCert: as.SSLRootCert, RequireAuth: as.RequireAuth}
	login, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	conn, err := server.Connect(login)
	if err != nil {
		return fmt.Errorf("login of %s at %s: %w", identifier(as.Username), as.Host, postgresError(err))
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	return use(conn)
}

// postgresError marks the error of a login.
func postgresError(err error) error {
	const invalidPassword = "28P01"
	var (
		refused    *pgconn.PgError
		protection *postgres.ProtectionError
		network    net.Error
	)
	switch {
	case errors.As(err, &refused) && refused.Code == invalidPassword:
		return fmt.Errorf("%w: %w", rotate.ErrLogin, err)
	case errors.As(err, &refused):
		return err
	case errors.As(err, &protection):
		return fmt.Errorf("%w: %w", rotate.ErrProtection, err)
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", rotate.ErrUnreachable, err)
	}
	return err
}

// execute runs statements without arguments.
func execute(ctx context.Context, on interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, statements ...string) error {
	for _, statement := range statements {
		if _, err := on.Exec(ctx, statement); err != nil {
			verb, _, _ := strings.Cut(statement, " PASSWORD ")
			return fmt.Errorf("%s: %w", verb, err)
		}
	}
	return nil
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a text for PostgreSQL, whatever standard_conforming_strings is.
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
