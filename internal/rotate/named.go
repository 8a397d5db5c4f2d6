package rotate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"gateway/internal/secrets"
)

// named is a secret of tokens or keys, which the gateway compares with what it is sent.
// Each of them gets a new value. The gateway accepts the current version and, for the time
// of its setting GATEWAY_SECRET_GRACE, the previous one.
type named struct {
	member string // tokens or keys
	parse  func(secrets.Secret) ([]secrets.Named, error)
	run    *run
}

func (n named) next(current secrets.Secret) (secrets.Secret, error) {
	all, err := n.parse(current)
	if err != nil {
		return secrets.Secret{}, err
	}
	f, err := parseForm(current)
	if err != nil {
		return secrets.Secret{}, err
	}
	key, _ := f.find(n.member)
	if bytes.HasPrefix(f[key], []byte("[")) {
		values := make([]string, len(all))
		for i := range values {
			values[i] = secrets.Generate().Reveal()
		}
		return f.with(map[string]any{n.member: values})
	}
	var names map[string]json.RawMessage
	if json.Unmarshal(f[key], &names) != nil {
		return secrets.Secret{}, errors.New("the secret is malformed")
	}
	values := make(map[string]string, len(names))
	for name := range names {
		values[name] = secrets.Generate().Reveal()
	}
	return f.with(map[string]any{n.member: values})
}

func (n named) set(context.Context, values) error {
	n.run.log.Info("nothing to set: the gateway reads the secret itself")
	return nil
}

func (n named) test(_ context.Context, v values) error {
	if _, err := n.parse(v.pending); err != nil {
		return err
	}
	n.run.log.Info("the gateway can read the pending version")
	return nil
}

func (n named) attributes(value secrets.Secret) []any {
	all, _ := n.parse(value)
	return []any{"kind", n.member, "count", len(all)}
}

// tokenRule matches what a gateway writes into its file of one token, and tokens like it.
var tokenRule = regexp.MustCompile(`^[A-Za-z0-9_.~+/=-]{16,512}$`)

// oneToken is a file that is one token and nothing else, such as the one that a gateway
// makes in its data directory.
func (r *run) oneToken(current secrets.Secret) (credential, error) {
	if text := secrets.Text(current); !tokenRule.MatchString(text) || strings.Contains(text, "//") {
		return nil, errors.New("the file is neither a JSON object nor one token")
	}
	return token{r}, nil
}

type token struct{ run *run }

func (token) next(secrets.Secret) (secrets.Secret, error) {
	return secrets.New(secrets.Generate().Reveal() + "\n"), nil
}

func (t token) set(ctx context.Context, v values) error { return named{run: t.run}.set(ctx, v) }

func (t token) test(ctx context.Context, v values) error {
	return named{"token", secrets.ParseToken, t.run}.test(ctx, v)
}

func (token) attributes(secrets.Secret) []any { return []any{"kind", "token", "count", 1} }
