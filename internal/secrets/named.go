package secrets

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Named is a token or key, under the name that logs and the like know it by.
type Named struct {
	Name  string
	Value Secret
}

// maxName bounds a name, in bytes.
const maxName = 64

// ParseTokens reads the tokens of operators: {"tokens": {"name": "token"}}, or
// {"tokens": ["token"]}, whose names are made from them by TokenName.
func ParseTokens(s Secret) ([]Named, error) { return parseNamed(s, "tokens", "token") }

// ParseKeys reads the keys of apps, which have the same forms: {"keys": …}.
func ParseKeys(s Secret) ([]Named, error) { return parseNamed(s, "keys", "key") }

// ParseToken reads a secret that is one token and nothing else.
func ParseToken(s Secret) ([]Named, error) {
	token := textOf(s)
	if err := checkValue(token); err != nil {
		return nil, fmt.Errorf("the token %w", err)
	}
	return []Named{{TokenName(New(token)), New(token)}}, nil
}

// TokenName is what records call a token without a name: enough to tell tokens
// apart, too little to find one.
func TokenName(token Secret) string { return nameOf("token", token) }

func nameOf(what string, value Secret) string {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return what + "-" + hex.EncodeToString(sum[:4])
}

func parseNamed(s Secret, member, what string) ([]Named, error) {
	// What the decoder says could repeat a value, so it is not passed on.
	wrong := fmt.Errorf(`must be {%q: {"name": "…"}} or {%q: ["…"]}`, member, member)
	var form map[string]json.RawMessage
	if json.Unmarshal([]byte(textOf(s)), &form) != nil {
		return nil, wrong
	}
	var all []Named
	if list := form[member]; bytes.HasPrefix(list, []byte("[")) {
		var values []string
		if json.Unmarshal(list, &values) != nil {
			return nil, wrong
		}
		for _, v := range values {
			v = strings.TrimSpace(v)
			all = append(all, Named{nameOf(what, New(v)), New(v)})
		}
	} else {
		var values map[string]string
		if json.Unmarshal(list, &values) != nil {
			return nil, wrong
		}
		for name, v := range values {
			all = append(all, Named{name, New(strings.TrimSpace(v))})
		}
		slices.SortFunc(all, func(a, b Named) int { return cmp.Compare(a.Name, b.Name) })
	}
	return all, checkNamed(all, member, what)
}

func checkNamed(all []Named, member, what string) error {
	if len(all) == 0 {
		return fmt.Errorf("must hold at least one %s in %q", what, member)
	}
	names := make(map[string]string, len(all)) // by value
	// The errors count and do not name: where name and value are swapped, the
	// name is the secret.
	for i, n := range all {
		if err := checkName(n.Name); err != nil {
			return fmt.Errorf("%s %d of %d: %w", what, i+1, len(all), err)
		}
		if err := checkValue(n.Value.Reveal()); err != nil {
			return fmt.Errorf("%s %d of %d %w", what, i+1, len(all), err)
		}
		if other, twice := names[n.Value.Reveal()]; twice && other != n.Name {
			return fmt.Errorf("%s %d of %d is the same as another one", what, i+1, len(all))
		}
		names[n.Value.Reveal()] = n.Name
	}
	return nil
}

// checkName wants names that are safe in a log, a label and a database.
func checkName(name string) error {
	ok := name != "" && len(name) <= maxName
	for i := range len(name) {
		ok = ok && name[i] > ' ' && name[i] <= '~'
	}
	if !ok {
		return fmt.Errorf("its name must be 1 to %d visible ASCII characters", maxName)
	}
	return nil
}

// checkValue wants what can come in a header.
func checkValue(value string) error {
	if value == "" {
		return errors.New("is empty")
	}
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return errors.New("must consist of visible ASCII characters")
		}
	}
	return nil
}
