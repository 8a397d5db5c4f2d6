package failure_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gateway/internal/failure"
)

func TestIDsSortByTime(t *testing.T) {
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = failure.NewID()
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("ids are not in order, or not unique")
	}
	if id := ids[0]; len(id) != 36 || id[14] != '7' {
		t.Errorf("%s is not a UUID of version 7", id)
	}
}

func TestIDsTellWhenTheyWereMade(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	made, ok := failure.IDTime(failure.NewID())
	if !ok || made.Before(before) || made.After(time.Now()) {
		t.Errorf("made at %v (%v), want now", made, ok)
	}
	for _, id := range []string{"", "10042", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "f47ac10b-58cc-4372-a567-0e02b2c3d479"} {
		if _, ok := failure.IDTime(id); ok {
			t.Errorf("%q tells a time", id)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	err := failure.Errorf(failure.Invalid, "%d faults", 5)
	for i := range 5 {
		err.Violations = append(err.Violations, failure.Violation{Field: fmt.Sprint("f", i), Detail: "is bad"})
	}
	if got, want := err.Error(), "5 faults; f0: is bad; f1: is bad; f2: is bad; and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestViolationsAreBounded lists MaxViolations of a body and counts the rest,
// also over pieces that Take has returned.
func TestViolationsAreBounded(t *testing.T) {
	var v failure.Violations
	for range failure.MaxViolations - 1 {
		v.Add(failure.Violation{Field: "age", Code: failure.CodeType})
	}
	first := v.Take()
	if v.Full() || v.Count() != 0 || first.Count() != failure.MaxViolations-1 {
		t.Fatalf("full %t, %d left, %d taken", v.Full(), v.Count(), first.Count())
	}
	for range 3 {
		v.Add(failure.Violation{Field: "job", Code: failure.CodeMissing})
	}
	if !v.Full() || len(v.Listed) != 1 || v.Omitted != 2 {
		t.Errorf("full %t, %d listed, %d omitted", v.Full(), len(v.Listed), v.Omitted)
	}
	v.PutBack(first)
	if len(v.Listed) != failure.MaxViolations || v.Listed[0].Field != "age" || v.Count() != failure.MaxViolations+2 {
		t.Errorf("%d listed, the first %+v, %d in all", len(v.Listed), v.Listed[0], v.Count())
	}
}

// TestAnIDBeforeATimeSortsBeforeThoseMadeThen compares IDBefore with NewID.
func TestAnIDBeforeATimeSortsBeforeThoseMadeThen(t *testing.T) {
	now := time.Now()
	id := failure.NewID()
	if before := failure.IDBefore(now); before >= id {
		t.Errorf("%s does not sort before %s", before, id)
	}
	if after := failure.IDBefore(now.Add(time.Minute)); after <= id {
		t.Errorf("%s does not sort after %s", after, id)
	}
}

func TestIDsOfATimeSortByIt(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	at := time.Date(2026, 11, 3, 4, 5, 6, 789_000_000, time.UTC)
	earlier, later := failure.NewIDAt(at, random), failure.NewIDAt(at.Add(time.Millisecond), random)
	if earlier >= later || earlier < failure.IDBefore(at) || earlier >= failure.IDBefore(at.Add(time.Millisecond)) {
		t.Errorf("%s and %s do not sort by their times", earlier, later)
	}
	if got, ok := failure.IDTime(earlier); !ok || !got.Equal(at) {
		t.Errorf("%s is of %s (%v), want %s", earlier, got, ok, at)
	}
	if again := failure.NewIDAt(at, rand.NewChaCha8([32]byte{1})); again != earlier {
		t.Errorf("the same bits give %s and %s", earlier, again)
	}
	if other := failure.NewIDAt(at, random); other == earlier {
		t.Error("two ids are the same")
	}
}
