package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

const (
	// postgresConnections is how many connections a process has at most. Long
	// reads take maxStreams of them and the ledger one; with the rest a few
	// replicas stay far below what a small server allows.
	postgresConnections = 8
	// postgresIdle is how many of them stay open while nobody needs them.
	postgresIdle = 4
	// postgresLifetime is how long one is used: afterwards a new one finds the
	// server that a failover made the primary, and the password of the day.
	postgresLifetime = 5 * time.Minute
)

// OpenPostgres opens the PostgreSQL database that connector, of pgx, connects
// to, and migrates it. Several processes may open it, and start together. Where
// a connection is made, and with which password, is the connector's to decide
// each time.
//
// The error matches ErrNewer where a newer version of the gateway made the
// database.
func OpenPostgres(ctx context.Context, connector driver.Connector) (*Store, error) {
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresIdle)
	db.SetConnMaxLifetime(postgresLifetime)
	db.SetConnMaxIdleTime(postgresLifetime)
	if err := migrate(ctx, postgresMigrator, db); err != nil {
		return nil, errors.Join(failed("migrate", err), db.Close())
	}
	return newStore(ctx, db, db)
}
