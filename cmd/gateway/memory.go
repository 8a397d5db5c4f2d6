package main

import (
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// collectAt is how far the heap may grow, in percent of what lives, before it
// is collected. A gateway holds little and makes much garbage: at Go's own 100 a
// tenth of its time would go into collecting a heap of a few megabytes.
const collectAt = 400

// tuneCollector sets the garbage collector, where GOGC and GOMEMLIMIT do not.
// In a container it works harder when memory becomes scarce, instead of being
// killed.
func tuneCollector(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := memoryLimit(os.ReadFile); limit > 0 {
		debug.SetMemoryLimit(limit / 10 * 9)
		log.Debug("memory is limited", "bytes", limit)
	}
}

// memoryLimit is how much memory this process may have, as its control group
// says (version 2, else version 1); 0 if it does not say.
func memoryLimit(read func(string) ([]byte, error)) int64 {
	const unlimited = 1 << 50 // version 1 writes a number that no machine has
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := read(file)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < unlimited {
			return n
		}
	}
	return 0
}
