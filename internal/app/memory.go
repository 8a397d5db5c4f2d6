package app

import (
	"bufio"
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"gateway/internal/config"
)

// collectAt is how far the heap may grow, in percent of what lives, before it
// is collected. A gateway holds little and makes much garbage: at Go's own 100 a
// tenth of its time would go into collecting a heap of a few megabytes.
const collectAt = 400

// TuneCollector sets the garbage collector of a service, where GOGC and GOMEMLIMIT do
// not, and returns the memory limit of the process in bytes, or 0 if there is none.
func TuneCollector(log *slog.Logger) int64 {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	return LimitMemory(os.DirFS("/"), log)
}

// LimitMemory tells the garbage collector the memory limit of the process, where
// GOMEMLIMIT does not, and returns the limit in bytes, or 0 if there is none. Under a
// limit the collector works harder when memory becomes scarce, instead of the process
// being killed. root is the root of the file system.
func LimitMemory(root fs.FS, log *slog.Logger) int64 {
	limit := memoryLimit(root)
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit > 0 {
			debug.SetMemoryLimit(limit / 20 * 17) // under load the collector is late, and not all memory is Go's
			log.Debug("memory is limited by the control group", "bytes", limit)
		}
		return limit
	}
	if soft := debug.SetMemoryLimit(-1); soft < unlimited && (limit == 0 || soft < limit) {
		return soft
	}
	return limit
}

// Of a memory limit, three eighths are for large requests and an eighth for
// connections. The rest is for the gateway itself (the database, the model, the
// outbox, renewals), for small requests, and for what is garbage but not yet
// collected.
const (
	// requestMemoryMax bounds the memory of large requests where there is plenty.
	requestMemoryMax = 2 << 30
	// connectionCost is what a connection takes. One that is idle takes half of
	// it; one that sends a large header slowly takes twice as much.
	connectionCost = 32 << 10
	connectionsMax = 16384
	connectionsMin = 64
)

// requestMemory is how much memory large requests may hold under a limit; 0,
// for the default, where there is none.
func requestMemory(limit int64) int64 { return min(limit/8*3, requestMemoryMax) }

// maxConnections is how many connections each listener may have where memory has
// a limit; 0 is none.
func maxConnections(cfg config.Config, limit int64) int {
	if cfg.MaxConnections > 0 {
		return cfg.MaxConnections
	}
	if limit == 0 {
		return connectionsMax
	}
	listeners := int64(1)
	if cfg.AdminAddr != "" {
		listeners = 2
	}
	return int(max(connectionsMin, min(limit/8/connectionCost/listeners, connectionsMax)))
}

// unlimited is a limit that no machine reaches. Version 1 of control groups and
// Go's runtime write such a number where there is no limit.
const unlimited = 1 << 50

// memoryLimit returns how much memory this process may have by its control
// group, the smallest limit of the group and its ancestors, in version 1 and 2.
// It returns 0 where there is no limit or none can be read. root is the root of
// the file system.
func memoryLimit(root fs.FS) int64 {
	smallest := int64(0)
	for _, group := range controlGroups(root) {
		for _, dir := range group.dirs() {
			if n := limitIn(root, path.Join(dir, group.file)); n > 0 && (smallest == 0 || n < smallest) {
				smallest = n
			}
		}
	}
	return smallest
}

// controlGroup is a group of this process that may limit its memory.
type controlGroup struct {
	mount string // where the hierarchy is mounted
	base  string // which group of the hierarchy is mounted there
	path  string // of the group in its hierarchy
	file  string // that has the limit
}

// dirs returns the folders of the group and of its ancestors as far as the
// mount shows them. In a container the path may be that of the host, which the
// mount does not show, or it may begin with "/.." where the process is outside
// of its control group namespace. The mount point itself is then the closest
// group that can be seen.
func (g controlGroup) dirs() []string {
	below := g.path
	if g.base != "/" {
		rest, ok := strings.CutPrefix(g.path, g.base)
		if !ok || rest != "" && rest[0] != '/' {
			rest = ""
		}
		below = rest
	}
	if strings.HasPrefix(below, "/..") {
		below = ""
	}
	var dirs []string
	for dir := path.Join(g.mount, below); ; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == g.mount || dir == "." || len(dir) < len(g.mount) {
			return dirs
		}
	}
}

// controlGroups finds the groups of this process: version 2 has one for all
// controllers, version 1 one for memory, and both may be mounted.
func controlGroups(root fs.FS) []controlGroup {
	paths := make(map[string]string) // by controller; version 2 under ""
	for line := range fileLines(root, "proc/self/cgroup") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, group, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		for controller := range strings.SplitSeq(controllers, ",") {
			paths[controller] = group
		}
	}
	var groups []controlGroup
	for line := range fileLines(root, "proc/self/mountinfo") {
		mounted, kind, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(mounted), strings.Fields(kind)
		if !ok || len(fields) < 5 || len(rest) < 3 {
			continue
		}
		group := controlGroup{mount: strings.TrimPrefix(unescapeMount(fields[4]), "/"), base: unescapeMount(fields[3])}
		switch {
		case rest[0] == "cgroup2":
			group.path, ok = paths[""]
			group.file = "memory.max"
		case rest[0] == "cgroup" && hasOption(rest[2], "memory"):
			group.path, ok = paths["memory"]
			group.file = "memory.limit_in_bytes"
		default:
			continue
		}
		if ok {
			groups = append(groups, group)
		}
	}
	return groups
}

// fileLines yields the lines of a file, or none if it cannot be read.
func fileLines(root fs.FS, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() && yield(lines.Text()) {
		}
	}
}

func hasOption(options, option string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == option {
			return true
		}
	}
	return false
}

// unescapeMount decodes the octal escapes of proc(5): \040 is a space.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// limitIn reads a limit in bytes, or 0 if there is none.
func limitIn(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 || n >= unlimited {
		return 0
	}
	return n
}
