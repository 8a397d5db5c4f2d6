package rotate

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gateway/internal/datadir"
	"gateway/internal/secrets"
)

// Files is a Store of secrets in files, with ids such as file:/run/db.json. The file itself is
// the current version. While a rotation is under way, the file with ".pending" at its end
// has the next one. Promote replaces the file in one step. There is no previous version: a
// gateway remembers the one that it read.
//
// Rotations of the same file must not overlap: see Lock.
type Files struct{}

var _ Store = Files{}

// pendingFile is the JSON object in a file with a pending version.
type pendingFile struct {
	Token string `json:"token"`
	Value string `json:"value"`
}

// inFile is the id of the current version.
const inFile = "current"

// Lock makes this process the only one that rotates a file, until unlock is called or the
// process ends. The error matches ErrUnderWay if another one does. The lock is a file with
// ".lock" at its end, which stays.
func (Files) Lock(id string) (unlock func(), err error) {
	path, err := pathOf(id)
	if err != nil {
		return nil, err
	}
	unlock, err = datadir.LockFile(path + ".lock")
	if errors.Is(err, datadir.ErrInUse) {
		return nil, fmt.Errorf("%s: %w", path, ErrUnderWay)
	}
	return unlock, err
}

func pathOf(id string) (string, error) {
	path, ok := strings.CutPrefix(id, secrets.FilePrefix)
	if !ok || path == "" {
		return "", errors.New("the id is not file:PATH")
	}
	return filepath.EvalSymlinks(path) // a link stays, and its file is replaced
}

// read returns the current and the pending version; nil if there is none.
func (Files) read(id string) (path string, current secrets.Secret, pending *pendingFile, err error) {
	if path, err = pathOf(id); err != nil {
		return path, current, nil, err
	}
	text, err := readRegular(path)
	if err != nil {
		return path, current, nil, err
	}
	current = secrets.New(string(text))
	text, err = readRegular(path + ".pending")
	if errors.Is(err, fs.ErrNotExist) {
		return path, current, nil, nil
	}
	if err != nil {
		return path, current, nil, err
	}
	pending = &pendingFile{}
	if json.Unmarshal(text, pending) != nil || pending.Token == "" {
		return path, current, nil, fmt.Errorf("%s.pending is malformed", path)
	}
	return path, current, pending, nil
}

func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.ReadFile(path)
}

// Describe implements Store. A pending version that is already in the file, because a rotation
// was interrupted after Promote, is the current one.
func (f Files) Describe(_ context.Context, id string) (Description, error) {
	_, current, pending, err := f.read(id)
	switch {
	case err != nil:
		return Description{}, err
	case pending == nil:
		return Description{Labels: map[string][]string{inFile: {Current}}}, nil
	case pending.Value == current.Reveal():
		return Description{Labels: map[string][]string{pending.Token: {Current, Pending}}}, nil
	}
	return Description{Labels: map[string][]string{inFile: {Current}, pending.Token: {Pending}}}, nil
}

// Get implements Store.
func (f Files) Get(_ context.Context, id, version, label string) (secrets.Secret, error) {
	_, current, pending, err := f.read(id)
	switch {
	case err != nil:
		return secrets.Secret{}, err
	case label == Current && version == "":
		return current, nil
	case label == Pending && pending != nil && (version == "" || version == pending.Token):
		return secrets.New(pending.Value), nil
	}
	return secrets.Secret{}, fmt.Errorf("the file has no version %s: %w", label, secrets.ErrNotFound)
}

// Put implements Store.
func (f Files) Put(_ context.Context, id string, version Version, value secrets.Secret) error {
	path, current, pending, err := f.read(id)
	switch {
	case err != nil:
		return err
	case pending == nil || pending.Value == current.Reveal(): // the latter is left of an earlier rotation
	case pending.Token != version.Token:
		return errors.New("another rotation of the file is under way")
	case pending.Value == value.Reveal():
		return nil
	default:
		return ErrOtherValue
	}
	return datadir.ReplaceFile(path+".pending", func(w io.Writer) error {
		return json.NewEncoder(w).Encode(pendingFile{version.Token, value.Reveal()})
	})
}

// Promote implements Store. The file keeps its mode and its owner.
func (f Files) Promote(_ context.Context, id, to, _ string) error {
	path, _, pending, err := f.read(id)
	if err != nil {
		return err
	}
	if pending == nil || pending.Token != to {
		return errors.New("the file has no pending version of this token")
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	err = datadir.ReplaceFile(path, func(w io.Writer) error {
		if file, ok := w.(*os.File); ok {
			if err := errors.Join(keepOwner(file, info), file.Chmod(info.Mode().Perm())); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, pending.Value)
		return err
	})
	if err != nil {
		return err
	}
	return os.Remove(path + ".pending")
}

// NewToken returns a token for a rotation, as Secrets Manager accepts it: 32 to 64 characters.
func NewToken() string { return strings.ToLower(rand.Text() + rand.Text())[:36] }
