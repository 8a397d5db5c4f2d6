package secrets

import (
	"errors"
	"regexp"
	"strings"
)

// nameRule matches the names of Secrets Manager, with those of secrets that RDS manages
// (rds!…).
const nameRule = `[A-Za-z0-9/_+=.@!-]{1,520}`

var (
	secretName = regexp.MustCompile(`^` + nameRule + `$`)
	secretARN  = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:` + nameRule + `$`)
	filePath   = regexp.MustCompile(`^[^\s{"\pC][^\n\r{"\pC]*$`)
)

// CheckID returns an error unless id is a valid id of a secret: a name or ARN in Secrets
// Manager, or file:PATH. The error does not repeat the text, which may be the secret itself.
func CheckID(id string) error {
	if secretName.MatchString(id) || secretARN.MatchString(id) || CheckFileID(id) == nil {
		return nil
	}
	return errors.New("must be the name or ARN of a secret in Secrets Manager, or file:PATH (the value is not shown because it may be a secret itself)")
}

// CheckFileID is like CheckID, for file:PATH alone.
func CheckFileID(id string) error {
	path, ok := strings.CutPrefix(id, FilePrefix)
	if ok && filePath.MatchString(path) && strings.TrimSpace(path) == path {
		return nil
	}
	return errors.New("must be file:PATH (the value is not shown because it may be a secret itself)")
}

// mayShow reports whether an id may be shown before a secret with this id was found. A name
// may be a secret that was written into the wrong setting.
func mayShow(id string) bool {
	return strings.HasPrefix(id, FilePrefix) || strings.HasPrefix(id, "arn:")
}

// withoutID removes an id from the text of an error unless the id may be shown.
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
