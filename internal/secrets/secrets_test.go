package secrets_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"

	"gateway/internal/secrets"
)

const value = "hunter2-hunter2"

// holder has a secret in each kind of field that package fmt prints.
type holder struct {
	S secrets.Secret
	P *secrets.Secret
	L []secrets.Secret
	A [1]secrets.Secret
	M map[string]secrets.Secret
	I any
	D secrets.Database
	hidden
	inner hidden
	deep  *hidden
}

// hidden has its secret in an unexported field, whose methods package fmt cannot
// call.
type hidden struct {
	secret secrets.Secret
	list   []secrets.Secret
	table  map[string]secrets.Named
}

// failure is an error with a secret in its text.
type failure struct{ Secret secrets.Secret }

func (f failure) Error() string { return fmt.Sprintf("refused: %v", f.Secret) }

func TestASecretNeverPrints(t *testing.T) {
	s := secrets.New(value)
	h := hidden{s, []secrets.Secret{s}, map[string]secrets.Named{"k": {Name: "n", Value: s}}}
	nested := holder{S: s, P: &s, L: []secrets.Secret{s}, A: [1]secrets.Secret{s}, M: map[string]secrets.Secret{"k": s}, I: s,
		D: secrets.Database{Password: s}, hidden: h, inner: h, deep: &h}
	things := map[string]any{
		"the secret": s, "a pointer": &s, "a struct": nested, "a pointer to a struct": &nested, "a slice": []any{s, &nested},
		"a map": map[string]any{"k": s, "n": nested}, "hidden in a struct": h, "behind pointers": &struct{ p **hidden }{ptr(&h)},
		"named": secrets.Named{Name: "n", Value: s}, "an error": failure{s}, "a wrapped error": fmt.Errorf("wrapped: %w", failure{s}),
		"joined errors": errors.Join(failure{s}, io.EOF),
	}
	printed := func(t *testing.T, how, text string) {
		t.Helper()
		for _, leak := range []string{value, "hunter2", fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), "68 75 6e", "104 117 110", "0x68"} {
			if strings.Contains(text, leak) {
				t.Errorf("%s printed the secret: %s", how, text)
			}
		}
	}
	for name, thing := range things {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%c", "%U", "%b", "%t", "%20v", "%-3.1s", "%T %v"} {
				printed(t, verb, fmt.Sprintf(verb, thing))
			}
			printed(t, "Println", fmt.Sprintln(thing))
			for how, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "XML": xml.Marshal} {
				text, err := marshal(thing)
				printed(t, how, fmt.Sprint(string(text), err))
			}
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(thing)
			printed(t, "gob", fmt.Sprint(out.String(), err))
			out.Reset()
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).With("with", thing).WithGroup("g").Info(fmt.Sprint(thing), "thing", thing, slog.Group("in", "thing", thing))
			}
			log.New(&out, "", 0).Print(thing)
			if err := template.Must(template.New("").Parse("{{.}} <a title='{{.}}'><script>var x = {{.}}</script>")).Execute(&out, thing); err != nil {
				out.WriteString(err.Error())
			}
			func() {
				defer func() { fmt.Fprint(&out, recover()) }()
				panic(thing)
			}()
			printed(t, "slog, log, a template or a panic", out.String())
		})
	}
	text, err := json.Marshal(s)
	if err != nil || string(text) != `"[redacted]"` || fmt.Sprintf("%v %d", s, s) != "[redacted] [redacted]" {
		t.Errorf("as JSON it is %s (%v), and printed %v", text, err, s)
	}
	if s.Reveal() != value || !s.Equal(secrets.New(value)) || s.Equal(secrets.Secret{}) || (secrets.Secret{}).Reveal() != "" {
		t.Error("the secret is not what was put into it")
	}
}

func ptr[T any](v T) *T { return &v }

func TestGeneratedSecretsDiffer(t *testing.T) {
	if a, b := secrets.Generate(), secrets.Generate(); a.Equal(b) || len(a.Reveal()) < 26 {
		t.Errorf("two secrets have %d and %d characters, equal: %v", len(a.Reveal()), len(b.Reveal()), a.Equal(b))
	}
}
