// Package secretstest is the conformance suite of [secrets.Source]: what the
// gateway relies on, wherever its secrets are kept.
package secretstest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"gateway/internal/secrets"
)

// Kit is a source to be tested, with one secret in it that the suite changes.
type Kit struct {
	Source secrets.Source
	ID     string // of the secret
	// Put makes a value the current version, and the one before the previous.
	Put func(value string)
	// Pend makes a value the pending version. Nil: the source has none.
	Pend func(value string)
	// Remove takes the secret away.
	Remove func()
	// Missing is the id of a secret that does not exist.
	Missing string
}

// TestSource runs the suite. setup is called for each of its parts, and its
// secret has no value before the first Put.
func TestSource(t *testing.T, setup func(t *testing.T) Kit) {
	for name, part := range map[string]func(t *testing.T, k Kit){
		"a value is returned byte for byte":    values,
		"versions follow each other":           versions,
		"a pending version has no say yet":     pending,
		"what is not there is not found":       notFound,
		"a context that has ended ends a read": cancelled,
		"many may read at once":                concurrent,
	} {
		t.Run(name, func(t *testing.T) { part(t, setup(t)) })
	}
}

func get(t *testing.T, k Kit, stage secrets.Stage) secrets.Version {
	t.Helper()
	v, err := k.Source.Get(t.Context(), k.ID, stage)
	if err != nil {
		t.Fatalf("the %s version: %v", stage, err)
	}
	return v
}

func absent(t *testing.T, k Kit, stage secrets.Stage) {
	t.Helper()
	v, err := k.Source.Get(t.Context(), k.ID, stage)
	if !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("the %s version is %q (%v), want ErrNotFound", stage, v.ID, err)
	}
}

func values(t *testing.T, k Kit) {
	ids := map[string]bool{}
	for _, value := range []string{`{"password": "pässword"}`, " blanks \n", "\x00\xff binary \xfe", strings.Repeat("x", 60_000)} {
		k.Put(value)
		v := get(t, k, secrets.Current)
		if v.Value.Reveal() != value {
			t.Errorf("got a value of %d bytes, want the %d that were put", len(v.Value.Reveal()), len(value))
		}
		if v.ID == "" || ids[v.ID] {
			t.Errorf("its id is %q, want a new one", v.ID)
		}
		ids[v.ID] = true
	}
}

func versions(t *testing.T, k Kit) {
	k.Put("one")
	absent(t, k, secrets.Previous)
	first := get(t, k, secrets.Current)
	if again := get(t, k, secrets.Current); again.ID != first.ID || !again.Created.Equal(first.Created) {
		t.Errorf("the same version is %q of %v, then %q of %v", first.ID, first.Created, again.ID, again.Created)
	}
	k.Put("two")
	second, before := get(t, k, secrets.Current), get(t, k, secrets.Previous)
	if second.Value.Reveal() != "two" || second.ID == first.ID {
		t.Errorf("current is %q, want a new version", second.ID)
	}
	if before.Value.Reveal() != "one" || before.ID != first.ID {
		t.Errorf("previous is %q, want the first version, %q", before.ID, first.ID)
	}
	k.Put("three")
	if third := get(t, k, secrets.Current); third.Value.Reveal() != "three" {
		t.Errorf("current is %q, want the third version", third.ID)
	}
	if before := get(t, k, secrets.Previous); before.Value.Reveal() != "two" || before.ID != second.ID {
		t.Errorf("previous is %q, want the second version, %q", before.ID, second.ID)
	}
}

func pending(t *testing.T, k Kit) {
	k.Put("one")
	absent(t, k, secrets.Pending)
	if k.Pend == nil {
		return
	}
	k.Pend("two")
	next, now := get(t, k, secrets.Pending), get(t, k, secrets.Current)
	if next.Value.Reveal() != "two" || now.Value.Reveal() != "one" || next.ID == now.ID {
		t.Errorf("pending is %q and current %q, want the second version beside the first", next.ID, now.ID)
	}
}

func notFound(t *testing.T, k Kit) {
	k.Put("one")
	elsewhere := k
	elsewhere.ID = k.Missing
	absent(t, elsewhere, secrets.Current)
	k.Remove()
	_, err := k.Source.Get(t.Context(), k.ID, secrets.Current)
	if !errors.Is(err, secrets.ErrNotFound) && !errors.Is(err, secrets.ErrRefused) {
		t.Errorf("a secret that was taken away gives %v, want ErrNotFound or ErrRefused", err)
	}
}

func cancelled(t *testing.T, k Kit) {
	k.Put("a-value")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.Source.Get(ctx, k.ID, secrets.Current)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "a-value") {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func concurrent(t *testing.T, k Kit) {
	k.Put("one")
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 10 {
				v, err := k.Source.Get(t.Context(), k.ID, secrets.Current)
				if err != nil || v.Value.Reveal() != "one" && v.Value.Reveal() != "two" {
					t.Errorf("got version %q (%v), want one of the two", v.ID, err)
				}
			}
		})
	}
	k.Put("two")
	readers.Wait()
}
