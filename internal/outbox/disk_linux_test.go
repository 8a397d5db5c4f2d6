package outbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"gateway/internal/predict"
)

// tinyDisk mounts a file system of its own, of so many bytes.
func tinyDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("a full disk needs a file system of its own, which only root may mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskFollowsThePolicy(t *testing.T) {
	t.Run("refuse", func(t *testing.T) {
		b := openBench(t, tinyDisk(t, 256<<10), newDatabase(), Options{Policy: Refuse})
		taken := 0
		var err error
		for ; err == nil && taken < 100_000; taken++ {
			err = b.Append(t.Context(), newPredictions(taken, 1))
		}
		taken--
		var e *predict.Error
		if !errors.As(err, &e) || e.Kind != predict.Unavailable || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v after %d, want a refusal because the disk is full", err, taken)
		}
		if b.Check(t.Context()) == nil || b.said("cannot be written") != 1 {
			t.Errorf("Check says %v, the log\n%s", b.Check(t.Context()), b.logs)
		}
		b.mustDrain(t)
		b.stored(t, newPredictions(0, taken)...)
	})
	t.Run("drop-oldest", func(t *testing.T) {
		b := openBench(t, tinyDisk(t, 1<<20), newDatabase(), Options{MaxBytes: 4 * MinBytes, Sync: Interval})
		const n = 20_000
		for i := range n {
			b.mustAppend(t, newPrediction(i))
		}
		s := b.Stats()
		if s.Dropped == 0 || s.Dropped+int64(s.Rows) != n {
			t.Errorf("stats are %+v, want %d in all", s, n)
		}
		b.mustDrain(t)
		got := b.db.Predictions()
		if last := got[len(got)-1].ID; last != newPrediction(n-1).ID {
			t.Errorf("the newest row is %s", last)
		}
	})
	t.Run("nothing that was taken back comes again", func(t *testing.T) {
		dir := tinyDisk(t, 256<<10)
		b := openBench(t, dir, newDatabase(), Options{Policy: Refuse})
		large := newPrediction(0)
		large.Features = []byte(`{"x":"` + strings.Repeat("x", 200<<10) + `"}`)
		b.mustAppend(t, newPrediction(1))
		filler := dir + "/filler"
		if err := os.WriteFile(filler, make([]byte, 100<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.Append(t.Context(), []predict.Prediction{large}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want a full disk", err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		b.mustAppend(t, newPrediction(2))
		if err := b.Check(t.Context()); err != nil || b.said("can be written again") != 1 {
			t.Errorf("Check says %v, the log\n%s", err, b.logs)
		}
		next := b.crash(t, Options{})
		if next.said("damaged") != 0 || next.said("torn") != 0 {
			t.Errorf("the segment is not sound: %s", next.logs)
		}
		next.mustDrain(t)
		next.stored(t, newPrediction(1), newPrediction(2))
	})
}
