package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"gateway/internal/postgres"
)

func TestWhatTryingAgainMayMendIsToldFromTheRest(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                   {nil, false},
		"nothing listens":           {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"no such host":              {&net.DNSError{IsNotFound: true}, true},
		"the connection ended":      {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		"it starts":                 {&pgconn.PgError{Code: "57P03"}, true},
		"it was stopped":            {&pgconn.PgError{Code: "57P01"}, true},
		"too many connections":      {&pgconn.PgError{Code: "53300"}, true},
		"a pooler without a server": {&pgconn.PgError{Code: "08P01"}, true},
		"a wrong password":          {&pgconn.PgError{Code: "28P01"}, false},
		"no such database":          {&pgconn.PgError{Code: "3D000"}, false},
		"no right":                  {&pgconn.PgError{Code: "42501"}, false},
		"a wrong certificate":       {&postgres.ProtectionError{Err: &net.OpError{Op: "dial", Err: io.EOF}}, false},
		"shared sessions":           {fmt.Errorf("x: %w: %w", ErrSharedSessions, io.EOF), false},
		"a newer version":           {ErrNewer, false},
	} {
		if got := Unavailable(failed("connect", tc.err)); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

// The error says what to grant, and with that it works.
func TestAMissingRightIsNamedWithWhatToGrant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before func(r *role) // takes a right away
		says   string
	}{
		"to make tables": {func(*role) {}, `GRANT USAGE, CREATE ON SCHEMA "public" TO`},
		"to see the schema": {func(r *role) {
			r.exec(`REVOKE ALL ON SCHEMA public FROM public`)
		}, `GRANT USAGE, CREATE ON SCHEMA "public" TO`},
		"to come in": {func(r *role) {
			r.exec(`REVOKE CONNECT ON DATABASE %s FROM public`, r.base.Database)
			r.exec(`GRANT ALL ON SCHEMA public TO %s`, r.name)
		}, `GRANT CONNECT ON DATABASE`},
		"to another user's tables": {func(r *role) {
			r.exec(`CREATE ROLE %s_owner LOGIN PASSWORD 'owner'`, r.name)
			r.t.Cleanup(func() {
				r.exec(`DROP OWNED BY %s_owner`, r.name)
				r.exec(`DROP ROLE %s_owner`, r.name)
			})
			r.exec(`GRANT ALL ON SCHEMA public TO %s_owner, %s`, r.name, r.name)
			login := r.login("owner")
			login.Server.Username += "_owner"
			s, err := OpenPostgres(r.t.Context(), NewConnector(fixed(login)), PostgresOptions{})
			must(r.t, err)
			must(r.t, s.Close())
		}, `_owner" TO`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRole(t)
			r.exec(`ALTER DATABASE %s OWNER TO CURRENT_USER`, r.base.Database)
			tc.before(r)
			_, err := OpenPostgres(t.Context(), NewConnector(fixed(r.login("one"))), PostgresOptions{})
			var missing *PermissionError
			if !errors.As(err, &missing) || Unavailable(err) {
				t.Fatalf("got %v, want a missing right", err)
			}
			want(t, "user and database", []string{missing.User, missing.Database}, []string{r.name, r.base.Database})
			if text := err.Error(); !strings.Contains(text, tc.says) || strings.Contains(text, "\n") {
				t.Errorf("got %s, want one line that says %s", text, tc.says)
			}
			r.exec("%s", missing.Grant)
			s, err := OpenPostgres(t.Context(), NewConnector(fixed(r.login("one"))), PostgresOptions{})
			if err != nil {
				t.Fatalf("with the right: %v", err)
			}
			must(t, s.Close())
		})
	}
}
