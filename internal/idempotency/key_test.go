package idempotency

import (
	"errors"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	long := strings.Repeat("k", MaxKey)
	tests := []struct{ name, header, want string }{
		{"a bare key", "8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		{"a quoted one is the same", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`, "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		{"all that may be bare", `a;b=c:d/e\f'{}~!`, `a;b=c:d/e\f'{}~!`},
		{"quotes allow spaces, commas and escapes", `"a, \"b\" \\"`, `a, "b" \`},
		{"as long as can be", long, long},
		{"as long as can be, in quotes", `"` + strings.Repeat(`\"`, MaxKey) + `"`, strings.Repeat(`"`, MaxKey)},
		{"none", "", ""},
		{"none in quotes", `""`, ""},
		{"too long", long + "k", ""},
		{"a space", "a b", ""},
		{"two headers that a proxy joined", "a,b", ""},
		{"a quote inside", `a"b`, ""},
		{"a quote that does not end", `"ab`, ""},
		{"a quote alone", `"`, ""},
		{"text after the quotes", `"a"b`, ""},
		{"parameters", `"a";b=1`, ""},
		{"an escape of nothing", `"a\`, ""},
		{"an escape that there is not", `"\n"`, ""},
		{"an escaped quote at the end", `"a\"`, ""},
		{"a control character", "a\tb", ""},
		{"a delete character", "a\x7f", ""},
		{"what is not ASCII", "clé", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseKey(tt.header)
			if got != tt.want || (tt.want == "") != errors.Is(err, ErrSyntax) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestNoTwoRequestsHaveOneHash(t *testing.T) {
	seen := map[string]Request{}
	for _, r := range []Request{
		{"/predict", "", "k", []byte("body"), ""},
		{"/outcomes", "", "k", []byte("body"), ""},
		{"/predict", "me", "k", []byte("body"), ""},
		{"/predict", "", "l", []byte("body"), ""},
		{"/predict", "", "k", []byte("other"), ""},
		{"/predict", "k", "", []byte("body"), ""},
		{"/predictk", "", "", []byte("body"), ""},
		{"/predict", "", "kbody", nil, ""},
		{"/predict", "", "kbo", []byte("dy"), ""},
	} {
		hash := r.fingerprint()
		if other, ok := seen[hash]; ok {
			t.Errorf("%v and %v have one fingerprint", r, other)
		}
		seen[hash] = r
	}
	a, b := Request{"/predict", "", "k", []byte("body"), ""}, Request{"/predict", "", "k", []byte("other"), ""}
	if a.id() != b.id() {
		t.Error("the body changes what a key is stored by")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(`"a\"b"`)
	f.Add("plain")
	f.Fuzz(func(t *testing.T, header string) {
		key, err := ParseKey(header)
		if err != nil {
			return
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, err := ParseKey(quoted); again != key || err != nil {
			t.Errorf("%q is the key %q, and in quotes %q, %v", header, key, again, err)
		}
	})
}
