package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// frozenTime is how long a transaction may be idle before the server ends it. The
// gateway never pauses within a transaction, so the process is frozen or cut off.
// The time is not longer than a renewal's lease, so that the process that takes the
// renewal over does not wait longer for the locks.
const frozenTime = 5 * time.Second

// sessionConnector makes connections with the gateway's session settings. They are
// set after the login, since poolers refuse startup parameters that they do not
// know. RDS Proxy pins a session with settings to its client.
type sessionConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (s sessionConnector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	pg, err := connectPgx(ctx, s.Connector)
	if err != nil {
		return nil, err
	}
	_, err = pg.Conn().Exec(ctx, fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", frozenTime.Milliseconds()), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, errors.Join(err, pg.Close())
	}
	return pg, nil
}

// connectPgx makes a connection of pgx.
func connectPgx(ctx context.Context, connector driver.Connector) (*stdlib.Conn, error) {
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	pg, ok := conn.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the connector makes %T, not connections of pgx", conn), conn.Close())
	}
	return pg, nil
}

// ErrSharedSessions means that a pooler gives one session of the server to
// several clients in turn. The gateway's settings and prepared statements belong
// to a session.
var ErrSharedSessions = errors.New("a pooler before the database shares sessions between clients (transaction or statement pooling); " +
	"the gateway needs session pooling (in PgBouncer, pool_mode = session for its database) or the server's own address")

// refuseSharedSessions returns ErrSharedSessions if a pooler shares sessions. It
// changes no session, since a session may be another client's.
//
// A pooler invents the process id that it sends at the login, so it differs from the
// server's. Sessions are shared if two clients have the same session, or one client
// has two, whatever the order in which the pooler assigns them.
func refuseSharedSessions(ctx context.Context, connector driver.Connector) error {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	first, err := connectPgx(ctx, connector)
	if err != nil {
		return err
	}
	defer first.Close()
	own, err := processOf(ctx, first.Conn())
	if err != nil || own == first.Conn().PgConn().PID() {
		return err
	}
	second, err := connectPgx(ctx, connector)
	if err != nil {
		return err
	}
	defer second.Close()
	tx, err := second.Conn().Begin(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSharedSessions, err) // as with statement pooling
	}
	other, err := processOf(ctx, tx)
	shared := other == own
	for i := 0; err == nil && i < 3; i++ {
		var now uint32
		now, err = processOf(ctx, first.Conn())
		shared = shared || now != own
		if i == 0 { // once beside the second's transaction, and then without
			err = errors.Join(err, tx.Rollback(ctx))
		}
	}
	if err == nil && shared {
		err = ErrSharedSessions
	}
	return err
}

// processOf returns the id of the server's process for the session.
func processOf(ctx context.Context, on interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (process uint32, err error) {
	err = on.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&process)
	return process, err
}
