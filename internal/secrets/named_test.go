package secrets_test

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/secrets"
)

// show lists names and values.
func show(all []secrets.Named) string {
	var text []string
	for _, n := range all {
		text = append(text, n.Name+"="+n.Value.Reveal())
	}
	return strings.Join(text, " ")
}

func TestTokensAndKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		parse             func(secrets.Secret) ([]secrets.Named, error)
		text, want, fault string
	}{
		"a list":             {secrets.ParseTokens, `{"tokens": ["one", " two\n"]}`, "token-7692c3ad=one token-3fc4ccfe=two", ""},
		"with names":         {secrets.ParseTokens, `{"tokens": {"ops": "one", "ci": "two"}}`, "ci=two ops=one", ""},
		"other members":      {secrets.ParseTokens, `{"tokens": {"ops": "one"}, "note": 5}`, "ops=one", ""},
		"keys":               {secrets.ParseKeys, `{"keys": {"web": "one", "mobile": "two"}}`, "mobile=two web=one", ""},
		"a list of keys":     {secrets.ParseKeys, `{"keys": ["one"]}`, "key-7692c3ad=one", ""},
		"nothing but a text": {secrets.ParseToken, "one\n", "token-7692c3ad=one", ""},

		"not JSON":                         {secrets.ParseTokens, `leak`, "", "must be"},
		"no tokens":                        {secrets.ParseTokens, `{}`, "", "must be"},
		"null":                             {secrets.ParseTokens, `{"tokens": null}`, "", "at least one"},
		"an empty list":                    {secrets.ParseTokens, `{"tokens": []}`, "", "at least one token"},
		"only blanks":                      {secrets.ParseTokens, `{"tokens": ["", "  "]}`, "", "is empty"},
		"a number":                         {secrets.ParseTokens, `{"tokens": 5}`, "", "must be"},
		"a number in a list":               {secrets.ParseTokens, `{"tokens": ["leak", 5]}`, "", "must be"},
		"keys for tokens":                  {secrets.ParseTokens, `{"keys": ["leak"]}`, "", `"tokens"`},
		"an empty key":                     {secrets.ParseKeys, `{"keys": {"web": ""}}`, "", `key 1 of 1 is empty`},
		"a key that fits no header":        {secrets.ParseKeys, `{"keys": {"web": "leak leak"}}`, "", `key 1 of 1 must`},
		"a token in the place of its name": {secrets.ParseTokens, `{"tokens": {"leak": ""}}`, "", `token 1 of 1 is empty`},
		"tokens in the places of names":    {secrets.ParseTokens, `{"tokens": {"leak1": "ops", "leak2": "ops"}}`, "", `token 2 of 2 has the same value`},
		"a name that breaks lines":         {secrets.ParseKeys, `{"keys": {"a\nb": "leak"}}`, "", "name must"},
		"a name that is too long":          {secrets.ParseKeys, `{"keys": {"` + strings.Repeat("n", 65) + `": "leak"}}`, "", "name must"},
		"two names for one key":            {secrets.ParseKeys, `{"keys": {"a": "leak", "b": "leak"}}`, "", `key 2 of 2 has the same value as another one`},
		"a mark of Windows":                {secrets.ParseKeys, "\ufeff{\"keys\": {\"web\": \"leak\"}}\r\n", "web=leak", ""},
		"a mark before a token":            {secrets.ParseToken, "\ufeffleak\r\n", secrets.TokenName(secrets.New("leak")) + "=leak", ""},
		"a text of nothing":                {secrets.ParseToken, " \n", "", "is empty"},
		"a text that is more than a token": {secrets.ParseToken, "leak leak", "", "visible"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := tc.parse(secrets.New(tc.text))
			if tc.fault == "" && (err != nil || show(all) != tc.want) {
				t.Errorf("got %s (%v), want %s", show(all), err, tc.want)
			}
			if tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault) || strings.Contains(err.Error(), "leak")) {
				t.Errorf("got %v, want an error that says %s and repeats no value", err, tc.fault)
			}
			if text := fmt.Sprintf("%+v", all); tc.fault == "" && strings.Contains(text, "one") {
				t.Errorf("a value was printed: %s", text)
			}
		})
	}
}
