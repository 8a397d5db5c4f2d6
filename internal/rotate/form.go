package rotate

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"gateway/internal/secrets"
)

// form is the JSON object of a secret. Members that a rotation does not change keep their
// text.
type form map[string]json.RawMessage

func parseForm(s secrets.Secret) (form, error) {
	var f form
	if err := json.Unmarshal([]byte(secrets.Text(s)), &f); err != nil || f == nil {
		return nil, errors.New("the secret is not a JSON object") // the decoder's error may repeat a value
	}
	return f, nil
}

// find returns the name of a member, whose case may be another one.
func (f form) find(name string) (key string, ok bool) {
	if _, ok := f[name]; ok {
		return name, true
	}
	for key := range f {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return name, false
}

// text returns a member that is a string; empty if there is none.
func (f form) text(name string) string {
	key, _ := f.find(name)
	var text string
	_ = json.Unmarshal(f[key], &text) // a value of another kind counts as missing
	return strings.TrimSpace(text)
}

// with returns the secret with other members.
func (f form) with(members map[string]any) (secrets.Secret, error) {
	changed := maps.Clone(f)
	for name, value := range members {
		key, _ := f.find(name)
		text, err := json.Marshal(value)
		if err != nil {
			return secrets.Secret{}, err
		}
		changed[key] = text
	}
	text, err := json.Marshal(changed)
	return secrets.New(string(text)), err
}
