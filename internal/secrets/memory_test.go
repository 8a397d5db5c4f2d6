package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/internal/secrets"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// memory is a source of one secret. It counts reads of the current version. A
// test sets how long a read takes and how long reads fail.
type memory struct {
	mu    sync.Mutex
	now   map[secrets.Stage]string // value by stage
	delay time.Duration
	err   error
	reads int
}

func (m *memory) Get(ctx context.Context, _ string, stage secrets.Stage) (secrets.Version, error) {
	m.mu.Lock()
	if stage == secrets.Current {
		m.reads++
	}
	value, there := m.now[stage]
	delay, err := m.delay, m.err
	m.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return secrets.Version{}, ctx.Err()
	}
	switch {
	case err != nil:
		return secrets.Version{}, err
	case !there:
		return secrets.Version{}, fmt.Errorf("memory: %w", secrets.ErrNotFound)
	}
	return secrets.Version{ID: "id-of-" + value, Value: secrets.New(value)}, nil
}

func (m *memory) set(stage secrets.Stage, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == "" {
		delete(m.now, stage)
		return
	}
	m.now[stage] = value
}

// rotate makes a value the current one, and what was current the previous.
func (m *memory) rotate(value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now[secrets.Previous], m.now[secrets.Current] = m.now[secrets.Current], value
}

func (m *memory) behave(delay time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay, m.err = delay, err
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// bench is a store with one secret, whose source is a memory.
type bench struct {
	*memory
	t      *testing.T
	store  *secrets.Store
	secret *secrets.Rotating[string]
	logs   *bytes.Buffer
	reg    *prometheus.Registry
}

const (
	ttl   = time.Minute
	grace = time.Hour
)

// text parses every value but the text nonsense.
func text(s secrets.Secret) (string, error) {
	if strings.HasPrefix(s.Reveal(), "nonsense") {
		return "", errors.New("must not be nonsense")
	}
	return s.Reveal(), nil
}

// setup opens a secret with the value v1. It is for tests in a synctest bubble.
func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, memory: &memory{now: map[secrets.Stage]string{secrets.Current: "v1"}}, logs: &bytes.Buffer{}, reg: prometheus.NewRegistry()}
	b.store = secrets.NewStore(secrets.Options{TTL: ttl}, slog.New(slog.NewTextHandler(b.logs, nil)), b.reg)
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	var err error
	b.secret, err = secrets.Open(t.Context(), b.store, b.declared(), text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) declared() secrets.Declared {
	return secrets.Declared{Name: "test", ID: "the-id", Source: b.memory, Grace: grace}
}

// valid lists the values that are valid now.
func (b *bench) valid() string {
	var all []string
	for _, v := range b.secret.Valid() {
		all = append(all, v.Data)
	}
	return strings.Join(all, " ")
}

func (b *bench) want(what, got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// after returns the version that follows some versions; "-" means none.
func (b *bench) after(ctx context.Context, refused ...string) string {
	for i := range refused {
		refused[i] = "id-of-" + refused[i]
	}
	v, ok := b.secret.After(ctx, refused...)
	if !ok {
		return "-"
	}
	return v.Data
}

func (b *bench) metric(text string) {
	b.t.Helper()
	name, _, _ := strings.Cut(text, "{")
	var out bytes.Buffer
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			fmt.Fprintf(&out, "%s{%s} %v\n", f.GetName(), strings.Join(labels, ","), m.Gauge.GetValue()+m.Counter.GetValue())
		}
	}
	if !strings.Contains(out.String(), text+"\n") {
		b.t.Errorf("the metrics have no %s, but of %s:\n%s", text, name, out.String())
	}
	if problems, err := testutil.GatherAndLint(b.reg); err != nil || len(problems) > 0 {
		b.t.Errorf("the metrics are not in order: %v %v", problems, err)
	}
}
