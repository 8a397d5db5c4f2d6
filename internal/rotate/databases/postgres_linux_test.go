package databases

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"gateway/internal/pgtest"
	"gateway/internal/rotate"
	"gateway/internal/secrets"
)

func TestAStrangersCertificateGetsNoPassword(t *testing.T) {
	server := pgtest.New(t, 0)
	ours, other := pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	u, err := url.Parse(server.URL())
	must(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	must(t, err)
	password, _ := u.User.Password()
	as := secrets.Database{Host: u.Hostname(), Port: uint16(port), Name: "postgres", Username: u.User.Username(), Password: secrets.New(password),
		SSLMode: "verify-full", SSLRootCert: ours.File}
	for name, certificate := range map[string]struct {
		authority *pgtest.Authority
		host      string
		accepted  bool
	}{"the right one": {ours, u.Hostname(), true}, "of another host": {ours, "elsewhere.test", false}, "of another authority": {other, u.Hostname(), false}} {
		server.UseTLS(certificate.authority.Issue(certificate.host, time.Now().Add(time.Hour)))
		next := "next-" + strings.ReplaceAll(name, " ", "-")
		err := Postgres{}.SetPassword(t.Context(), as, as.Username, secrets.New(next))
		if certificate.accepted {
			must(t, err)
			as.Password = secrets.New(next)
		} else if !errors.Is(err, rotate.ErrProtection) {
			t.Errorf("%s: got %v, want a connection that is not protected", name, err)
		}
	}
}
