package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// postgresReaders and postgresWriters are the largest numbers of connections of a
	// process: a few replicas stay far below the limit of a small server. Most write
	// transactions run one after the other (see holdSequence), so more of them would
	// only wait in the server instead of here (see turns). Writers have connections of
	// their own, so that they do not delay the lookup of a customer for a prediction.
	postgresReaders = 8
	postgresWriters = 4
	// postgresIdle is how many idle connections of each kind are kept open.
	postgresIdle = 3
	// postgresLifetime is how long a connection is used. A new one leads to the present
	// primary, with the present password.
	postgresLifetime = 5 * time.Minute
)

// PostgresOptions are for tests. The zero value is the default.
type PostgresOptions struct {
	// Lifetime is how long a connection is used. Zero: 5 min.
	Lifetime time.Duration
}

// OpenPostgres opens the PostgreSQL database that connector connects to, and
// migrates it. Several processes may open it at the same time. The connector chooses
// the server and the password for each connection.
//
// The error matches ErrNewer if a newer version of the gateway has migrated the
// database, and ErrSharedSessions if a pooler shares sessions. It may wrap a
// postgres.ProtectionError or a PermissionError. Unavailable reports whether retrying may
// help.
func OpenPostgres(ctx context.Context, connector driver.Connector, o PostgresOptions) (*Store, error) {
	if err := refuseSharedSessions(ctx, connector); err != nil {
		return nil, failed("connect", permissionError(ctx, connector, err))
	}
	retirer, canRetire := connector.(interface{ Retire() }) // before it is wrapped
	connector = sessionConnector{connector}
	if err := migrateAsOwner(ctx, connector); err != nil {
		return nil, failed("migrate", permissionError(ctx, connector, err))
	}
	pool := func(most int) *sql.DB {
		db := sql.OpenDB(connector)
		db.SetMaxOpenConns(most)
		db.SetMaxIdleConns(postgresIdle)
		db.SetConnMaxLifetime(cmp.Or(o.Lifetime, postgresLifetime))
		db.SetConnMaxIdleTime(postgresLifetime)
		return db
	}
	// Lists and bulk use one connection each, so that the others are free for urgent
	// transactions.
	turns := newTurns(postgresWriters, [classes]int{postgresWriters, 1, 1})
	s, err := newStore(ctx, pool(postgresWriters), pool(postgresReaders), turns, postgresInserts)
	if canRetire && err == nil {
		s.retire = retirer.Retire
	}
	return s, err
}

// migrateAsOwner migrates with connections of its own, which it closes.
func migrateAsOwner(ctx context.Context, connector driver.Connector) error {
	db := sql.OpenDB(ownerConnector{connector})
	err := migrate(ctx, postgresMigrator, db)
	return errors.Join(err, db.Close())
}

// ownerConnector makes connections with the role of the owner of the tables. If two
// users alternate, as in a rotation with two users, the second is a member of the
// first. Without this, a table that the second one makes would belong to it, and the
// first could not use it.
type ownerConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (o ownerConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := connectPgx(ctx, o.Connector)
	if err != nil {
		return nil, err
	}
	if err := actAsOwner(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func actAsOwner(ctx context.Context, pg *stdlib.Conn) error {
	var owner string
	err := pg.Conn().QueryRow(ctx, `
SELECT quote_ident(tableowner) FROM pg_catalog.pg_tables
WHERE schemaname = current_schema() AND tablename = 'goose_db_version'
    AND tableowner <> current_user AND pg_has_role(current_user, tableowner, 'MEMBER')`).Scan(&owner)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // the tables belong to this user, or do not exist yet
	}
	if err == nil {
		_, err = pg.Conn().Exec(ctx, "SET ROLE "+owner)
	}
	return err
}
