package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"gateway/internal/pgtest"
	"gateway/internal/postgres"
)

// otherMachine is the name of a host that is not this machine. In these tests it
// resolves to this one.
const otherMachine = "db.test"

// thePassword must not be seen on any wire.
const thePassword = "hunter2-hunter2"

// onOtherMachine is a server that listens on a port here and is taken for one on
// another machine.
func onOtherMachine(address string) postgres.Server {
	_, port, _ := net.SplitHostPort(address)
	n, _ := strconv.ParseUint(port, 10, 16)
	return postgres.Server{Host: otherMachine, Port: uint16(n), Database: "postgres", Username: "app",
		Password: func() string { return thePassword },
		Resolve:  func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }}
}

// tryLogin makes one connection and ends it.
func tryLogin(t *testing.T, server postgres.Server) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := dial(ctx, server, func() bool { return false })
	if err != nil {
		return err
	}
	return conn.Close()
}

// wire records what a client sends.
type wire struct {
	mu   sync.Mutex
	sent bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.Write(p)
}

// hasNoPassword checks that neither the password nor a hash of it was sent.
func (w *wire) hasNoPassword(t *testing.T) {
	t.Helper()
	for name, text := range map[string]string{"password": thePassword, "MD5 hash of the password": md5Answer("app", thePassword)} {
		if w.has(text) {
			t.Errorf("the %s was sent", name)
		}
	}
}

func (w *wire) has(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.sent.Bytes(), []byte(text))
}

func (w *wire) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.Len()
}

// salt is what impostors ask for an MD5 hash with.
var salt = [4]byte{1, 2, 3, 4}

func md5Answer(user, password string) string {
	hash := func(text string) string {
		sum := md5.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	return "md5" + hash(hash(password+user)+string(salt[:]))
}

// intercept listens for clients and hands each connection to serve, after TLS with
// a certificate where it has one. What clients send inside of TLS is recorded.
func intercept(t *testing.T, certificate *tls.Certificate, serve func(client io.ReadWriteCloser)) (address string, seen *wire) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	seen = &wire{}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				if certificate != nil {
					request := make([]byte, 8) // SSLRequest
					if _, err := io.ReadFull(conn, request); err != nil {
						return
					}
					if _, err := conn.Write([]byte{'S'}); err != nil {
						return
					}
					conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}})
				}
				serve(recorded{conn, io.TeeReader(conn, seen)})
			})
		}
	})
	return listener.Addr().String(), seen
}

type recorded struct {
	net.Conn
	reader io.Reader
}

func (r recorded) Read(p []byte) (int, error) { return r.reader.Read(p) }

// asking answers a client as a server that asks for its password in some way.
func asking(how pgproto3.BackendMessage) func(io.ReadWriteCloser) {
	return func(client io.ReadWriteCloser) {
		backend := pgproto3.NewBackend(client, client)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		backend.Send(how)
		if _, in := how.(*pgproto3.AuthenticationOk); in {
			backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		}
		if backend.Flush() == nil {
			_, _ = backend.Receive() // the password, where the client gives it away
		}
	}
}

// relayingTo hands on what client and server send each other. The way to the
// server is without TLS.
func relayingTo(server string) func(io.ReadWriteCloser) {
	return func(client io.ReadWriteCloser) {
		conn, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer conn.Close()
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(conn, client); conn.Close() })
		both.Go(func() { _, _ = io.Copy(client, conn); client.Close() })
		both.Wait()
	}
}

// certificateOf is a certificate for otherMachine, of an authority.
func certificateOf(t *testing.T, authority *pgtest.Authority) *tls.Certificate {
	t.Helper()
	certificate, err := tls.X509KeyPair(authority.Issue(otherMachine, time.Now().Add(time.Hour)))
	must(t, err)
	return &certificate
}

// A server that is not the database gets no password, in no form.
func TestAnImpostorGetsNoPassword(t *testing.T) {
	t.Parallel()
	ours, other := pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	selfMade := certificateOf(t, other)
	asks := map[string]pgproto3.BackendMessage{
		"in clear":       &pgproto3.AuthenticationCleartextPassword{},
		"as an MD5 hash": &pgproto3.AuthenticationMD5Password{Salt: salt},
		"for nothing":    &pgproto3.AuthenticationOk{},
	}
	for how, message := range asks {
		t.Run("asked "+how+" by a server with a certificate of its own", func(t *testing.T) {
			address, seen := intercept(t, selfMade, asking(message))
			if err := tryLogin(t, onOtherMachine(address)); !isUntrusted(err) {
				t.Errorf("got %v, want that the certificate is not trusted", err)
			}
			if n := seen.len(); n > 0 {
				t.Errorf("%d bytes were sent to a server that nothing vouches for", n)
			}
		})
		t.Run("asked "+how+", where the certificate is not to be checked", func(t *testing.T) {
			address, seen := intercept(t, selfMade, asking(message))
			server := onOtherMachine(address)
			server.SSLMode = "require"
			if err := tryLogin(t, server); err == nil || !strings.Contains(err.Error(), "authentication method requirement") {
				t.Errorf("got %v, want that the way to log in is refused", err)
			}
			if seen.len() == 0 {
				t.Error("the client did not say for whom it comes, so this shows nothing")
			}
			seen.hasNoPassword(t)
		})
		t.Run("asked "+how+" by the right server", func(t *testing.T) { // taken over, say
			address, seen := intercept(t, certificateOf(t, ours), asking(message))
			server := onOtherMachine(address)
			server.SSLRootCert = ours.File
			if err := tryLogin(t, server); err == nil || !strings.Contains(err.Error(), "authentication method requirement") {
				t.Errorf("got %v, want that the way to log in is refused", err)
			}
			seen.hasNoPassword(t)
		})
		t.Run("asked "+how+" without TLS", func(t *testing.T) {
			address, seen := intercept(t, nil, func(client io.ReadWriteCloser) {
				if _, err := io.ReadFull(client, make([]byte, 8)); err != nil { // SSLRequest
					return
				}
				if _, err := client.Write([]byte{'N'}); err == nil {
					asking(message)(client)
				}
			})
			if err := tryLogin(t, onOtherMachine(address)); err == nil || !strings.Contains(err.Error(), "refused TLS") {
				t.Errorf("got %v, want that the server refused TLS", err)
			}
			if n := seen.len(); n != 8 {
				t.Errorf("%d bytes were sent, want 8: the request for TLS alone", n)
			}
		})
	}
	t.Run("asked in clear on this machine", func(t *testing.T) {
		address, seen := intercept(t, nil, asking(&pgproto3.AuthenticationCleartextPassword{}))
		server := onOtherMachine(address)
		server.Host = "127.0.0.1"
		if err := tryLogin(t, server); err == nil || !strings.Contains(err.Error(), "authentication method requirement") {
			t.Errorf("got %v, want that the way to log in is refused", err)
		}
		seen.hasNoPassword(t)
	})
	t.Run("asked in clear where that is allowed", func(t *testing.T) { // or the recording would show nothing
		address, seen := intercept(t, selfMade, asking(&pgproto3.AuthenticationCleartextPassword{}))
		server := onOtherMachine(address)
		server.SSLMode, server.RequireAuth = "require", "password"
		if err := tryLogin(t, server); err == nil {
			t.Error("the impostor let the client in")
		}
		if !seen.has(thePassword) {
			t.Error("the password was not sent")
		}
	})
}

func isUntrusted(err error) bool {
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &unknown)
}

// A server is a real one here, with certificates of all kinds.
func TestACertificateMustBeTheDatabases(t *testing.T) {
	t.Parallel()
	postgres := pgtest.New(t, 0)
	u, err := url.Parse(postgres.URL())
	must(t, err)
	password, _ := u.User.Password()
	ours, other := pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)

	// The way to the server is recorded, and shows no password and no name of a user.
	connect := func(t *testing.T, mode, roots string) error {
		address, seen := intercept(t, nil, relayingTo(u.Host))
		server := onOtherMachine(address)
		server.Username, server.Password, server.SSLMode, server.SSLRootCert = u.User.Username(), func() string { return password }, mode, roots
		err := tryLogin(t, server)
		for _, text := range []string{password, u.User.Username()} {
			if seen.has(text) {
				t.Errorf("%q was sent without TLS", text)
			}
		}
		return err
	}
	if err := connect(t, "", ours.File); err == nil || !strings.Contains(err.Error(), "refused TLS") {
		t.Errorf("a server without TLS: got %v", err)
	}
	for _, tc := range []struct {
		name      string
		authority *pgtest.Authority
		host      string
		until     time.Time
		want      map[string]func(error) bool // by mode, with our authority; "no file" is without
	}{
		{"right", ours, otherMachine, later, map[string]func(error) bool{
			"": isNil, "verify-full": isNil, "verify-ca": isNil, "require": isNil, "no file": isUntrusted}},
		{"of another host", ours, "elsewhere.test", later, map[string]func(error) bool{
			"": isOfAnotherHost, "verify-full": isOfAnotherHost, "verify-ca": isNil, "require": isNil}},
		{"of an authority that is not ours", other, otherMachine, later, map[string]func(error) bool{
			"": isUntrusted, "verify-full": isUntrusted, "verify-ca": isUntrusted, "require": isUntrusted, "no file": isUntrusted}},
		{"that has expired", ours, otherMachine, past, map[string]func(error) bool{
			"": isExpired, "verify-full": isExpired, "verify-ca": isExpired, "require": isExpired}},
	} {
		postgres.UseTLS(tc.authority.Issue(tc.host, tc.until))
		for mode, as := range tc.want {
			t.Run(fmt.Sprintf("a certificate %s, with sslmode %q", tc.name, mode), func(t *testing.T) {
				roots := ours.File
				if mode == "no file" {
					mode, roots = "", ""
				}
				if err := connect(t, mode, roots); !as(err) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	t.Run("a man in the middle", func(t *testing.T) {
		selfMade := certificateOf(t, other)
		address, seen := intercept(t, selfMade, relayingTo(u.Host))
		server := onOtherMachine(address)
		server.Username, server.Password, server.SSLRootCert = u.User.Username(), func() string { return password }, ours.File
		if err := tryLogin(t, server); !isUntrusted(err) || seen.len() > 0 {
			t.Errorf("got %v, and %d bytes were sent", err, seen.len())
		}
		// Where the settings give up the check the login works, and shows no password.
		server.SSLMode, server.SSLRootCert = "require", ""
		must(t, tryLogin(t, server))
		if seen.has(password) || seen.len() == 0 {
			t.Errorf("the password was sent, or nothing of %d bytes", seen.len())
		}
	})
}

func isNil(err error) bool { return err == nil }

func isOfAnotherHost(err error) bool {
	var host x509.HostnameError
	return errors.As(err, &host)
}

func isExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}
