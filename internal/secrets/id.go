package secrets

import (
	"errors"
	"regexp"
	"strings"
)

// What Secrets Manager takes for a name, those of secrets that RDS manages
// (rds!…) included, and its ARNs.
const nameRule = `[A-Za-z0-9/_+=.@!-]{1,520}`

var (
	secretName = regexp.MustCompile(`^` + nameRule + `$`)
	secretARN  = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:` + nameRule + `$`)
	filePath   = regexp.MustCompile(`^[^\s{"\pC][^\n\r{"\pC]*$`)
)

// CheckID checks that a text can say where a secret is: a name or ARN in
// Secrets Manager, or file:PATH. Its error does not repeat the text, which may
// be the secret itself.
func CheckID(id string) error {
	if secretName.MatchString(id) || secretARN.MatchString(id) || CheckFileID(id) == nil {
		return nil
	}
	return errors.New("must be the name or ARN of a secret in Secrets Manager, or file:PATH; it is not repeated here, since it may be a secret itself")
}

// CheckFileID checks that a text can be file:PATH, as CheckID does.
func CheckFileID(id string) error {
	path, ok := strings.CutPrefix(id, FilePrefix)
	if ok && filePath.MatchString(path) && strings.TrimSpace(path) == path {
		return nil
	}
	return errors.New("must be file:PATH; it is not repeated here, since it may be a secret itself")
}

// mayShow reports whether an id can be shown before a secret was found under
// it. A text that could be a name could also be a secret that came into the
// wrong setting.
func mayShow(id string) bool {
	return strings.HasPrefix(id, FilePrefix) || strings.HasPrefix(id, "arn:")
}

// withoutID hides an id in the text of an error, unless it can be shown.
func withoutID(id string, err error) error {
	if err == nil || mayShow(id) || !strings.Contains(err.Error(), id) {
		return err
	}
	return hidden{id, err}
}

type hidden struct {
	id  string
	err error
}

func (h hidden) Error() string { return strings.ReplaceAll(h.err.Error(), h.id, redacted) }
func (h hidden) Unwrap() error { return h.err }
