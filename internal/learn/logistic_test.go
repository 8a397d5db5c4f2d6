package learn

import "testing"

// TestManyColumnsTakeLittleMemory looks at the pieces of a pass: the memory of each is
// the square of the columns.
func TestManyColumnsTakeLittleMemory(t *testing.T) {
	for width, want := range map[int]int{0: shards, 1: shards, 300: shards, 1448: shards, 3001: 3, 10_000: 2} {
		if got := pieces(width); got != want {
			t.Errorf("%d columns: %d pieces, want %d", width, got, want)
		}
	}
}
