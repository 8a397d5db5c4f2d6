package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"gateway/internal/pgtest"
	"gateway/internal/postgres"
	"gateway/internal/predict"
)

// pooler stands between clients and a server, as PgBouncer does: it refuses the
// startup parameters that it does not have, names a process of its own, and lends
// a session of the server to a client for its connection or for a transaction.
type pooler struct {
	t            *testing.T
	server       *pgconn.Config
	transactions bool // else sessions
	statements   bool // nor transactions of several statements
	oldestFirst  bool // of idle sessions, else the one used last

	mu    sync.Mutex
	idle  []*pgconn.HijackedConn
	conns sync.WaitGroup
}

// listen starts the pooler before a new database.
func (p *pooler) listen() postgres.Server {
	p.t.Helper()
	var err error
	p.server, err = pgconn.ParseConfig(pgtest.Database(p.t))
	must(p.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(p.t, err)
	p.t.Cleanup(func() {
		listener.Close()
		p.conns.Wait()
		for _, session := range p.takeIdle() {
			session.Conn.Close()
		}
	})
	p.conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.conns.Go(func() {
				defer conn.Close()
				p.serve(conn)
			})
		}
	})
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	n, _ := strconv.ParseUint(port, 10, 16)
	return postgres.Server{Host: host, Port: uint16(n), Database: p.server.Database, Username: p.server.User, Password: func() string { return "unasked" }}
}

// greet logs any client in.
func (p *pooler) greet(client *pgproto3.Backend) bool {
	message, err := client.ReceiveStartupMessage()
	startup, ok := message.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return false
	}
	for name := range startup.Parameters {
		switch strings.ToLower(name) {
		case "user", "database", "application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings":
		default:
			client.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name})
			_ = client.Flush()
			return false
		}
	}
	client.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on"} {
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1<<31 | rand.Uint32(), SecretKey: make([]byte, 4)})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return client.Flush() == nil
}

func (p *pooler) serve(conn net.Conn) {
	client := pgproto3.NewBackend(conn, conn)
	if !p.greet(client) {
		return
	}
	var session *pgconn.HijackedConn
	defer func() {
		if session != nil {
			session.Conn.Close()
		}
	}()
	for {
		message, err := client.Receive()
		if err != nil {
			return
		}
		if _, ends := message.(*pgproto3.Terminate); ends {
			return
		}
		if query, ok := message.(*pgproto3.Query); ok && p.statements && strings.EqualFold(query.String, "begin") {
			client.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "transaction blocks not allowed in statement pooling mode"})
			_ = client.Flush()
			return
		}
		if session == nil {
			if session, err = p.take(); err != nil {
				p.t.Errorf("the pooler's server: %v", err)
				return
			}
		}
		session.Frontend.Send(message)
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			status, err := answer(session, client)
			if err != nil {
				return
			}
			// As with PgBouncer, the session is idle before the client can send more.
			if p.transactions && status == 'I' {
				p.put(session)
				session = nil
			}
			if client.Flush() != nil {
				return
			}
		}
	}
}

// answer has what a session says, until that is ready again, sent to a client by its next Flush.
func answer(session *pgconn.HijackedConn, client *pgproto3.Backend) (status byte, err error) {
	err = session.Frontend.Flush()
	for err == nil {
		var message pgproto3.BackendMessage
		if message, err = session.Frontend.Receive(); err != nil {
			break
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus, nil
		}
	}
	return 0, err
}

func (p *pooler) take() (*pgconn.HijackedConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		i := n - 1
		if p.oldestFirst {
			i = 0
		}
		session := p.idle[i]
		p.idle = append(p.idle[:i], p.idle[i+1:]...)
		return session, nil
	}
	conn, err := pgconn.ConnectConfig(context.Background(), p.server)
	if err != nil {
		return nil, err
	}
	return conn.Hijack()
}

func (p *pooler) put(session *pgconn.HijackedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, session)
}

// takeIdle takes all idle sessions.
func (p *pooler) takeIdle() []*pgconn.HijackedConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle
	p.idle = nil
	return idle
}

func TestAPoolerOfSessionsIsAsGoodAsAServer(t *testing.T) {
	t.Parallel()
	p := &pooler{t: t}
	s, err := onLine(OpenPostgres(t.Context(), NewConnector(fixed{Server: p.listen()}), PostgresOptions{}))
	must(t, err)
	defer func() { must(t, s.Close()) }()
	must(t, s.Append(t.Context(), []predict.Prediction{newPrediction("p")}))
	must(t, s.Ping(t.Context()))
	want(t, "rows", countRows(t, s, "predictions"), 1)
	var timeout string
	must(t, s.write.QueryRow(`SHOW idle_in_transaction_session_timeout`).Scan(&timeout))
	want(t, "the session's setting", timeout, "5s")
}

func TestAPoolerOfStatementsIsRefused(t *testing.T) {
	t.Parallel()
	p := &pooler{t: t, transactions: true, statements: true}
	_, err := OpenPostgres(t.Context(), NewConnector(fixed{Server: p.listen()}), PostgresOptions{})
	if !errors.Is(err, ErrSharedSessions) || Unavailable(err) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line that says that sessions are shared", err)
	}
}

func TestAPoolerOfTransactionsIsRefused(t *testing.T) {
	t.Parallel()
	for name, oldestFirst := range map[string]bool{"that lends what was used last": false, "that lends in turn": true} {
		for _, before := range []int{0, 1, 2, 3} {
			t.Run(name+", with idle sessions: "+strconv.Itoa(before), func(t *testing.T) {
				p := &pooler{t: t, transactions: true, oldestFirst: oldestFirst}
				server := p.listen()
				var idle []*pgconn.HijackedConn
				for range before {
					session, err := p.take()
					must(t, err)
					idle = append(idle, session)
				}
				for _, session := range idle {
					p.put(session)
				}
				_, err := OpenPostgres(t.Context(), NewConnector(fixed{Server: server}), PostgresOptions{})
				if !errors.Is(err, ErrSharedSessions) || Unavailable(err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v, want one line that says that sessions are shared", err)
				}
				// The sessions that others use are as they were.
				for _, session := range p.takeIdle() {
					conn, err := pgconn.Construct(session)
					must(t, err)
					result := conn.ExecParams(t.Context(), `SHOW idle_in_transaction_session_timeout`, nil, nil, nil, nil).Read()
					must(t, errors.Join(result.Err, conn.Close(t.Context())))
					want(t, "another client's setting", string(result.Rows[0][0]), "0")
				}
			})
		}
	}
}
