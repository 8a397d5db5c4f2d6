package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/secrets"
)

func TestAnIDSaysWhereASecretIsAndIsNoSecret(t *testing.T) {
	for id, ok := range map[string]bool{
		"db":                          true,
		"prod/gateway/db_1+2=3.4@x-y": true,
		"rds!db-0a1b2c3d-1111-2222":   true,
		"file:/run/secrets/db.json":   true,
		"file:db.json":                true,
		"file:/with blanks/db.json":   true,
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf":               true,
		"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:rds!cluster-1-AbCdEf": true,
		"":                                    false,
		"file:":                               false,
		"file: leak":                          false,
		"file:leak\n":                         false,
		`file:{"password":"leak"}`:            false,
		" leak":                               false,
		"leak leak":                           false,
		"leak\n":                              false,
		"leäk":                                false,
		`{"username":"u","password":"leak"}`:  false,
		`{"tokens":["leak"]}`:                 false,
		"postgres://u:leak@h:5432/d":          false,
		"host=h password=leak":                false,
		"arn:aws:iam::123456789012:role/leak": false,
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:leak-AbCdEf:password::": false, // as ECS writes it
		strings.Repeat("leak", 200): false,
	} {
		err := secrets.CheckID(id)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "leak") {
			t.Errorf("%q: got %v, want that it is accepted: %v", id, err, ok)
		}
		onlyFiles := ok && strings.HasPrefix(id, "file:")
		if err := secrets.CheckFileID(id); (err == nil) != onlyFiles || err != nil && strings.Contains(err.Error(), "leak") {
			t.Errorf("%q: as a file: got %v, want that it is accepted: %v", id, err, onlyFiles)
		}
	}
}

// repeating is a source that repeats names in its errors, as AWS does where a
// name may not be read.
type repeating struct{ err error }

func (r repeating) Get(_ context.Context, id string, _ secrets.Stage) (secrets.Version, error) {
	return secrets.Version{}, fmt.Errorf("not authorized to perform GetSecretValue on %s (%w)", id, r.err)
}

// A setting for a name may by mistake hold a token, which looks like a name.
func TestANameIsNotShownBeforeASecretWasFound(t *testing.T) {
	for id, shown := range map[string]bool{"leak": false, "file:leak": true, "arn:aws:leak": true} {
		var logs bytes.Buffer
		waiting, stop := context.WithCancel(t.Context())
		store := secrets.NewStore(secrets.Options{Waiting: stop}, slog.New(slog.NewTextHandler(&logs, nil)), prometheus.NewRegistry())
		for _, err := range []error{secrets.ErrRefused, errors.New("down")} {
			_, got := secrets.Open(waiting, store, secrets.Declared{Name: "admin", ID: id, Source: repeating{err}}, text)
			if !errors.Is(got, err) || strings.Contains(got.Error(), "leak") != shown {
				t.Errorf("%s, %v: got %v", id, err, got)
			}
		}
		if text := logs.String(); !strings.Contains(text, "secret=admin") || strings.Contains(text, "leak") != shown {
			t.Errorf("%s: the log is %s", id, text)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
