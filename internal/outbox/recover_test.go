package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatWasAppendedSurvivesACrash(t *testing.T) {
	for _, sync := range []Sync{Always, Interval} {
		t.Run(string(sync), func(t *testing.T) {
			b := setup(t, Options{Sync: sync})
			want := newPredictions(0, 50)
			b.mustAppend(t, want[:20]...)
			for i := 20; i < 50; i++ {
				b.mustAppend(t, want[i])
			}
			next := b.crash(t, Options{})
			if rows := next.Stats().Rows; rows != 50 {
				t.Errorf("%d rows wait, want 50", rows)
			}
			next.mustDrain(t)
			next.stored(t, want...)
		})
	}
}

func TestDrainingGoesOnWhereItWas(t *testing.T) {
	b := setup(t, Options{})
	want := newPredictions(0, 300)
	b.mustAppend(t, want...)
	if _, err := b.store(t.Context(), b.batchRows()); err != nil { // one batch
		t.Fatal(err)
	}
	next := b.crash(t, Options{})
	if rows := next.Stats().Rows; rows != 300-leastBatch {
		t.Errorf("%d rows wait, want %d", rows, 300-leastBatch)
	}
	calls := len(b.db.calls)
	next.mustDrain(t)
	next.stored(t, want...)
	again := 0
	for _, c := range b.db.calls[calls:] {
		again += c.rows
	}
	if again != 300-leastBatch {
		t.Errorf("%d rows were sent after the restart, want those that were left", again)
	}
}

func TestALostPositionDrainsTwiceAndStoresOnce(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"gone":   os.Remove,
		"torn":   func(path string) error { return os.Truncate(path, 7) },
		"zeroed": func(path string) error { return os.WriteFile(path, make([]byte, positionSize), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{})
			want := newPredictions(0, 100)
			b.mustAppend(t, want...)
			if _, err := b.store(t.Context(), b.batchRows()); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(b.dir, "position")); err != nil {
				t.Fatal(err)
			}
			next := b.crash(t, Options{})
			if rows := next.Stats().Rows; rows != 100 {
				t.Errorf("%d rows wait, want all", rows)
			}
			next.mustDrain(t)
			next.stored(t, want...)
		})
	}
}

// TestATornTailIsCut cuts the last frame at every byte, as a kill or a power
// cut may, and also leaves zeros and rubbish there.
func TestATornTailIsCut(t *testing.T) {
	b := setup(t, Options{})
	want := newPredictions(0, 4)
	b.mustAppend(t, want[:3]...)
	whole := int(b.journal.segments[0].size)
	b.mustAppend(t, want[3])
	name := segmentName(1)
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	tails := map[string][]byte{"zeros": append(data[:whole:whole], make([]byte, 4096)...),
		"rubbish": append(data[:whole:whole], []byte(strings.Repeat("\xff\x00\x01rubbish", 50))...)}
	for cut := whole + 1; cut < len(data); cut++ {
		tails[fmt.Sprintf("cut at %d", cut)] = data[:cut]
	}
	for what, text := range tails {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		torn := openBench(t, dir, newDatabase(), Options{})
		if torn.said("torn") != 1 {
			t.Errorf("%s: it was not said: %s", what, torn.logs)
		}
		torn.mustAppend(t, want[3])
		torn.mustDrain(t)
		torn.stored(t, want...)
		if n := len(torn.files(t, "damaged")); n != 0 {
			t.Errorf("%s: %d files were set aside", what, n)
		}
	}
}

func TestADamagedSegmentLosesOnlyItsDamage(t *testing.T) {
	tests := []struct {
		name    string
		segment int // which of several
		spoil   func(s *segment, data []byte) []byte
		lost    []int // rows of the segment
	}{
		{"a flipped bit in the middle of an old segment", 0, func(s *segment, data []byte) []byte {
			data[s.keys[5].offset+frameHeader+20] ^= 1
			return data
		}, []int{5}},
		{"a wrong length", 1, func(s *segment, data []byte) []byte {
			data[s.keys[2].offset+1] ^= 0x10
			return data
		}, []int{2}},
		{"the first bytes are zeros", 0, func(s *segment, data []byte) []byte {
			clear(data[:s.keys[1].offset])
			return data
		}, []int{0}},
		{"an old segment ends too early", 0, func(s *segment, data []byte) []byte {
			return data[:s.keys[len(s.keys)-1].offset+9]
		}, []int{-1}},
		{"a flipped bit in the newest segment", -1, func(s *segment, data []byte) []byte {
			data[s.keys[0].offset+frameHeader+3] ^= 1
			return data
		}, []int{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := setup(t, Options{MaxBytes: MinBytes})
			all := newPredictions(0, 3000)
			for i := 0; i < len(all); i += 100 {
				b.mustAppend(t, all[i:i+100]...)
			}
			segments := b.journal.segments
			if len(segments) < 3 {
				t.Fatalf("there are %d segments", len(segments))
			}
			at := (tt.segment + len(segments)) % len(segments)
			s, before := segments[at], 0
			for _, earlier := range segments[:at] {
				before += len(earlier.keys)
			}
			lost := map[int]bool{}
			for _, i := range tt.lost {
				lost[before+(i+len(s.keys))%len(s.keys)] = true
			}
			name := filepath.Base(s.path)
			b.change(t, name, func(data []byte) []byte { return tt.spoil(s, data) })

			next := b.crash(t, Options{MaxBytes: MinBytes})
			if next.said("level=ERROR msg=\"an outbox segment is damaged") == 0 || next.Stats().Damaged != 1 {
				t.Errorf("it was not reported: %s", next.logs)
			}
			next.mustDrain(t)
			var want = all[:0:0]
			for i, p := range all {
				if !lost[i] {
					want = append(want, p)
				}
			}
			next.mustAppend(t, newPrediction(9999)) // so that no segment is the active one
			next.mustDrain(t)
			next.stored(t, append(want, newPrediction(9999))...)
			if diff := cmp.Diff([]string{name}, next.files(t, "damaged")); diff != "" {
				t.Errorf("set aside: %s", diff)
			}
		})
	}
}

func TestDamageThatComesWhileRunningIsFoundByTheDrain(t *testing.T) {
	b := setup(t, Options{})
	all := newPredictions(0, 10)
	b.mustAppend(t, all...)
	offset := b.journal.segments[0].keys[4].offset
	b.change(t, segmentName(1), func(data []byte) []byte { data[offset+30] ^= 1; return data })
	b.mustDrain(t)
	b.stored(t, append(all[:4:4], all[5:]...)...)
	if s := b.Stats(); s.SetAside != 1 || s.Damaged != 1 {
		t.Errorf("stats are %+v", s)
	}
}

func TestANewerFormatStopsTheStart(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	b.change(t, segmentName(1), func(data []byte) []byte { data[len(magic)-1]++; return data })
	var o Outbox
	o.journal = journal{dir: b.dir, limit: 1 << 30}
	if err := o.journal.open(func(damage) {}); !errors.Is(err, errNewer) {
		t.Errorf("got %v, want errNewer", err)
	}
	if n := len(b.files(t, "")); n != 1 {
		t.Errorf("%d files are left, want the one", n)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	for _, name := range []string{segmentName(1), "position"} {
		info, err := os.Stat(filepath.Join(b.dir, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestDrainedSegmentsLeaveTheDisk(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes})
	for i := 0; i < 3000; i += 100 {
		b.mustAppend(t, newPredictions(i, 100)...)
	}
	b.mustDrain(t)
	if n := len(b.files(t, "")); n != 1 {
		t.Errorf("%d segments are left, want the one that is open", n)
	}
	if err := b.journal.retire(); err != nil {
		t.Fatal(err)
	}
	b.mustDrain(t)
	if n := len(b.files(t, "")); n != 0 {
		t.Errorf("%d segments are left after it was retired", n)
	}
	b.mustAppend(t, newPrediction(1))
	b.mustDrain(t)
}

func TestAClosedOutboxTakesNothing(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Append(t.Context(), newPredictions(1, 1)); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want errClosed", err)
	}
}
