package secrets_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/secrets"
)

const value = "hunter2-hunter2"

func TestASecretNeverPrints(t *testing.T) {
	s := secrets.New(value)
	holder := struct {
		S secrets.Secret
		P *secrets.Secret
		L []secrets.Secret
		M map[string]secrets.Secret
	}{s, &s, []secrets.Secret{s}, map[string]secrets.Secret{"k": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", &holder)
	}
	fmt.Fprintln(&out, s, &s, holder, fmt.Errorf("wrapped: %v", s))
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
		if text, err := marshal(s); err == nil {
			out.Write(text)
		}
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("secret", "s", s, "p", &s, "holder", holder, slog.Group("g", "s", s))
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), fmt.Sprintf("%x", value)) {
		t.Errorf("the secret was printed: %s", out.String())
	}
	if s.Reveal() != value {
		t.Errorf("Reveal gave %q, want the value", s.Reveal())
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func reveal(all []secrets.Secret) string {
	var values []string
	for _, s := range all {
		values = append(values, s.Reveal())
	}
	return strings.Join(values, " ")
}

func TestTokensFollowTheirFileAfterTheTTLAndSurviveItsLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens.json")
		write(t, path, `{"tokens": ["one", " two "]}`)
		var log bytes.Buffer
		tokens, err := secrets.OpenTokens(path, time.Minute, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		look := func(want string) {
			t.Helper()
			if got := reveal(tokens.Current()); got != want {
				t.Errorf("tokens are %q, want %q", got, want)
			}
		}
		look("one two")
		write(t, path, `{"tokens": ["three"]}`)
		look("one two") // the time is not up
		time.Sleep(time.Minute)
		look("three")
		write(t, path, `{"tokens": ["secret-but-broken"`)
		time.Sleep(time.Minute)
		look("three")
		time.Sleep(time.Minute)
		look("three")
		if n := strings.Count(log.String(), "cannot be read again"); n != 1 {
			t.Errorf("a lasting failure was logged %d times, want once", n)
		}
		if strings.Contains(log.String(), "secret-but-broken") {
			t.Error("the log repeats what is in the file")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		look("three")
		write(t, path, `{"tokens": ["four"]}`)
		time.Sleep(time.Minute)
		look("four")
	})
}

func TestTokenFilesThatCannotBeUsedAreRefusedByName(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON": "leak", "no tokens": `{}`, "an empty list": `{"tokens": []}`, "only blanks": `{"tokens": ["", "  "]}`,
		"a number": `{"tokens": 5}`,
	} {
		path := filepath.Join(t.TempDir(), "tokens.json")
		write(t, path, text)
		_, err := secrets.OpenTokens(path, time.Minute, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "leak") {
			t.Errorf("%s: got %v, want an error that names the file and not its text", name, err)
		}
	}
}

func TestATokenIsMadeOnceAndOnlyItsOwnerCanReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	first, made, err := secrets.OpenOrMakeToken(path)
	if err != nil || !made {
		t.Fatalf("got made = %v (%v), want a new token", made, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
	again, made, err := secrets.OpenOrMakeToken(path)
	if err != nil || made || reveal(again.Current()) != reveal(first.Current()) || len(reveal(first.Current())) < 20 {
		t.Errorf("the second start has token %q, made = %v (%v), want the first one's", reveal(again.Current()), made, err)
	}
	write(t, path, "\n")
	if _, _, err := secrets.OpenOrMakeToken(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("an empty file gave %v, want an error that names it", err)
	}
}
