package secrets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Tokens are the admin tokens that are valid now. They are looked at again
// after a while, so that replacing the file replaces the tokens; while the file
// cannot be read, those read last stay valid.
type Tokens struct {
	path string
	ttl  time.Duration
	log  *slog.Logger

	mu      sync.Mutex
	values  []Secret
	readAt  time.Time
	failing bool
}

// TokenName is what records call a token: enough to tell tokens apart, too
// little to find one.
func TokenName(token Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return "token-" + hex.EncodeToString(sum[:4])
}

// OpenTokens reads {"tokens": ["…"]} from a file. It fails if it cannot.
func OpenTokens(path string, ttl time.Duration, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, ttl: ttl, log: log}
	values, err := readTokens(path)
	if err != nil {
		return nil, err
	}
	t.values, t.readAt = values, time.Now()
	return t, nil
}

// OpenOrMakeToken reads one token from a file that holds nothing else, and
// makes file and token where there is none. made tells which.
func OpenOrMakeToken(path string) (t *Tokens, made bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		token := Generate()
		// O_EXCL: two processes that start at once must not both make one.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, false, err
		}
		_, err = f.WriteString(token.Reveal() + "\n")
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return nil, false, err
		}
		return &Tokens{values: []Secret{token}}, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return nil, false, fmt.Errorf("%s is empty; delete it, and a new token is made", path)
	}
	return &Tokens{values: []Secret{New(token)}}, false, nil
}

func readTokens(path string) ([]Secret, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var form struct {
		Tokens []string `json:"tokens"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&form); err != nil {
		return nil, fmt.Errorf(`%s: must hold {"tokens": ["…"]}`, path) // the decoder's text could repeat a token
	}
	var values []Secret
	for _, v := range form.Tokens {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, New(v))
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf(`%s: must hold at least one token in {"tokens": ["…"]}`, path)
	}
	return values, nil
}

// Current returns the tokens that are valid now.
func (t *Tokens) Current() []Secret {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" || time.Since(t.readAt) < t.ttl {
		return t.values
	}
	t.readAt = time.Now()
	values, err := readTokens(t.path)
	if err != nil {
		if !t.failing { // once, not at every look
			t.log.Error("the admin tokens cannot be read again; the old ones stay valid", "error", err)
		}
		t.failing = true
		return t.values
	}
	t.values, t.failing = values, false
	return values
}
