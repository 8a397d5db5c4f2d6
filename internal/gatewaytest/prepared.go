package gatewaytest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// PreparedDirs are data dirs with what most tests would wait for, such as a
// trained model. Each is made once and copied for each test.
type PreparedDirs struct {
	mu   sync.Mutex
	root string
	made map[string]string // by name
}

// Copy copies the data dir of a name to a folder. The first time it lets fill make
// it, in a folder that it creates.
func (p *PreparedDirs) Copy(t *testing.T, name, to string, fill func(dir string)) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		root, err := os.MkdirTemp("", "prepared-")
		if err != nil {
			t.Fatal(err)
		}
		p.root, p.made = root, make(map[string]string)
	}
	if p.made[name] == "" {
		dir := filepath.Join(p.root, fmt.Sprint(len(p.made)))
		fill(dir)
		p.made[name] = dir
	}
	copyTree(t, p.made[name], to)
}

// Remove removes all that was made.
func (p *PreparedDirs) Remove() { _ = os.RemoveAll(p.root) }
