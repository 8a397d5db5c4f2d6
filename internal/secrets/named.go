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

// Named is a token or key with the name that logs and records show.
type Named struct {
	Name  string
	Value Secret
}

// maxName is the maximum length of a name, in bytes.
const maxName = 64

// ParseTokens parses the tokens of operators: {"tokens": {"name": "token"}}, or
// {"tokens": ["token"]}, whose names TokenName makes.
func ParseTokens(s Secret) ([]Named, error) { return parseNamed(s, "tokens", "token") }

// ParseKeys parses the keys of apps in the same formats: {"keys": …}.
func ParseKeys(s Secret) ([]Named, error) { return parseNamed(s, "keys", "key") }

// ParseToken parses a secret that is one token and nothing else.
func ParseToken(s Secret) ([]Named, error) {
	token := Text(s)
	if err := checkValue(token); err != nil {
		return nil, fmt.Errorf("the token %w", err)
	}
	return []Named{{TokenName(New(token)), New(token)}}, nil
}

// TokenName returns a name for a token without one: "token-" and eight hexadecimal digits of
// its SHA-256. That distinguishes tokens and does not help to guess one.
func TokenName(token Secret) string { return nameOf("token", token) }

func nameOf(what string, value Secret) string {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return what + "-" + hex.EncodeToString(sum[:4])
}

func parseNamed(s Secret, member, what string) ([]Named, error) {
	// The error of the decoder is not returned because it could repeat a value.
	wrong := fmt.Errorf(`must be {%q: {"name": "…"}} or {%q: ["…"]}`, member, member)
	var form map[string]json.RawMessage
	if json.Unmarshal([]byte(Text(s)), &form) != nil {
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
	// The errors have numbers and no names: if names and values were swapped, a name
	// is a secret.
	for i, n := range all {
		if err := checkName(n.Name); err != nil {
			return fmt.Errorf("%s %d of %d: %w", what, i+1, len(all), err)
		}
		if err := checkValue(n.Value.Reveal()); err != nil {
			return fmt.Errorf("%s %d of %d %w", what, i+1, len(all), err)
		}
		if other, twice := names[n.Value.Reveal()]; twice && other != n.Name {
			return fmt.Errorf("%s %d of %d has the same value as another one", what, i+1, len(all))
		}
		names[n.Value.Reveal()] = n.Name
	}
	return nil
}

// checkName returns an error unless the name is safe in a log, a label and a database.
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

// checkValue returns an error unless the value can be sent in a header field.
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
