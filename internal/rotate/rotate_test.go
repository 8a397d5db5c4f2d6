package rotate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/secrets"
)

// memory is a store whose calls can be made to end with the process, before or after their
// effect, and whose new versions become visible late.
type memory struct {
	values  map[string]map[string]string // by secret and version
	labels  map[string]map[string]string // version by secret and label
	rotates bool
	late    int // reads of a new version that do not see it
	crash   *crash

	put          Version // the last one
	promoteFails error   // after its effect
	promoteLost  bool    // it has no effect
}

// crash panics at a point of a rotation, as kill -9 would end it.
type crash struct{ after int }

type killed struct{}

func (c *crash) point() {
	if c == nil {
		return
	}
	if c.after--; c.after < 0 {
		panic(killed{})
	}
}

func newMemory(id, value string) *memory {
	m := &memory{values: map[string]map[string]string{}, labels: map[string]map[string]string{}, rotates: true}
	m.add(id, value)
	return m
}

func (m *memory) add(id, value string) {
	m.values[id] = map[string]string{"v1": value}
	m.labels[id] = map[string]string{Current: "v1"}
}

// begin is what Secrets Manager does before createSecret.
func (m *memory) begin(id, token string) { m.labels[id][Pending] = token }

func (m *memory) Describe(_ context.Context, id string) (Description, error) {
	m.crash.point()
	d := Description{Rotates: m.rotates, Labels: map[string][]string{}}
	for label, version := range m.labels[id] {
		d.Labels[version] = append(d.Labels[version], label)
	}
	return d, nil
}

func (m *memory) Get(_ context.Context, id, version, label string) (secrets.Secret, error) {
	m.crash.point()
	held := m.labels[id][label]
	value, ok := m.values[id][held]
	if m.late > 0 && label == Pending && ok {
		m.late--
		ok = false
	}
	if !ok || version != "" && version != held {
		return secrets.Secret{}, secrets.ErrNotFound
	}
	return secrets.New(value), nil
}

func (m *memory) Put(_ context.Context, id string, version Version, value secrets.Secret) error {
	m.crash.point()
	defer m.crash.point()
	if old, ok := m.values[id][version.Token]; ok && old != value.Reveal() {
		return ErrOtherValue
	}
	m.put = version
	m.values[id][version.Token] = value.Reveal()
	m.labels[id][Pending] = version.Token
	return nil
}

func (m *memory) Promote(_ context.Context, id, to, from string) error {
	m.crash.point()
	defer m.crash.point()
	if !m.promoteLost {
		m.labels[id][Current], m.labels[id][Previous] = to, from
	}
	return m.promoteFails
}

// server is a database server in memory.
type server struct {
	passwords map[string]string // by user
	owners    map[string]string
	down      error
	crash     *crash
	changes   int
	changedBy []secrets.Database
}

func (s *server) Login(_ context.Context, as secrets.Database) (string, error) {
	s.crash.point()
	switch {
	case s.down != nil:
		return "", s.down
	case s.passwords[as.Username] == "" || s.passwords[as.Username] != as.Password.Reveal():
		return "", ErrLogin
	}
	if owner := s.owners[as.Username]; owner != "" {
		return owner, nil
	}
	return as.Username, nil
}

func (s *server) SetPassword(ctx context.Context, as secrets.Database, user string, password secrets.Secret) error {
	if _, err := s.Login(ctx, as); err != nil {
		return err
	}
	defer s.crash.point()
	s.changes++
	s.changedBy = append(s.changedBy, as)
	s.passwords[user] = password.Reveal()
	return nil
}

func (s *server) SetTwin(ctx context.Context, as secrets.Database, twins Twins, password secrets.Secret) error {
	s.owners[twins.Next] = twins.Owner
	return s.SetPassword(ctx, as, twins.Next, password)
}

const theSecret = "app"

// trial is a rotation of a secret with a server, all in memory.
type trial struct {
	t      *testing.T
	store  *memory
	server *server
	logs   bytes.Buffer
	pauses []time.Duration
	o      Options
}

func newTrial(t *testing.T, members map[string]any) *trial {
	t.Helper()
	form := map[string]any{"engine": "postgres", "host": "db", "port": "5432", "username": "app", "password": "p1", "extra": map[string]any{"kept": 1}}
	maps.Copy(form, members)
	text, err := json.Marshal(form)
	if err != nil {
		t.Fatal(err)
	}
	tr := &trial{t: t, store: newMemory(theSecret, string(text)),
		server: &server{passwords: map[string]string{"app": "p1", "boss": "m1"}, owners: map[string]string{}}}
	tr.store.add("the-master", `{"username": "boss", "password": "m1"}`)
	tr.o = Options{Postgres: tr.server, Pause: func(_ context.Context, d time.Duration) error {
		tr.pauses = append(tr.pauses, d)
		return nil
	}}
	return tr
}

func (tr *trial) rotator() *Rotator {
	return New(tr.store, tr.o, slog.New(slog.NewJSONHandler(&tr.logs, nil)))
}

func (tr *trial) step(step Step, token string) error {
	return tr.rotator().Do(tr.t.Context(), Request{Step: step, Secret: theSecret, Version: Version{Token: token}})
}

// rotate does all steps.
func (tr *trial) rotate(token string) {
	tr.t.Helper()
	tr.store.begin(theSecret, token)
	for _, step := range Steps() {
		if err := tr.step(step, token); err != nil {
			tr.t.Fatalf("%v", err)
		}
	}
}

// works reports whether the version with a label logs in.
func (tr *trial) works(label string) bool {
	value, err := tr.store.Get(tr.t.Context(), theSecret, "", label)
	if err != nil {
		return false
	}
	d, err := secrets.ParseDatabase(secrets.Database{})(value)
	if err != nil {
		tr.t.Fatal(err)
	}
	_, err = tr.server.Login(tr.t.Context(), d)
	return err == nil
}

var strategies = map[string]map[string]any{
	"single":      {},
	"master":      {"masterarn": "the-master"},
	"alternating": {"masterarn": "the-master", "strategy": "alternating"},
	"owner role":  {"masterarn": "the-master", "owner": "app_owner"},
}

func TestEachStepMayDieAnywhereAndIsCalledAgain(t *testing.T) {
	for name, members := range strategies {
		t.Run(name, func(t *testing.T) {
			points := 0
			for at := 0; ; at++ {
				tr := newTrial(t, members)
				if name == "owner role" {
					tr.server.owners["app"] = "app_owner"
				}
				tr.rotate("t1") // two users take turns only after a first rotation
				tr.store.begin(theSecret, "t2")
				c := &crash{at}
				tr.store.crash, tr.server.crash = c, c
				died := false
				for _, step := range Steps() {
					for once := true; once; {
						once = func() (again bool) {
							defer func() {
								if r := recover(); r != nil {
									if _, ok := r.(killed); !ok {
										panic(r)
									}
									died, again = true, true
									tr.store.crash, tr.server.crash = nil, nil
									if !tr.works(Current) && !tr.works(Pending) {
										t.Errorf("killed at point %d in %s, no version works", at, step)
									}
									if strings.HasPrefix(name, "a") && !tr.works(Current) {
										t.Errorf("killed at point %d in %s, the current user's password does not work", at, step)
									}
								}
							}()
							if err := tr.step(step, "t2"); err != nil {
								t.Fatalf("killed at point %d: %v", at, err)
							}
							return false
						}()
					}
				}
				tr.store.crash, tr.server.crash = nil, nil
				if tr.store.labels[theSecret][Current] != "t2" || !tr.works(Current) {
					t.Errorf("killed at point %d, the rotation ends with %v", at, tr.store.labels[theSecret])
				}
				if !died {
					break
				}
				points++
			}
			if points < 12 {
				t.Errorf("only %d points were tried", points)
			}
		})
	}
}

func TestAStepThatWasDoneChangesNothing(t *testing.T) {
	tr := newTrial(t, nil)
	tr.store.begin(theSecret, "t1")
	for _, step := range Steps() {
		var before string
		for again := range 3 {
			if err := tr.step(step, "t1"); err != nil {
				t.Fatal(err)
			}
			now := fmt.Sprint(tr.store.values, tr.store.labels, tr.server.passwords, tr.server.changes)
			if again > 0 && now != before {
				t.Errorf("%s again made %s of %s", step, now, before)
			}
			before = now
		}
	}
}

func TestTheSecretKeepsItsOtherMembers(t *testing.T) {
	tr := newTrial(t, strategies["alternating"])
	var users []string
	for _, token := range []string{"t1", "t2"} {
		tr.rotate(token)
		var form map[string]any
		if err := json.Unmarshal([]byte(tr.store.values[theSecret][token]), &form); err != nil {
			t.Fatal(err)
		}
		users = append(users, form["username"].(string))
		if len(form) != 8 || form["port"] != "5432" || form["extra"].(map[string]any)["kept"] != 1. || len(form["password"].(string)) < 26 {
			t.Errorf("the new version is %v", form)
		}
	}
	if !slices.Equal(users, []string{"app_clone", "app"}) {
		t.Errorf("the users are %v", users)
	}
}

func TestOnlyARefusedLoginLeadsToTheNextPassword(t *testing.T) {
	tr := newTrial(t, nil)
	tr.store.begin(theSecret, "t1")
	if err := tr.step(Create, "t1"); err != nil {
		t.Fatal(err)
	}
	for _, down := range []error{ErrUnreachable, ErrProtection, errors.New("too many connections")} {
		tr.server.down = down
		if err := tr.step(Set, "t1"); !errors.Is(err, down) || errors.Is(err, ErrLogin) || tr.server.changes != 0 {
			t.Errorf("got %v and %d changes, want %v", err, tr.server.changes, down)
		}
		if err := tr.step(Test, "t1"); !errors.Is(err, down) {
			t.Errorf("testSecret: got %v, want %v", err, down)
		}
	}
	tr.server.down = nil
	tr.server.passwords["app"] = "unknown"
	if err := tr.step(Set, "t1"); !errors.Is(err, ErrLogin) {
		t.Errorf("an unknown password: got %v", err)
	}
	// The previous password is tried last.
	tr.store.values[theSecret]["v0"] = strings.ReplaceAll(tr.store.values[theSecret]["v1"], "p1", "p0")
	tr.store.labels[theSecret][Previous] = "v0"
	tr.server.passwords["app"] = "p0"
	if err := tr.step(Set, "t1"); err != nil || tr.server.changes != 1 {
		t.Errorf("the previous password: got %v and %d changes", err, tr.server.changes)
	}
	// One of another user is not.
	tr = newTrial(t, nil)
	tr.store.values[theSecret]["v0"] = `{"host": "db", "username": "boss", "password": "m1"}`
	tr.store.labels[theSecret][Previous] = "v0"
	tr.server.passwords["app"] = "unknown"
	tr.store.begin(theSecret, "t1")
	if err := tr.step(Create, "t1"); err != nil {
		t.Fatal(err)
	}
	if err := tr.step(Set, "t1"); !errors.Is(err, ErrLogin) || tr.server.changes != 0 {
		t.Errorf("another user's previous password: got %v and %d changes", err, tr.server.changes)
	}
}

func TestAVersionThatIsNotVisibleYetIsAwaited(t *testing.T) {
	tr := newTrial(t, nil)
	tr.store.begin(theSecret, "t1")
	if err := tr.step(Create, "t1"); err != nil {
		t.Fatal(err)
	}
	made := tr.store.values[theSecret]["t1"]
	for _, step := range []Step{Create, Set, Test} {
		tr.store.late = 3
		if err := tr.step(step, "t1"); err != nil {
			t.Errorf("%s: %v", step, err)
		}
		tr.store.late = 0
	}
	if tr.store.values[theSecret]["t1"] != made {
		t.Error("a version that was not visible was made again")
	}
	if len(tr.pauses) != 6 || tr.pauses[1] != 2*tr.pauses[0] {
		t.Errorf("the pauses were %v", tr.pauses)
	}
	tr.store.late = 100
	if err := tr.step(Set, "t1"); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("a version that stays invisible: got %v", err)
	}
}

func TestAMasterMayBeRotatedMeanwhile(t *testing.T) {
	tr := newTrial(t, strategies["master"])
	tr.server.passwords["boss"] = "m2"
	tr.o.Pause = func(context.Context, time.Duration) error {
		tr.store.values["the-master"]["v1"] = `{"username": "boss", "password": "m2"}`
		return nil
	}
	tr.rotate("t1")
}

func TestWrongRequestsChangeNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		members map[string]any
		change  func(*trial)
		step    Step
		want    string
	}{
		"an unknown step":           {step: "create_secret", want: "createSecret"},
		"rotation is off":           {step: Create, change: func(tr *trial) { tr.store.rotates = false }, want: "not enabled"},
		"an unknown token":          {step: Set, change: func(tr *trial) { delete(tr.store.labels[theSecret], Pending) }, want: "no version of this token"},
		"a strategy of no kind":     {step: Create, members: map[string]any{"strategy": "leak"}, want: "must be single, master or alternating"},
		"no master":                 {step: Create, members: map[string]any{"strategy": "master"}, want: "needs a master secret"},
		"an engine of no kind":      {step: Create, members: map[string]any{"engine": "oracle"}, want: "not supported"},
		"both kinds":                {step: Create, members: map[string]any{"tokens": 1, "keys": 1}, want: "both"},
		"the pending user is wrong": {step: Set, change: func(tr *trial) { tr.pend(`{"host": "db", "username": "boss", "password": "x"}`) }, want: "not of the user"},
		"the pending host is wrong": {step: Set, change: func(tr *trial) { tr.pend(`{"host": "evil", "username": "app", "password": "x"}`) }, want: "another server"},
		"the master is the user": {step: Set, members: strategies["master"], change: func(tr *trial) {
			tr.pend(`{"host": "db", "username": "app", "password": "x"}`)
			tr.store.add("the-master", `{"username": "app", "password": "p1"}`)
		}, want: "names the user whose password"},
		"the master is elsewhere": {step: Set, members: strategies["master"], change: func(tr *trial) {
			tr.pend(`{"host": "db", "username": "app", "password": "x"}`)
			tr.store.add("the-master", `{"host": "evil", "username": "boss", "password": "m1"}`)
		}, want: "another server"},
		"the login has no owner role": {step: Test, members: strategies["owner role"], change: func(tr *trial) {
			tr.pend(`{"host": "db", "username": "app_clone", "password": "x"}`)
			tr.server.passwords["app_clone"] = "x"
		}, want: "would not belong to both"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(t, tc.members)
			tr.store.begin(theSecret, "t1")
			if tc.change != nil {
				tc.change(tr)
			}
			before := fmt.Sprint(tr.store.values, tr.server.passwords)
			err := tr.step(tc.step, "t1")
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "leak") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if now := fmt.Sprint(tr.store.values, tr.server.passwords); now != before {
				t.Errorf("it changed %s to %s", before, now)
			}
		})
	}
}

// pend makes a pending version.
func (tr *trial) pend(value string) { tr.store.values[theSecret]["t1"] = value }

func TestTheLogHasNoSecret(t *testing.T) {
	for name, members := range strategies {
		tr := newTrial(t, members)
		if name == "owner role" {
			tr.server.owners["app"] = "app_owner"
		}
		tr.rotate("t1")
		tr.rotate("t2")
		for _, user := range []string{"app", "app_clone", "boss"} {
			if password := tr.server.passwords[user]; password != "" && strings.Contains(tr.logs.String(), password) {
				t.Errorf("%s: a password is in the log: %s", name, &tr.logs)
			}
		}
		for _, step := range Steps() {
			if !strings.Contains(tr.logs.String(), string(step)) {
				t.Errorf("%s: the log does not say what %s did", name, step)
			}
		}
	}
}

func TestTokensAndKeysAreReplaced(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		parse func(secrets.Secret) ([]secrets.Named, error)
		names []string
	}{
		"tokens with names": {`{"tokens": {"alice": "a-token", "deploy": "b-token"}, "note": "kept"}`, secrets.ParseTokens, []string{"alice", "deploy"}},
		"keys with names":   {"\ufeff" + `{"keys": {"web": "a-key"}, "note": "kept"}`, secrets.ParseKeys, []string{"web"}},
		"a list":            {`{"tokens": ["a-token", "b-token"], "note": "kept"}`, secrets.ParseTokens, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(t, nil)
			tr.store.add(theSecret, tc.value)
			before, err := tc.parse(secrets.New(tc.value))
			if err != nil {
				t.Fatal(err)
			}
			tr.rotate("t1")
			if tr.store.values[theSecret][tr.store.labels[theSecret][Previous]] != tc.value {
				t.Error("the previous version is another one")
			}
			value := tr.store.values[theSecret]["t1"]
			after, err := tc.parse(secrets.New(value))
			if err != nil || len(after) != len(before) || !strings.Contains(value, `"note":"kept"`) {
				t.Fatalf("the new version is %s (%v)", value, err)
			}
			for i := range after {
				if after[i].Value.Equal(before[i].Value) || len(after[i].Value.Reveal()) < 26 || tc.names != nil && after[i].Name != tc.names[i] {
					t.Errorf("%s has %s", after[i].Name, after[i].Value.Reveal())
				}
			}
		})
	}
}

func TestAFileIsReplacedInOneStep(t *testing.T) {
	for name, value := range map[string]string{
		"a database":   `{"host": "db", "username": "app", "password": "p1"}`,
		"tokens":       `{"tokens": {"alice": "a-token"}}`,
		"a bare token": "THETOKENOFADATADIRECTORY22\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret.json")
			if err := os.WriteFile(path, []byte(value), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			tr := newTrial(t, nil)
			r := New(Files{}, Options{Postgres: tr.server, Manual: true}, slog.New(slog.DiscardHandler))
			do := func(step Step, token string) {
				t.Helper()
				if err := r.Do(t.Context(), Request{Step: step, Secret: "file:" + path, Version: Version{Token: token}}); err != nil {
					t.Fatal(err)
				}
			}
			do(Create, "t1")
			pending, err := os.ReadFile(path + ".pending")
			if err != nil {
				t.Fatal(err)
			}
			if token, err := r.Unfinished(t.Context(), "file:"+path); token != "t1" || err != nil {
				t.Errorf("the unfinished rotation is %q, %v", token, err)
			}
			for _, step := range []Step{Create, Set, Test} {
				do(step, "t1")
			}
			if text, _ := os.ReadFile(path); string(text) != value {
				t.Errorf("the file is %s before the end", text)
			}
			do(Finish, "t1")
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("the mode of the file is %v, %v", info.Mode(), err)
			}
			if text, _ := os.ReadFile(path); string(text) == value || len(text) < 26 {
				t.Errorf("the file is %q", text)
			}
			if _, err := os.Stat(path + ".pending"); !os.IsNotExist(err) {
				t.Errorf("the pending version is still there: %v", err)
			}
			// As if the process had ended between the two changes of Promote.
			if err := os.WriteFile(path+".pending", pending, 0o600); err != nil {
				t.Fatal(err)
			}
			do(Finish, "t1")
			if token, err := r.Unfinished(t.Context(), "file:"+path); token != "" || err != nil {
				t.Errorf("the unfinished rotation is %q, %v", token, err)
			}
			for _, step := range Steps() {
				do(step, "t2")
			}
		})
	}
	r := New(Files{}, Options{Manual: true}, slog.New(slog.DiscardHandler))
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("postgres://app:hunter2hunter2@db/app"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := r.Do(t.Context(), Request{Step: Create, Secret: "file:" + path, Version: Version{Token: "t1"}})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a URL: got %v", err)
	}
}

// The protection of the master's connection is that of the settings and of its own secret.
func TestASecretDoesNotWeakenTheMastersConnection(t *testing.T) {
	tr := newTrial(t, map[string]any{"masterarn": "the-master", "sslmode": "disable", "require_auth": "password", "sslrootcert": "/ca.pem"})
	tr.o.Missing = secrets.Database{SSLMode: "verify-full"}
	tr.rotate("t1")
	for _, as := range tr.server.changedBy {
		if as.Username != "boss" || as.SSLMode != "verify-full" || as.RequireAuth != "" || as.SSLRootCert != "/ca.pem" {
			t.Errorf("the master logged in with sslmode %q, require_auth %q and sslrootcert %q", as.SSLMode, as.RequireAuth, as.SSLRootCert)
		}
	}
	if len(tr.server.changedBy) != 1 {
		t.Errorf("the password was changed %d times", len(tr.server.changedBy))
	}
}

// The SDK tries again after a lost answer; Secrets Manager refuses to move a label twice.
func TestALostAnswerToTheLastStepIsNoFailure(t *testing.T) {
	tr := newTrial(t, nil)
	tr.store.begin(theSecret, "t1")
	for _, step := range Steps() {
		tr.store.promoteFails = errors.New("the label is not attached to that version")
		if err := tr.step(step, "t1"); err != nil {
			t.Error(err)
		}
	}
	tr = newTrial(t, nil)
	tr.store.begin(theSecret, "t1")
	tr.store.promoteFails, tr.store.promoteLost = errors.New("no permission"), true
	if err := tr.step(Finish, "t1"); err == nil {
		t.Error("a last step that had no effect ended well")
	}
}

func TestARotationByHandNamesTheVersionThatWasPending(t *testing.T) {
	tr := newTrial(t, nil)
	tr.store.rotates, tr.o.Manual = false, true
	if err := tr.step(Create, "t1"); err != nil {
		t.Fatal(err)
	}
	if v := tr.store.put; !v.Begins || v.Before != "" {
		t.Errorf("the first rotation put %+v", v)
	}
	tr.store.labels[theSecret][Current] = "t1"
	if err := tr.step(Create, "t2"); err != nil {
		t.Fatal(err)
	}
	if v := tr.store.put; !v.Begins || v.Before != "t1" {
		t.Errorf("the second rotation put %+v", v)
	}
	// Secrets Manager has labelled the version before it calls the function.
	tr.store.begin(theSecret, "t3")
	if err := tr.step(Create, "t3"); err != nil || tr.store.put.Begins {
		t.Errorf("the function put %+v, %v", tr.store.put, err)
	}
}

func TestPasswordsKeepToCommonRules(t *testing.T) {
	password := newPassword()
	for _, class := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "-"} {
		if !strings.ContainsAny(password, class) {
			t.Errorf("a password of %d characters has none of %s", len(password), class)
		}
	}
	if other := newPassword(); other == password || len(password) < 28 {
		t.Error("passwords are not random")
	}
}

func TestALinkStaysAndTheFileIsLocked(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target.json"), filepath.Join(folder, "link.json")
	if err := os.WriteFile(target, []byte(`{"keys": ["a-key"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target.json", link); err != nil {
		t.Skipf("this system has no symbolic links: %v", err)
	}
	unlock, err := Files{}.Lock("file:" + link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Files{}).Lock("file:" + target); !errors.Is(err, ErrUnderWay) {
		t.Errorf("a second lock: got %v", err)
	}
	r := New(Files{}, Options{Manual: true}, slog.New(slog.DiscardHandler))
	for _, step := range Steps() {
		if err := r.Do(t.Context(), Request{Step: step, Secret: "file:" + link, Version: Version{Token: "t1"}}); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if text, err := os.ReadFile(target); err != nil || strings.Contains(string(text), "a-key") {
		t.Errorf("the file is %s, %v", text, err)
	}
	unlock()
	if unlock, err = (Files{}).Lock("file:" + target); err != nil {
		t.Errorf("after the end: got %v", err)
	} else {
		unlock()
	}
}
