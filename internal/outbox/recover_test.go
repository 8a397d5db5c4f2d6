package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/predict"
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

// What the database had before a kill is drained again, for nothing proves which
// rows those were, and stored once.
func TestAKillMakesRowsBeDrainedAgainAndStoredOnce(t *testing.T) {
	b := setup(t, Options{})
	want := newPredictions(0, 300)
	b.mustAppend(t, want...)
	if _, err := b.store(t.Context(), b.batchRows()); err != nil { // one batch
		t.Fatal(err)
	}
	next := b.crash(t, Options{})
	if rows := next.Stats().Rows; rows != 300 {
		t.Errorf("%d rows wait, want all", rows)
	}
	next.mustDrain(t)
	next.stored(t, want...)
}

// TestAStopLeavesNothingToDrainAgain stops in order: the next start finds the
// newest segment, without rows.
func TestAStopLeavesNothingToDrainAgain(t *testing.T) {
	for name, inside := range map[string]bool{"the database is in this process": true, "it is not": false} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{})
			if inside {
				b.options.Flush = b.db.Flush
			}
			b.mustAppend(t, newPredictions(0, 300)...)
			b.mustDrain(t)
			next := b.crash(t, Options{})
			if s := next.Stats(); s.Rows != 0 || next.said("of an earlier run") != 0 {
				t.Errorf("stats are %+v, the log\n%s", s, next.logs)
			}
		})
	}
}

// TestNoNumberIsUsedTwice restarts with and without traffic, by a stop and by a
// kill. Whatever the order, no segment has the number of an earlier one.
func TestNoNumberIsUsedTwice(t *testing.T) {
	b := setup(t, Options{})
	var highest uint64
	check := func(what string) {
		t.Helper()
		if got := b.journal.active.number; got <= highest {
			t.Fatalf("%s: the segment has the number %d, and %d was used", what, got, highest)
		}
		highest = b.journal.active.number
	}
	check("first start")
	for i, what := range []string{"without traffic", "without traffic, again", "with a row that is drained", "with a row that waits"} {
		if i >= 2 {
			b.mustAppend(t, newPrediction(i))
		}
		if i == 2 {
			b.mustDrain(t)
		}
		b = b.crash(t, Options{})
		check(what)
	}
	for _, folder := range []string{damagedFolder, refusedFolder} {
		name := segmentName(highest + 10)
		if folder == damagedFolder {
			name += ".1"
		}
		if err := os.MkdirAll(filepath.Join(b.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, folder, name), []byte(magic), 0o600); err != nil {
			t.Fatal(err)
		}
		highest += 10
		b = b.crash(t, Options{})
		check("a file in " + folder)
	}
}

// positionOf is how far a drain is, as earlier versions wrote it.
func positionOf(segment uint64, offset uint32) []byte {
	text := binary.LittleEndian.AppendUint64(nil, segment)
	text = binary.LittleEndian.AppendUint32(text, offset)
	return binary.LittleEndian.AppendUint64(text, segment^uint64(offset)^uint64(0x6f7574626f78))
}

// TestWhatAnEarlierVersionLeftIsDrained opens a folder as an earlier version
// left it, with a position above, below and inside of what is there.
func TestWhatAnEarlierVersionLeftIsDrained(t *testing.T) {
	for name, position := range map[string][]byte{
		"ahead": positionOf(9, 8), "the same number": positionOf(1, 4000), "behind": positionOf(0, 0),
		"torn": positionOf(9, 8)[:7], "zeros": make([]byte, 20), "empty": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{})
			want := newPredictions(0, 100)
			b.mustAppend(t, want...)
			if err := os.WriteFile(filepath.Join(b.dir, oldPosition), position, 0o600); err != nil {
				t.Fatal(err)
			}
			next := b.crash(t, Options{})
			if _, err := os.Lstat(filepath.Join(next.dir, oldPosition)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the position is still there, for an earlier version to believe: %v", err)
			}
			next.mustDrain(t)
			next.stored(t, want...)
		})
	}
	t.Run("with nothing else", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, oldPosition), positionOf(9, 8), 0o600); err != nil {
			t.Fatal(err)
		}
		b := openBench(t, dir, newDatabase(), Options{})
		b.mustAppend(t, newPredictions(0, 25)...)
		b = b.crash(t, Options{})
		b.mustDrain(t)
		b.stored(t, newPredictions(0, 25)...)
	})
	t.Run("the position is a link", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "target")
		for i, link := range []func(string, string) error{os.Symlink, os.Link} {
			dir := t.TempDir()
			if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := link(target, filepath.Join(dir, oldPosition)); err != nil {
				t.Fatal(err)
			}
			b := openBench(t, dir, newDatabase(), Options{})
			b.mustAppend(t, newPrediction(i))
			b.mustDrain(t)
			if text, err := os.ReadFile(target); err != nil || string(text) != "precious" {
				t.Errorf("the target of the link has %q (%v)", text, err)
			}
		}
	})
}

// TestWhatIsNoSegmentIsLeftAndReported puts files into the folder that a start
// cannot read.
func TestWhatIsNoSegmentIsLeftAndReported(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	precious := filepath.Join(t.TempDir(), "precious")
	for _, path := range []string{precious, filepath.Join(b.dir, "notes.txt"), filepath.Join(b.dir, "7.seg"),
		filepath.Join(b.dir, segmentName(3)+".1"), filepath.Join(b.dir, segmentName(0)), filepath.Join(b.dir, segmentName(maxNumber+1))} {
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(b.dir, segmentName(8)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(b.dir, segmentName(9))); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	next := openBench(t, b.dir, b.db, Options{})
	if got := next.Stats().Unread; got != 7 || next.said("cannot read a file") != 7 {
		t.Errorf("%d files are reported, want 7; the log is\n%s", got, next.logs)
	}
	next.mustDrain(t)
	next.stored(t, newPrediction(0))
	for _, path := range []string{"notes.txt", "7.seg", segmentName(3) + ".1", segmentName(0), segmentName(maxNumber + 1), segmentName(9)} {
		if text, err := os.ReadFile(filepath.Join(b.dir, path)); err != nil || string(text) != "precious" {
			t.Errorf("%s has %q (%v), want it as it was", path, text, err)
		}
	}
	if got := next.journal.active.number; got != 10 {
		t.Errorf("the next segment is %d, want the number after all that are there", got)
	}
}

// TestANumberThatIsTakenIsPassedOver moves a file into the folder of a gateway
// that runs.
func TestANumberThatIsTakenIsPassedOver(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes})
	name := segmentName(b.journal.next)
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(magic), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 3000; i += 100 {
		b.mustAppend(t, newPredictions(i, 100)...)
	}
	b.mustDrain(t)
	b.stored(t, newPredictions(0, 3000)...)
	if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
		t.Error(err)
	}
	b.journal.next = maxNumber + 1
	if _, _, err := b.journal.create(b.dir); !errors.Is(err, errNumbers) {
		t.Errorf("after the last number: %v, want errNumbers", err)
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
		if torn.said("incomplete end") != 1 {
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
	if s := b.Stats(); s.SetAside != 1 || b.said("is damaged") != 1 {
		t.Errorf("stats are %+v, the log\n%s", s, b.logs)
	}
	if diff := cmp.Diff([]string{segmentName(1)}, b.files(t, damagedFolder)); diff != "" {
		t.Errorf("set aside: %s", diff)
	}
	b.mustAppend(t, newPrediction(20))
	b.mustDrain(t)
	b.stored(t, append(append(all[:4:4], all[5:]...), newPrediction(20))...)
}

func TestANewerFormatStopsTheStart(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	b.change(t, segmentName(1), func(data []byte) []byte { data[len(magic)-1]++; return data })
	var o Outbox
	o.journal = journal{dir: b.dir, limit: 1 << 30}
	if err := o.journal.open(func(finding) {}); !errors.Is(err, errNewer) {
		t.Errorf("got %v, want errNewer", err)
	}
	if n := len(b.files(t, "")); n != 1 {
		t.Errorf("%d files are left, want the one", n)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	info, err := os.Stat(filepath.Join(b.dir, segmentName(1)))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestDrainedSegmentsLeaveTheDisk(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes})
	for i := 0; i < 3000; i += 100 {
		b.mustAppend(t, newPredictions(i, 100)...)
	}
	b.mustDrain(t)
	names := b.files(t, "")
	if len(names) != 1 {
		t.Fatalf("the segments %v are left, want the one that is open", names)
	}
	info, err := os.Stat(filepath.Join(b.dir, names[0]))
	if err != nil || info.Size() != int64(len(magic)) {
		t.Errorf("the open segment has %d bytes (%v), want none but the magic", info.Size(), err)
	}
	b.mustAppend(t, newPrediction(4000))
	next := b.crash(t, Options{})
	next.mustDrain(t)
	next.stored(t, append(newPredictions(0, 3000), newPrediction(4000))...)
}

// TestReadersOfASegmentThatIsEmptiedFindNothing looks for rows by what was there
// before the database had them.
func TestReadersOfASegmentThatIsEmptiedFindNothing(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPredictions(0, 20)...)
	before := b.journal.pending()
	b.mustDrain(t)
	for i, rows := range [][]predict.Prediction{nil, newPredictions(100, 3)} {
		if rows != nil {
			b.mustAppend(t, rows...)
		}
		all := func(key) bool { return true }
		err := before[0].walk(all, func(p predict.Prediction) bool {
			if p.ID < newPrediction(100).ID {
				t.Errorf("%d: found %s, which was removed", i, p.ID)
			}
			return true
		})
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
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
