package export

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRowsSurvivePacking(t *testing.T) {
	for _, want := range []row{
		{id: []byte("1"), csv: []byte("1,2\n")},
		{id: []byte("ü\x00"), csv: []byte("0,2\n"), outcome: 1 << 60, mapped: []int{0, 300}, defaulted: []int{7}},
		{id: []byte("x"), csv: []byte("0\n"), outcome: 3, defaulted: []int{0, 1, 2}},
	} {
		got := row{mapped: []int{9}, defaulted: []int{9}}
		got.unpack(want.pack(nil))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// sorted runs records through a sorter and returns their texts in order.
func sorted(t *testing.T, budget int64, records []record) (all []string, repeats int64) {
	t.Helper()
	dir := t.TempDir()
	s := &sorter{budget: budget, tempDir: dir}
	for _, r := range records {
		if err := s.add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.each(t.Context(), func(r record) error { all = append(all, fmt.Sprint(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("temporary files have names: %v", left)
	}
	s.close()
	return all, s.repeats
}

// Places are drawn so that many share their leading bits or are equal: splits
// of every depth occur.
func TestSpillingChangesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var records []record
	for i := range 500 {
		place := rng.Uint64() >> (rng.IntN(64))
		if i%10 == 0 {
			place = 42
		}
		r := row{id: fmt.Append(nil, rng.IntN(3)), csv: fmt.Appendf(nil, "%d\n", rng.IntN(100))}
		if place == 42 {
			r.id = []byte("same")
		}
		records = append(records, record{place, r.pack(nil)})
	}
	want, repeats := sorted(t, 1<<30, records)
	if repeats == 0 {
		t.Fatal("no repeated id: the test is void")
	}
	for _, budget := range []int64{1, 300, 3000, 30_000} {
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		got, n := sorted(t, budget, records)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("budget %d (-want +got)\n%s", budget, diff)
		}
		if n != repeats {
			t.Errorf("budget %d: %d repeats, want %d", budget, n, repeats)
		}
	}
}

func TestOneCustomerAMillionTimesTakesNoMemory(t *testing.T) {
	r := row{id: []byte("same"), csv: []byte("1,1\n")}
	s := &sorter{budget: 1000, tempDir: t.TempDir()}
	defer s.close()
	for i := range 50_000 {
		r.outcome = int64(50_000 - i)
		if err := s.add(record{7, r.pack(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.held.records) > 0 {
		t.Error("rows are held although they were spilled")
	}
	var got []record
	err := s.each(t.Context(), func(r record) error { got = append(got, r); return nil })
	if err != nil || len(got) != 1 || s.repeats != 49_999 {
		t.Errorf("%d records, %d repeats, %v", len(got), s.repeats, err)
	}
}

func TestOrderIsTotal(t *testing.T) {
	var records []record
	for _, place := range []uint64{1, 2} {
		for _, id := range []string{"a", "b", "aa"} {
			for _, csv := range []string{"0\n", "1\n"} {
				for _, outcome := range []int64{0, 5} {
					r := row{id: []byte(id), csv: []byte(csv), outcome: outcome}
					records = append(records, record{place, r.pack(nil)})
				}
			}
		}
	}
	slices.SortFunc(records, record.compare)
	for i := range records {
		for j := range records {
			if c := records[i].compare(records[j]); c != min(1, max(-1, i-j)) {
				t.Fatalf("%v against %v: %d", records[i], records[j], c)
			}
		}
	}
	var first row
	first.unpack(records[0].data)
	if string(first.id) != "a" || string(first.csv) != "0\n" {
		t.Errorf("the first is %+v", first)
	}
}

func TestSorterStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stop := errors.New("stop")
	for _, budget := range []int64{1, 1 << 20} {
		s := &sorter{budget: budget, tempDir: t.TempDir()}
		for i := range 100 {
			r := row{id: binary.BigEndian.AppendUint64(nil, uint64(i)), csv: []byte("1\n")}
			place, _ := hashes(r.id)
			if err := s.add(record{place, r.pack(nil)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.each(ctx, func(record) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("budget %d: %v", budget, err)
		}
		s.close()

		s = &sorter{budget: budget, tempDir: t.TempDir()}
		r := row{id: []byte("1"), csv: []byte("1\n")}
		s.add(record{1, r.pack(nil)})
		if err := s.each(t.Context(), func(record) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("budget %d: %v", budget, err)
		}
		s.close()
	}
}

func TestSpillingWithoutRoomIsAnError(t *testing.T) {
	s := &sorter{budget: 1, tempDir: os.DevNull + "/folder"}
	r := row{id: []byte("1"), csv: []byte("1\n")}
	if err := s.add(record{1, r.pack(nil)}); err == nil {
		t.Error("no error")
	}
	s.close()
}
