package config

import (
	"fmt"
	"net/url"
	"strings"
)

// List is a setting of several values, separated by commas. Blanks around a
// value do not count, and empty values are left out.
type List []string

// Decode implements envconfig.Decoder.
func (l *List) Decode(text string) error {
	*l = nil
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value != "" {
			*l = append(*l, value)
		}
	}
	return nil
}

// Origins are web origins in the form in which browsers send them, such as
// https://app.example.com, or "*" for every origin.
type Origins []string

// Decode implements envconfig.Decoder. A slash at the end does not count.
func (o *Origins) Decode(text string) error {
	var list List
	_ = list.Decode(text) // it never fails
	*o = nil
	for _, value := range list {
		origin, err := parseOrigin(value)
		if err != nil {
			return err
		}
		*o = append(*o, origin)
	}
	return nil
}

func parseOrigin(value string) (string, error) {
	if value == "*" {
		return value, nil
	}
	u, err := url.Parse(strings.TrimRight(value, "/"))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" ||
		strings.Contains(u.Host, "*") {
		return "", fmt.Errorf("has %q, which is not a web origin such as https://app.example.com, or * for every origin", value)
	}
	host := strings.ToLower(u.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} { // browsers leave them out
		if strings.EqualFold(u.Scheme, scheme) {
			host = strings.TrimSuffix(host, port)
		}
	}
	return strings.ToLower(u.Scheme) + "://" + strings.TrimSuffix(host, ":"), nil
}
