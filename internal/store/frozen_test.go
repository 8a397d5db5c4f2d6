package store

import (
	"testing"
	"time"

	"gateway/internal/modelswap"
)

// TestAFrozenReplicaLetsItsRowsGo leaves a transaction as a process does that is
// frozen in the middle of it, holding a renewal's row, and lets another replica
// claim the renewal.
func TestAFrozenReplicaLetsItsRowsGo(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	open := func() *Line {
		s, err := onLine(OpenPostgres(t.Context(), NewConnector(fixed(r.login("one"))), PostgresOptions{}))
		must(t, err)
		t.Cleanup(func() { _ = s.Close() }) // its connection may be broken
		return s
	}
	frozen, other := open(), open()
	must(t, frozen.InsertRenewal(t.Context(), newRenewal("r", modelswap.Queued, 0)))
	tx, err := frozen.write.BeginTx(t.Context(), nil)
	must(t, err)
	if _, err := tx.ExecContext(t.Context(), `UPDATE renewals SET wake_at = 0 WHERE id = 'r'`); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	claimed, err := other.ClaimRenewal(t.Context(), "other", "", time.Minute)
	if err != nil || claimed == nil || claimed.ID != "r" {
		t.Fatalf("got %v (%v), want the renewal", claimed, err)
	}
	if waited := time.Since(start); waited < frozenTime/2 {
		t.Errorf("it was claimed after %s: the row was not held", waited)
	}
	if err := tx.Commit(); err == nil {
		t.Error("the frozen one could still commit")
	}
}
