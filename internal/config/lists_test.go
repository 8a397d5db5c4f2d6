package config

import (
	"slices"
	"strings"
	"testing"
)

func TestOriginsAreThoseThatBrowsersSend(t *testing.T) {
	for text, want := range map[string][]string{
		"https://app.example.com":                            {"https://app.example.com"},
		" https://app.example.com/ , http://localhost:3000 ": {"https://app.example.com", "http://localhost:3000"},
		"HTTPS://App.Example.com:443":                        {"https://app.example.com"},
		"http://a.example:80,http://a.example:8080":          {"http://a.example", "http://a.example:8080"},
		"*":                           {"*"},
		"https://a.example,":          {"https://a.example"},
		"http://[::1]:3000":           {"http://[::1]:3000"},
		"capacitor://localhost":       {"capacitor://localhost"},
		"https://a.example:80":        {"https://a.example:80"},
		"https://a.example,https://b": {"https://a.example", "https://b"},
	} {
		t.Setenv("GATEWAY_CORS_ORIGINS", text)
		c, err := Load()
		if err != nil || !slices.Equal(c.CORSOrigins, want) {
			t.Errorf("%q gave %q (%v), want %q", text, c.CORSOrigins, err, want)
		}
	}
	for _, text := range []string{"app.example.com", "https://", "null", "https://a.example/path", "https://a.example?x", "https://u@a.example",
		"https://*.example.com", "https://a.example https://b.example", "//a.example", "https://a.example,b"} {
		t.Setenv("GATEWAY_CORS_ORIGINS", text)
		if _, err := Load(); err == nil || !strings.Contains(err.Error(), "GATEWAY_CORS_ORIGINS: ") {
			t.Errorf("%q gave %v, want an error that names the setting", text, err)
		}
	}
}

func TestListsHaveNoBlanks(t *testing.T) {
	var l List
	if err := l.Decode(" a , b,,c "); err != nil || !slices.Equal(l, List{"a", "b", "c"}) {
		t.Errorf("got %q (%v)", l, err)
	}
}
