package outbox

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

func TestARecordIsKeptExactly(t *testing.T) {
	full := newPrediction(1)
	full.Score, full.Personal = math.Nextafter(0.1, 1), []byte(`{"age":"k:1"}`)
	full.Bins = []byte("45é-")
	full.ID, full.CustomerID = failure.NewID(), "größe\x01"
	odd := predict.Prediction{ID: "x", Score: -math.MaxFloat64, CreatedAt: time.UnixMicro(-5).UTC(), Features: []byte{}}
	for _, p := range []predict.Prediction{full, odd} {
		record := appendRecord(nil, &p)
		var d decoder
		got, err := d.decode(record)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
			t.Error(diff)
		}
		for cut := range record {
			if _, err := d.decode(record[:cut]); err == nil {
				t.Errorf("a record cut to %d of %d bytes was read", cut, len(record))
			}
		}
		if _, err := d.decode(append(record, 0)); err == nil {
			t.Error("a record with a rest was read")
		}
	}
}

// A record of an earlier version has no bins.
func TestARecordWithoutBins(t *testing.T) {
	p := newPrediction(1)
	record := appendRecord(nil, &p)
	record[0] = withoutBins
	record = record[:len(record)-1] // the length of the bins
	var d decoder
	got, err := d.decode(record)
	if err != nil || got.ID != p.ID || !bytes.Equal(got.Features, p.Features) || len(got.Bins) > 0 {
		t.Errorf("got %+v (%v), want %+v", got, err, p)
	}
	for _, version := range []byte{0, recordVersion + 1} {
		record[0] = version
		if _, err := d.decode(record); err == nil {
			t.Errorf("a record of version %d was read", version)
		}
	}
}

func TestEncodingARecordDoesNotAllocate(t *testing.T) {
	p := newPrediction(1)
	b := batch{frames: make([]byte, 0, 1024), keys: make([]key, 0, 1)}
	rows := []predict.Prediction{p}
	if n := testing.AllocsPerRun(100, func() {
		if err := b.fill(rows); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	p := newPrediction(1)
	f.Add(appendRecord(nil, &p))
	f.Add([]byte{recordVersion})
	f.Fuzz(func(t *testing.T, record []byte) {
		var d decoder
		p, err := d.decode(record)
		if err != nil {
			return
		}
		again, err := d.decode(appendRecord(nil, &p))
		if err != nil || again.ID != p.ID || !bytes.Equal(again.Features, p.Features) {
			t.Errorf("%+v became %+v (%v)", p, again, err)
		}
	})
}

func FuzzScan(f *testing.F) {
	p := newPrediction(1)
	frame := appendRecord(beginFrame(nil), &p)
	endFrame(frame, 0)
	f.Add(append(append([]byte("rubbish"), frame...), frame[:20]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 0
		end, gaps := scan(data, 0, func(offset int, record []byte) {
			if offset < last || offset+frameHeader+len(record) > len(data) {
				t.Errorf("a frame at %d of %d bytes", offset, len(data))
			}
			last = offset + frameHeader + len(record)
		})
		if end != last {
			t.Errorf("the end is %d, want %d", end, last)
		}
		for _, g := range gaps {
			if g.from >= g.to || g.to > end {
				t.Errorf("gap %+v", g)
			}
		}
	})
}
