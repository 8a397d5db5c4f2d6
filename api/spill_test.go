package api

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// testSpool is a spool alone, with so much room for its file.
func testSpool(dir string, memoryMax int, fileMax int64) *spillBuffer {
	return newSpillBuffer(dir, memoryMax, newSpillBudget(2*fileMax, nil), "caller", time.Minute)
}

func TestSpoolGivesBackWhatWasWritten(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := testSpool(t.TempDir(), 1000, 20_000)
		var sent, got bytes.Buffer
		read := func() {
			p := make([]byte, 1+random.IntN(3000))
			n, err := s.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(p[:n])
		}
		for range 500 {
			p := make([]byte, random.IntN(600))
			for i := range p {
				p[i] = byte(random.Uint32())
			}
			// The reader is this goroutine as well, so it has to make the
			// room that the writer would wait for.
			for s.read < s.written && s.written+int64(len(p)) > 20_000 {
				read()
			}
			if _, err := s.Write(p); err != nil {
				t.Fatal(err)
			}
			sent.Write(p)
			if len(s.memory) > s.maxMemory || cap(s.memory) > 4*s.maxMemory {
				t.Fatalf("%d bytes in memory, room for %d, where %d are allowed", len(s.memory), cap(s.memory), s.maxMemory)
			}
			for random.IntN(3) == 0 && !s.drained() {
				read()
			}
		}
		s.finish()
		rest, err := io.ReadAll(s)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(rest)
		if !bytes.Equal(got.Bytes(), sent.Bytes()) {
			t.Fatalf("seed %d: %d bytes came out of %d", seed, got.Len(), sent.Len())
		}
		if s.file == nil {
			t.Errorf("seed %d: the file was never used", seed)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSpoolEmptiesItsFileWhenTheReaderHasCaughtUp(t *testing.T) {
	dir := t.TempDir()
	s := testSpool(dir, 10, 1000)
	defer s.Close()
	for range 50 { // 50 times 100 bytes pass through a file of at most 1000
		if _, err := s.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := s.file.Stat(); err != nil || info.Size() > 100 {
		t.Errorf("the file has %d bytes (%v)", info.Size(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the directory has %v (%v)", left, err)
	}
}

func TestAFullSpoolMakesTheWriterWaitForTheReader(t *testing.T) {
	s := testSpool(t.TempDir(), 10, 100)
	defer s.Close()
	wrote := make(chan error)
	go func() {
		for range 100 {
			if _, err := s.Write(make([]byte, 60)); err != nil {
				wrote <- err
				return
			}
		}
		s.finish()
		wrote <- nil
	}()
	n, err := io.Copy(io.Discard, s)
	if n != 6000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func TestAnAbandonedSpoolFailsBothSides(t *testing.T) {
	gone := errors.New("gone")
	s := testSpool(t.TempDir(), 10, 10)
	defer s.Close()
	reader := make(chan error)
	go func() {
		_, err := s.Read(make([]byte, 1))
		reader <- err
	}()
	s.abandon(gone)
	if err := <-reader; !errors.Is(err, gone) {
		t.Errorf("reader got %v", err)
	}
	if _, err := s.Write(make([]byte, 1)); !errors.Is(err, gone) {
		t.Errorf("writer got %v", err)
	}
}

func TestASpoolWithoutADirectoryFails(t *testing.T) {
	s := testSpool(t.TempDir()+"/nowhere", 10, 100)
	if _, err := s.Write(make([]byte, 60)); err == nil {
		t.Error("no error")
	}
}

// fillSpool writes to a spool until it has no more room, and returns how much it took.
func fillSpool(t *testing.T, s *spillBuffer) (taken int) {
	t.Helper()
	for {
		n, err := s.Write(make([]byte, 100))
		taken += n
		if errors.Is(err, errNotRead) {
			return taken
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpoolsShareTheirRoom(t *testing.T) {
	room := newSpillBudget(10_000, nil)
	spoolOf := func(caller string) *spillBuffer {
		s := newSpillBuffer(t.TempDir(), 100, room, caller, time.Millisecond)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	mine, also := spoolOf("a"), spoolOf("a")
	if n := fillSpool(t, mine) + fillSpool(t, also); n != 5200 {
		t.Errorf("one caller has %d bytes in two spools, want 2×100 in memory and half of the room", n)
	}
	if n := fillSpool(t, spoolOf("b")); n != 5100 {
		t.Errorf("another has %d bytes", n)
	}
	other := spoolOf("c")
	if n := fillSpool(t, other); n != 100 {
		t.Errorf("a third has %d bytes, and only memory is left", n)
	}
	other.maxWait = time.Minute
	wrote := make(chan error)
	go func() {
		_, err := other.Write(make([]byte, 100))
		wrote <- err
	}()
	if _, err := io.ReadFull(mine, make([]byte, 5100)); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil { // it got what the first spool gave back
		t.Error(err)
	}
}

func TestASpoolLeavesTheDiskWhatItMust(t *testing.T) {
	spare := int64(1050)
	room := newSpillBudget(1<<20, func() int64 { return spare })
	s := newSpillBuffer(t.TempDir(), 100, room, "a", time.Millisecond)
	defer s.Close()
	for n := range 11 {
		if _, err := s.Write(make([]byte, 100)); err != nil {
			t.Fatalf("write %d: %v", n, err)
		}
		if n > 0 { // the first is in memory
			spare -= 100
		}
	}
	if _, err := s.Write(make([]byte, 100)); !errors.Is(err, errNotRead) {
		t.Errorf("beyond: %v", err)
	}
	if err := s.WriteLast(make([]byte, 100)); err != nil {
		t.Errorf("the last line: %v", err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1200)); err != nil {
		t.Error(err)
	}
	if held := room.budget.Held(); held != 0 || room.unwritten != 0 {
		t.Errorf("%d bytes are still held, %d not written", held, room.unwritten)
	}
}

func TestAClosedSpoolGivesItsRoomBack(t *testing.T) {
	room := newSpillBudget(10_000, nil)
	s := newSpillBuffer(t.TempDir(), 100, room, "a", time.Millisecond)
	fillSpool(t, s)
	if err := s.Close(); err != nil || room.budget.Held() != 0 {
		t.Errorf("%v; %d bytes are still held", err, room.budget.Held())
	}
}
