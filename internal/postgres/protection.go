package postgres

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// systemRoots is the value of sslrootcert for the system's authorities.
const systemRoots = "system"

// The modes and methods of libpq.
var (
	sslModes    = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
	authMethods = []string{"scram-sha-256", "md5", "password", "gss", "sspi", "oauth", "none"}
)

// onThisMachine reports whether a host is this machine.
func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func (p Server) sslMode() string {
	if onThisMachine(p.Host) {
		return cmp.Or(p.SSLMode, "disable")
	}
	return cmp.Or(p.SSLMode, "verify-full")
}

func (p Server) requireAuth() string {
	if onThisMachine(p.Host) {
		return cmp.Or(p.RequireAuth, "scram-sha-256,none")
	}
	return cmp.Or(p.RequireAuth, "scram-sha-256")
}

// allowsAuth reports whether the server may use an authentication method.
func (p Server) allowsAuth(method string) bool {
	methods := strings.Split(p.requireAuth(), ",")
	for i := range methods {
		methods[i] = strings.TrimSpace(methods[i])
	}
	if strings.HasPrefix(methods[0], "!") { // a list of those that are not allowed
		return !slices.Contains(methods, "!"+method)
	}
	return slices.Contains(methods, method)
}

// CheckProtection checks the settings that protect the connection. pgx would check
// them too, but repeats the value in its error, and the value may be a secret that
// was put into the wrong member.
func (p Server) CheckProtection() error {
	if !slices.Contains(sslModes, p.sslMode()) {
		return fmt.Errorf("sslmode must be one of %s", strings.Join(sslModes, ", "))
	}
	negated := strings.HasPrefix(strings.TrimSpace(p.requireAuth()), "!")
	for method := range strings.SplitSeq(p.requireAuth(), ",") {
		name, not := strings.CutPrefix(strings.TrimSpace(method), "!")
		if !slices.Contains(authMethods, name) || not != negated {
			return fmt.Errorf("require_auth must be a list of %s, separated by commas; with ! before each, those that are refused",
				strings.Join(authMethods, ", "))
		}
	}
	if p.SSLRootCert == "" || p.SSLRootCert == systemRoots {
		return nil
	}
	return checkRootCert(p.SSLRootCert)
}

// checkRootCert checks that a file holds certificates of authorities.
func checkRootCert(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sslrootcert: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("sslrootcert: %s has no certificate in PEM form", path)
	}
	return nil
}

// Weaknesses describes each setting that protects the connection less than the
// defaults do.
func (p Server) Weaknesses() []string {
	var weak []string
	if !onThisMachine(p.Host) && p.SSLRootCert != systemRoots { // with it, libpq always verifies in full
		switch mode := p.sslMode(); {
		case mode == "disable":
			weak = append(weak, "sslmode is disable: the connection to the database is not encrypted")
		case mode == "allow" || mode == "prefer":
			weak = append(weak, "sslmode is "+mode+": the connection to the database is encrypted only if the server, or an attacker before it, offers that")
		case mode == "require" && p.SSLRootCert == "":
			weak = append(weak, "sslmode is require: the connection to the database is encrypted, but any server may pose as the database")
		case mode != "verify-full":
			weak = append(weak, "sslmode is "+mode+": any server with a certificate of the same authority may pose as the database")
		}
		if p.allowsAuth("none") {
			weak = append(weak, "require_auth allows none: the database's server need not prove that it holds the user's password")
		}
	}
	if p.allowsAuth("password") {
		weak = append(weak, "require_auth allows password: the server may ask for the password in clear")
	}
	if p.allowsAuth("md5") {
		weak = append(weak, "require_auth allows md5: the server may ask for a hash of the password that is easily broken")
	}
	return weak
}

// ProtectionError is the error of a connection to a server that does not meet the
// settings: its certificate is not trusted, or it asks for the password by a method
// that is not allowed. Retrying does not help.
type ProtectionError struct {
	Hint string // which setting or certificate to change
	Err  error
}

func (e *ProtectionError) Error() string { return e.Err.Error() + "; " + e.Hint }
func (e *ProtectionError) Unwrap() error { return e.Err }

// Protected makes a ProtectionError of the error of a connection where it is one.
func Protected(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	hint := ""
	switch {
	case err == nil:
	case errors.As(err, &unknown):
		hint = "sslrootcert names the file of the authorities that are trusted"
	case errors.As(err, &host):
		hint = "the host must be a name that the server's certificate has"
	case errors.As(err, &invalid):
		hint = "the server needs another certificate"
	// pgx has no types for these two.
	case strings.Contains(err.Error(), "server refused TLS connection"):
		hint = "sslmode says whether TLS is needed"
	case strings.Contains(err.Error(), "authentication method requirement"):
		hint = "require_auth says which ways are allowed"
	}
	if hint == "" {
		return err
	}
	return &ProtectionError{hint, err}
}
