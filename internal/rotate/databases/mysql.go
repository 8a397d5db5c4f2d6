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
// which the user may log in.
func (m MySQL) SetPassword(ctx context.Context, as secrets.Database, user string, password secrets.Secret) error {
	return m.do(ctx, as, func(conn *sql.Conn) error {
		if as.Username == user {
			return setPassword(ctx, conn, "", password)
		}
		hosts, err := hostsOf(ctx, conn, user)
		if err != nil {
			return err
		}
		for _, host := range hosts {
			account, err := accountName(user, host)
			if err != nil {
				return err
			}
			if err := setPassword(ctx, conn, account, password); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetTwin implements rotate.Server. The password is set last: before, the user cannot log in
// with it, and the next call does all of it again.
func (m MySQL) SetTwin(ctx context.Context, as secrets.Database, twins rotate.Twins, password secrets.Secret) error {
	return m.do(ctx, as, func(conn *sql.Conn) error {
		hosts, err := hostsOf(ctx, conn, twins.Other)
		if err != nil {
			return err
		}
		for _, host := range hosts {
			from, err := accountName(twins.Other, host)
			if err != nil {
				return err
			}
			to, err := accountName(twins.Next, host)
			if err != nil {
				return err
			}
			if err := makeTwin(ctx, conn, from, to); err != nil {
				return err
			}
			if err := setPassword(ctx, conn, to, password); err != nil {
				return err
			}
		}
		return nil
	})
}

// makeTwin makes a user with a password that is not known, unless it exists, and gives it the
// grants of another one.
func makeTwin(ctx context.Context, conn *sql.Conn, from, to string) error {
	if _, err := conn.ExecContext(ctx, `CREATE USER IF NOT EXISTS `+to+` IDENTIFIED BY '`+secrets.Generate().Reveal()+`'`); err != nil {
		return fmt.Errorf("CREATE USER %s: %w", to, err)
	}
	rows, err := conn.QueryContext(ctx, `SHOW GRANTS FOR `+from)
	if err != nil {
		return fmt.Errorf("SHOW GRANTS FOR %s: %w", from, err)
	}
	defer rows.Close()
	var grants []string
	for rows.Next() {
		var grant string
		if err := rows.Scan(&grant); err != nil {
			return err
		}
		grants = append(grants, grant)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, grant := range grants {
		text, err := grantTo(grant, from, to)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("a grant to %s: %w", to, err)
		}
	}
	return nil
}

// grantTo returns a line of SHOW GRANTS for another account. It leaves out the hash of the
// password that MariaDB puts there.
func grantTo(grant, from, to string) (string, error) {
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

// setPassword changes the password of an account; empty: that of the connection.
func setPassword(ctx context.Context, conn *sql.Conn, account string, password secrets.Secret) error {
	value := password.Reveal()
	if strings.ContainsAny(value, `'\`) {
		return errors.New("the password must not contain quotes or backslashes")
	}
	var version string
	if err := conn.QueryRowContext(ctx, `SELECT VERSION()`).Scan(&version); err != nil {
		return err
	}
	target, shown := "SET PASSWORD", account
	if account != "" {
		target += " FOR " + account
	} else {
		shown = "CURRENT_USER()"
	}
	if strings.Contains(version, "MariaDB") {
		if err := usesNativePassword(ctx, conn, shown); err != nil {
			return err
		}
		value = nativeHash(value)
	}
	if _, err := conn.ExecContext(ctx, target+` = '`+value+`'`); err != nil {
		return fmt.Errorf("SET PASSWORD FOR %s: %w", shown, withoutStatement(err))
	}
	return nil
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

// hostsOf returns the hosts from which a user may log in.
func hostsOf(ctx context.Context, conn *sql.Conn, user string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, `SELECT Host FROM mysql.user WHERE User = ?`, user)
	if err != nil {
		return nil, fmt.Errorf("the hosts of the user: %w", err)
	}
	defer rows.Close()
	var hosts []string
	for rows.Next() {
		var host string
		if err := rows.Scan(&host); err != nil {
			return nil, err
		}
		hosts = append(hosts, host)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, errors.New("the server has no such user")
	}
	return hosts, nil
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
