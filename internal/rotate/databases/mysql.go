package databases

import (
	"context"
	"crypto/sha1" //nolint:gosec // mysql_native_password is defined with it
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"gateway/internal/rotate"
	"gateway/internal/secrets"
)

// MySQL changes passwords of MySQL and MariaDB. MariaDB gets the hash of
// mysql_native_password instead of the password. MySQL gets the password, since the format
// of its hashes depends on the plugin of the user; it does not write it to its logs.
//
// Two users who take turns have the same grants, which are copied at each rotation.
type MySQL struct{}

var _ rotate.Server = MySQL{}

// Login implements rotate.Server. The role is the account, such as app@%.
func (m MySQL) Login(ctx context.Context, as secrets.Database) (account string, err error) {
	err = m.do(ctx, as, func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT CURRENT_USER()`).Scan(&account)
	})
	return account, err
}

// SetPassword implements rotate.Server. A master changes the password for all hosts from
// which the user may log in, in one statement.
func (m MySQL) SetPassword(ctx context.Context, as secrets.Database, user string, password secrets.Secret) error {
	return m.do(ctx, as, func(conn *sql.Conn) error {
		if as.Username == user {
			return setOwnPassword(ctx, conn, password)
		}
		accounts, err := accountsOf(ctx, conn, user)
		if err != nil {
			return err
		}
		return setPasswords(ctx, conn, accounts, password)
	})
}

// SetTwin implements rotate.Server. The password is set last: before, the user cannot log in
// with it, and the next call does all of it again.
func (m MySQL) SetTwin(ctx context.Context, as secrets.Database, twins rotate.Twins, password secrets.Secret) error {
	return m.do(ctx, as, func(conn *sql.Conn) error {
		accounts, err := accountsOf(ctx, conn, twins.Other)
		if err != nil {
			return err
		}
		next := make([]account, len(accounts))
		for i, from := range accounts {
			next[i] = from
			if next[i].name, err = accountName(twins.Next, from.host); err != nil {
				return err
			}
			if err := makeTwin(ctx, conn, from, next[i].name); err != nil {
				return err
			}
		}
		return setPasswords(ctx, conn, next, password)
	})
}

// makeTwin makes a user with a password that is not known, unless it exists, and gives it the
// grants of another one and its need of TLS.
func makeTwin(ctx context.Context, conn *sql.Conn, from account, to string) error {
	require, ok := map[string]string{"": "NONE", "ANY": "SSL", "X509": "X509"}[from.tls]
	if !ok {
		return fmt.Errorf("%s needs a certificate of its own, which another user cannot have", from.name)
	}
	if _, err := conn.ExecContext(ctx, `CREATE USER IF NOT EXISTS `+to+` IDENTIFIED BY '`+newPassword()+`'`); err != nil {
		return fmt.Errorf("CREATE USER %s: %w", to, withoutStatement(err))
	}
	if _, err := conn.ExecContext(ctx, `ALTER USER `+to+` REQUIRE `+require); err != nil {
		return fmt.Errorf("ALTER USER %s REQUIRE %s: %w", to, require, err)
	}
	grants, err := grantsOf(ctx, conn, from.name)
	if err != nil {
		return err
	}
	for _, grant := range grants {
		text, err := grantTo(grant, from.name, to)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("a grant to %s: %w", to, err)
		}
	}
	return nil
}

func grantsOf(ctx context.Context, conn *sql.Conn, account string) (grants []string, err error) {
	rows, err := conn.QueryContext(ctx, `SHOW GRANTS FOR `+account)
	if err != nil {
		return nil, fmt.Errorf("SHOW GRANTS FOR %s: %w", account, err)
	}
	defer rows.Close()
	for rows.Next() {
		var grant string
		if err := rows.Scan(&grant); err != nil {
			return nil, err
		}
		grants = append(grants, grant)
	}
	return grants, rows.Err()
}

// grantTo returns a line of SHOW GRANTS for another account. It leaves out the hash of the
// password that MariaDB puts there. It returns nothing for a line that grants nothing.
func grantTo(grant, from, to string) (string, error) {
	if strings.HasPrefix(grant, "GRANT USAGE ON *.* TO ") {
		return "", nil
	}
	for _, quote := range []string{"`", "'"} {
		what, rest, found := strings.Cut(grant, " TO "+strings.ReplaceAll(from, "'", quote))
		if !found {
			continue
		}
		text := what + " TO " + to
		if strings.Contains(rest, "WITH GRANT OPTION") {
			text += " WITH GRANT OPTION"
		}
		return text, nil
	}
	return "", errors.New("a line of SHOW GRANTS is not understood")
}

// newPassword returns the password of a new user, which nothing keeps.
func newPassword() string { return secrets.Generate().Reveal() + "-a1" }

// setOwnPassword changes the password of the connection's user.
func setOwnPassword(ctx context.Context, conn *sql.Conn, password secrets.Secret) error {
	value, _, err := authentication(ctx, conn, []account{{name: "CURRENT_USER()"}}, password)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `SET PASSWORD = `+value); err != nil {
		return fmt.Errorf("SET PASSWORD: %w", withoutStatement(err))
	}
	return nil
}

// setPasswords changes the password of accounts in one statement, so that a process that is
// killed leaves all of them with the same one.
func setPasswords(ctx context.Context, conn *sql.Conn, accounts []account, password secrets.Secret) error {
	value, by, err := authentication(ctx, conn, accounts, password)
	if err != nil {
		return err
	}
	names := make([]string, len(accounts))
	changes := make([]string, len(accounts))
	for i, a := range accounts {
		names[i], changes[i] = a.name, a.name+by+value
	}
	if _, err := conn.ExecContext(ctx, `ALTER USER `+strings.Join(changes, ", ")); err != nil {
		return fmt.Errorf("ALTER USER %s: %w", strings.Join(names, ", "), withoutStatement(err))
	}
	return nil
}

// authentication returns how the password is written in statements: on MariaDB its hash.
func authentication(ctx context.Context, conn *sql.Conn, accounts []account, password secrets.Secret) (value, by string, err error) {
	text := password.Reveal()
	if strings.ContainsAny(text, `'\`) {
		return "", "", errors.New("the password must not contain quotes or backslashes")
	}
	var version string
	if err := conn.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&version); err != nil {
		return "", "", err
	}
	if !strings.Contains(version, "MariaDB") {
		return "'" + text + "'", " IDENTIFIED BY ", nil
	}
	for _, a := range accounts {
		if err := usesNativePassword(ctx, conn, a.name); err != nil {
			return "", "", err
		}
	}
	return "'" + nativeHash(text) + "'", " IDENTIFIED BY PASSWORD ", nil
}

// withoutStatement removes the end of a syntax error, which repeats the statement.
func withoutStatement(err error) error {
	const parseError = 1064
	var e *mysql.MySQLError
	if errors.As(err, &e) && e.Number == parseError {
		return errors.New("the server does not understand the statement")
	}
	return err
}

// usesNativePassword returns an error if an account of MariaDB has another plugin than
// mysql_native_password, whose hash the server would not understand.
func usesNativePassword(ctx context.Context, conn *sql.Conn, account string) error {
	var text string
	if err := conn.QueryRowContext(ctx, `SHOW CREATE USER `+account).Scan(&text); err != nil {
		return fmt.Errorf("SHOW CREATE USER %s: %w", account, err)
	}
	if strings.Contains(text, " IDENTIFIED VIA ") && !strings.Contains(text, " IDENTIFIED VIA mysql_native_password") {
		return fmt.Errorf("%s uses another authentication plugin than mysql_native_password", account)
	}
	return nil
}

// nativeHash returns the hash of mysql_native_password: * and SHA1(SHA1(password)) in
// hexadecimal.
func nativeHash(password string) string {
	first := sha1.Sum([]byte(password)) //nolint:gosec // see the import
	second := sha1.Sum(first[:])        //nolint:gosec // see the import
	return "*" + strings.ToUpper(hex.EncodeToString(second[:]))
}

// account is a user at the hosts that a pattern matches.
type account struct {
	name string // quoted, such as 'app'@'%'
	host string
	tls  string // ssl_type of mysql.user
}

// accountsOf returns the accounts of a user.
func accountsOf(ctx context.Context, conn *sql.Conn, user string) ([]account, error) {
	rows, err := conn.QueryContext(ctx, `SELECT Host, ssl_type FROM mysql.user WHERE User = ?`, user)
	if err != nil {
		return nil, fmt.Errorf("the hosts of the user: %w", err)
	}
	defer rows.Close()
	var accounts []account
	for rows.Next() {
		var a account
		if err := rows.Scan(&a.host, &a.tls); err != nil {
			return nil, err
		}
		if a.name, err = accountName(user, a.host); err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, errors.New("the server has no such user")
	}
	return accounts, nil
}

// accountName quotes an account. Names with quotes, of which no sql_mode makes the same text,
// are refused.
func accountName(user, host string) (string, error) {
	if strings.ContainsAny(user+host, "'`\"\\") {
		return "", errors.New("a name of a user or host contains quotes or backslashes")
	}
	return "'" + user + "'@'" + host + "'", nil
}

// do makes a connection, and closes it after use.
func (MySQL) do(ctx context.Context, as secrets.Database, use func(*sql.Conn) error) error {
	cfg, err := mysqlConfig(as)
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return errors.New("the settings of the connection are wrong") // the driver's error may repeat them
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("login of %s at %s: %w", as.Username, as.Host, mysqlError(err))
	}
	defer conn.Close()
	return use(conn)
}

func mysqlConfig(as secrets.Database) (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = as.Username, as.Password.Reveal(), as.Name
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(as.Host, strconv.Itoa(int(as.Port)))
	if strings.HasPrefix(as.Host, "/") {
		cfg.Net, cfg.Addr = "unix", as.Host
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = loginTime, 3*loginTime, 3*loginTime
	cfg.Logger = &mysql.NopLogger{}
	cfg.InterpolateParams = false
	mode := as.SSLMode
	if mode == "" {
		mode = "verify-full"
		if onThisMachine(as.Host) {
			mode = "disable"
		}
	}
	switch mode {
	case "disable":
		return cfg, nil
	case "verify-full":
	default:
		return nil, errors.New("sslmode of MySQL must be verify-full or disable")
	}
	cfg.TLS = &tls.Config{ServerName: as.Host, MinVersion: tls.VersionTLS12}
	if as.SSLRootCert == "" || as.SSLRootCert == "system" {
		return cfg, nil
	}
	text, err := os.ReadFile(as.SSLRootCert)
	if err != nil {
		return nil, fmt.Errorf("sslrootcert: %w", err)
	}
	cfg.TLS.RootCAs = x509.NewCertPool()
	if !cfg.TLS.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("sslrootcert: %s has no certificate in PEM form", as.SSLRootCert)
	}
	return cfg, nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// mysqlError marks the error of a login.
func mysqlError(err error) error {
	const accessDenied, accessDeniedNoPassword = 1045, 1698
	var (
		refused     *mysql.MySQLError
		certificate *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.As(err, &refused) && (refused.Number == accessDenied || refused.Number == accessDeniedNoPassword):
		return fmt.Errorf("%w: %w", rotate.ErrLogin, err)
	case errors.As(err, &refused):
		return err
	case errors.As(err, &certificate), errors.Is(err, mysql.ErrNoTLS), errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrOldPassword):
		return fmt.Errorf("%w: %w", rotate.ErrProtection, err)
	case errors.As(err, &network), errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", rotate.ErrUnreachable, err)
	}
	return err
}
