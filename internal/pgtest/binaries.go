package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

var errNoBinaries = errors.New("there is no PostgreSQL server to test with: install one " +
	"(Debian: apt-get install postgresql), or set TEST_PG_BIN to the folder of initdb and postgres, or TEST_PG_URL to the URL of a server")

// usualFolders are where packages install the server.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",         // Debian
	"/usr/pgsql-*/bin",                  // Red Hat
	"/usr/libexec/postgresql*",          // Alpine
	"/opt/homebrew/opt/postgresql*/bin", // macOS
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/pgsql/bin",
	"/usr/bin",
}

// binaries finds the folder of initdb and postgres.
func binaries() (string, error) {
	if folder := os.Getenv("TEST_PG_BIN"); folder != "" {
		if !hasServer(folder) {
			return "", errors.New("TEST_PG_BIN: there is no initdb and postgres in " + folder)
		}
		return folder, nil
	}
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		// Often a link, with the others beside what it points to.
		if real, err := filepath.EvalSymlinks(path); err == nil && hasServer(filepath.Dir(real)) {
			return filepath.Dir(real), nil
		}
	}
	for _, pattern := range usualFolders {
		folders, _ := filepath.Glob(pattern)
		for _, folder := range slices.Backward(folders) { // usually the newest is last
			if hasServer(folder) {
				return folder, nil
			}
		}
	}
	return "", errNoBinaries
}

func hasServer(folder string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}
