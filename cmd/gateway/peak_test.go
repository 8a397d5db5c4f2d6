package main

import (
	"os"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"
)

// peakFileVariable names the file in which a gateway that is run as a process
// records the most memory that Go's runtime has held, in bytes.
const peakFileVariable = "MEMORY_PEAK_FILE"

// recordPeak looks every few milliseconds, until the process ends.
func recordPeak() {
	path := os.Getenv(peakFileVariable)
	if path == "" {
		return
	}
	_ = os.Unsetenv(peakFileVariable)
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	go func() {
		for peak := uint64(0); ; time.Sleep(2 * time.Millisecond) {
			metrics.Read(samples)
			if held := samples[0].Value.Uint64() - samples[1].Value.Uint64(); held > peak {
				peak = held
				_ = os.WriteFile(path+".new", []byte(strconv.FormatUint(peak, 10)), 0o600)
				_ = os.Rename(path+".new", path)
			}
		}
	}()
}

// recordedPeak reads what recordPeak has recorded.
func recordedPeak(t *testing.T, path string) int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	peak, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return peak
}
