package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gateway/internal/secrets"
)

// Strategy says who changes the password of a database user, and whose.
type Strategy string

const (
	// Single lets a user change its own password.
	Single Strategy = "single"
	// Master lets the user of another secret, the master, change the password.
	Master Strategy = "master"
	// Alternating has two users who take turns: the master changes the password of the
	// one that is not in use. The second one has the name of the first and "_clone".
	Alternating Strategy = "alternating"
)

// clone is the end of the name of the second of two users who take turns. AWS's templates use
// the same.
const clone = "_clone"

// Members of a database secret beside those of secrets.Database.
const (
	memberStrategy = "strategy"
	memberMaster   = "masterarn"
	memberOwner    = "owner"
)

// Check returns an error if the strategy is none of the three, and not empty.
func (o Options) Check() error {
	switch o.Strategy {
	case "", Single, Master, Alternating:
		return nil
	}
	return errStrategy
}

var errStrategy = errors.New("the strategy must be single, master or alternating")

// strategyOf returns the strategy for a secret: that of the settings, or of the member
// strategy, or what the other members show.
func (o Options) strategyOf(f form, username string) (Strategy, error) {
	s := o.Strategy
	if s == "" {
		s = Strategy(strings.ToLower(f.text(memberStrategy)))
	}
	master := o.Master != "" || f.text(memberMaster) != ""
	if s == "" {
		switch {
		case !master:
			s = Single
		case f.text(memberOwner) != "" || strings.HasSuffix(username, clone):
			s = Alternating
		default:
			s = Master
		}
	}
	switch s {
	case Single:
		return s, nil
	case Master, Alternating:
		if !master {
			return "", fmt.Errorf("the strategy %s needs a master secret: %q in the secret, or a setting, names it", s, memberMaster)
		}
		return s, nil
	}
	return "", errStrategy
}

// database is a secret of a database user.
type database struct {
	run      *run
	form     form // of the current version
	strategy Strategy
	server   Server
	parser   func(missing secrets.Database) func(secrets.Secret) (secrets.Database, error)
	hasRoles bool // of the server: what a user makes belongs to a role
}

func (r *run) database(f form, current secrets.Secret) (credential, error) {
	d := &database{run: r, form: f, server: r.o.Postgres, parser: secrets.ParseDatabase, hasRoles: true}
	if secrets.IsMySQL(current) {
		d.server, d.parser, d.hasRoles = r.o.MySQL, secrets.ParseMySQL, false
	}
	if d.server == nil {
		return nil, errors.New("the engine of the database is not supported")
	}
	now, err := d.parse(current)
	if err != nil {
		return nil, err
	}
	d.strategy, err = r.o.strategyOf(f, now.Username)
	return d, err
}

func (d *database) parse(s secrets.Secret) (secrets.Database, error) {
	return d.parser(d.run.o.Missing)(s)
}

func (d *database) attributes(value secrets.Secret) []any {
	parsed, err := d.parse(value)
	if err != nil {
		return nil
	}
	return []any{"strategy", string(d.strategy), "host", parsed.Host, "database", parsed.Name, "user", parsed.Username}
}

func (d *database) next(current secrets.Secret) (secrets.Secret, error) {
	now, err := d.parse(current)
	if err != nil {
		return secrets.Secret{}, err
	}
	changed := map[string]any{"password": newPassword()}
	if d.strategy == Alternating {
		for _, member := range []string{"username", "user"} {
			if _, ok := d.form.find(member); ok {
				changed[member] = twinOf(now.Username)
			}
		}
	}
	return d.form.with(changed)
}

// newPassword returns a random password with at least 128 bits of entropy. It has letters of
// both cases, a digit and a hyphen, since servers may have rules for that.
func newPassword() string {
	text := secrets.Generate().Reveal()
	half := len(text) / 2
	return strings.ToLower(text[:half]) + "-" + text[half:] + "7"
}

// twinOf returns the other one of two users who take turns.
func twinOf(user string) string {
	if first, isClone := strings.CutSuffix(user, clone); isClone {
		return first
	}
	return user + clone
}

func (d *database) set(ctx context.Context, v values) error {
	current, pending, err := d.both(v)
	if err != nil {
		return err
	}
	log := d.run.log.With(d.attributes(v.pending)...)
	switch _, err := d.server.Login(ctx, pending); {
	case err == nil:
		log.Info("the server accepts the pending version already; nothing to do")
		return nil
	case !errors.Is(err, ErrLogin):
		return err
	}
	switch d.strategy {
	case Master, Alternating:
		err = d.byMaster(ctx, current, pending)
	default:
		err = d.byItself(ctx, v, current, pending)
	}
	if err != nil {
		return err
	}
	log.Info("the server has the password of the pending version")
	return nil
}

// both parses the current and the pending version. A pending version that names another user
// or server than the current one is an error: the rotation would change the password of
// someone else.
func (d *database) both(v values) (current, pending secrets.Database, err error) {
	if current, err = d.parse(v.current); err != nil {
		return current, pending, fmt.Errorf("the current version: %w", err)
	}
	if pending, err = d.parse(v.pending); err != nil {
		return current, pending, fmt.Errorf("the pending version: %w", err)
	}
	user := current.Username
	if d.strategy == Alternating {
		user = twinOf(user)
	}
	switch {
	case pending.Host != current.Host || pending.Port != current.Port:
		return current, pending, errors.New("the pending version names another server than the current one")
	case pending.Username != user:
		return current, pending, errors.New("the pending version is not of the user whose turn it is")
	}
	return current, pending, nil
}

// byItself lets the user change its own password, with the password that the server accepts.
// The previous one is tried because a rotation may have been given up between setSecret and
// finishSecret and repaired by hand.
func (d *database) byItself(ctx context.Context, v values, current, pending secrets.Database) error {
	tries := []secrets.Database{current}
	if v.previous != nil {
		if previous, err := d.parse(*v.previous); err == nil && previous.Username == pending.Username &&
			previous.Host == pending.Host && previous.Port == pending.Port {
			tries = append(tries, previous)
		}
	}
	var err error
	for _, as := range tries {
		if err = d.server.SetPassword(ctx, as, pending.Username, pending.Password); !errors.Is(err, ErrLogin) {
			return err
		}
	}
	return fmt.Errorf("neither the pending, the current nor the previous version is accepted: %w", err)
}

// masterTries is how often the master logs in, because its secret may be rotated meanwhile.
const masterTries = 4

func (d *database) byMaster(ctx context.Context, current, pending secrets.Database) error {
	wait := 250 * time.Millisecond
	for attempt := 1; ; attempt++ {
		master, err := d.master(ctx, current)
		if err != nil {
			return fmt.Errorf("the master secret: %w", err)
		}
		if d.strategy == Alternating {
			twins := Twins{Next: pending.Username, Other: current.Username, Owner: d.owner(current)}
			err = d.server.SetTwin(ctx, master, twins, pending.Password)
		} else {
			err = d.server.SetPassword(ctx, master, pending.Username, pending.Password)
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrLogin) || attempt == masterTries:
			return fmt.Errorf("as the user of the master secret: %w", err)
		}
		d.run.log.Info("the login of the master was refused; its secret may be being rotated; trying again", "wait", wait)
		if stop := d.run.o.Pause(ctx, wait); stop != nil {
			return fmt.Errorf("%w: %w", stop, err)
		}
		wait *= 4
	}
}

// owner returns the role of two users who take turns: the member owner, or the first of them.
func (d *database) owner(current secrets.Database) string {
	return cmp.Or(d.form.text(memberOwner), strings.TrimSuffix(current.Username, clone))
}

// master reads the master secret. What it does not have is that of the secret: the secret
// of a master user that RDS manages has a name and a password alone.
func (d *database) master(ctx context.Context, current secrets.Database) (secrets.Database, error) {
	id := d.run.o.Master
	if id == "" {
		id = d.form.text(memberMaster)
	}
	value, err := d.run.store.Get(ctx, id, "", Current)
	if err != nil {
		return secrets.Database{}, err
	}
	// How the connection is protected is not the secret's choice: who may write the secret
	// of an app could otherwise have the master's password sent elsewhere in the clear.
	missing := d.run.o.Missing
	missing.Host, missing.Port, missing.Name = current.Host, current.Port, current.Name
	missing.SSLRootCert = cmp.Or(missing.SSLRootCert, current.SSLRootCert)
	master, err := d.parser(missing)(value)
	switch {
	case err != nil:
		return master, err
	case master.Username == current.Username || master.Username == twinOf(current.Username):
		return master, errors.New("it names the user whose password it is to change")
	case !strings.EqualFold(master.Host, current.Host) || master.Port != current.Port:
		return master, errors.New("it names another server than the secret")
	}
	master.Name = current.Name // where the tables are
	return master, nil
}

func (d *database) test(ctx context.Context, v values) error {
	current, pending, err := d.both(v)
	if err != nil {
		return err
	}
	role, err := d.server.Login(ctx, pending)
	if err != nil {
		return err
	}
	if owner := d.owner(current); d.strategy == Alternating && d.hasRoles && role != owner {
		return fmt.Errorf("the user has the rights of the role %q after the login, want %q: what it makes would not belong to both users", role, owner)
	}
	d.run.log.With(d.attributes(v.pending)...).Info("the pending version works", "role", role)
	return nil
}
