package app

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"gateway/internal/config"
)

// Lines of /proc/self/mountinfo.
const (
	mountV2     = "35 25 0:30 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
	mountV1     = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:17 - cgroup cgroup rw,memory\n"
	mountHybrid = mountV1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
	mountRoot   = "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"

	unlimitedV1 = "9223372036854771712\n"
)

func TestMemoryLimit(t *testing.T) {
	for _, tt := range []struct {
		name          string
		mounts, group string
		limits        map[string]string
		want          int64
	}{
		{"systemd, version 2", mountRoot + mountV2, "0::/system.slice/gateway.service\n", map[string]string{
			"sys/fs/cgroup/system.slice/gateway.service/memory.max": "268435456\n",
			"sys/fs/cgroup/system.slice/memory.max":                 "max\n",
		}, 256 << 20},
		{"an ancestor has the smaller limit", mountV2, "0::/system.slice/gateway.service\n", map[string]string{
			"sys/fs/cgroup/system.slice/gateway.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":                 "268435456\n",
		}, 256 << 20},
		{"only an ancestor has a limit", mountV2, "0::/a/b/c\n", map[string]string{
			"sys/fs/cgroup/a/b/c/memory.max": "max\n",
			"sys/fs/cgroup/a/b/memory.max":   "max\n",
			"sys/fs/cgroup/a/memory.max":     "268435456\n",
		}, 256 << 20},
		{"another group is no matter", mountV2, "0::/a\n", map[string]string{
			"sys/fs/cgroup/a/memory.max": "max\n",
			"sys/fs/cgroup/b/memory.max": "1048576\n",
		}, 0},
		{"docker, version 2, in a namespace", mountV2, "0::/\n", map[string]string{
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 << 20},
		{"a process outside of its namespace", mountV2, "0::/../other\n", map[string]string{
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 << 20},
		{"a mount from outside of the namespace", "35 25 0:30 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n", map[string]string{
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 << 20},
		{"docker, version 2, in the host's namespace", mountV2, "0::/system.slice/docker-1f.scope\n", map[string]string{
			"sys/fs/cgroup/system.slice/docker-1f.scope/memory.max": "536870912\n",
		}, 512 << 20},
		{"version 1", mountV1, "5:cpu:/\n4:memory:/gateway\n", map[string]string{
			"sys/fs/cgroup/memory/gateway/memory.limit_in_bytes": "268435456\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":         unlimitedV1,
		}, 256 << 20},
		{"docker, version 1: the mount shows the container's group", "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"4:memory:/docker/1f\n", map[string]string{
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
			}, 256 << 20},
		{"version 1: a group below that of the mount", "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"4:memory:/docker/1f/worker\n", map[string]string{
				"sys/fs/cgroup/memory/worker/memory.limit_in_bytes": "134217728\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes":        "268435456\n",
			}, 128 << 20},
		{"version 1: a group that the mount does not show", "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"4:memory:/docker/1f00\n", map[string]string{
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
			}, 256 << 20},
		{"version 1 mounts controllers together", "35 31 0:32 / /cgroup rw - cgroup cgroup rw,cpuset,memory\n", "4:cpuset,memory:/a\n", map[string]string{
			"cgroup/a/memory.limit_in_bytes": "268435456\n",
		}, 256 << 20},
		{"hybrid: memory is limited by version 1", mountHybrid, "4:memory:/gateway\n1:name=systemd:/x\n0::/x\n", map[string]string{
			"sys/fs/cgroup/memory/gateway/memory.limit_in_bytes": "268435456\n",
		}, 256 << 20},
		{"hybrid: memory is limited by version 2", mountHybrid, "4:memory:/\n0::/gateway\n", map[string]string{
			"sys/fs/cgroup/memory/memory.limit_in_bytes":      unlimitedV1,
			"sys/fs/cgroup/unified/gateway/memory.max":        "268435456\n",
			"sys/fs/cgroup/unified/elsewhere/memory.max":      "1\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":    "1\n",
			"sys/fs/cgroup/cpu/gateway/memory.limit_in_bytes": "1\n",
		}, 256 << 20},
		{"a mount point with a space", "35 25 0:30 / /my\\040groups rw - cgroup2 cgroup2 rw\n", "0::/a\n", map[string]string{
			"my groups/a/memory.max": "268435456\n",
		}, 256 << 20},
		{"version 2 without a limit", mountV2, "0::/a\n", map[string]string{"sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		{"version 1 without a limit", mountV1, "4:memory:/\n", map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimitedV1}, 0},
		{"a limit that cannot be understood", mountV2, "0::/a\n", map[string]string{"sys/fs/cgroup/a/memory.max": "much\n"}, 0},
		{"limits that are not there", mountV2, "0::/a\n", nil, 0},
		{"no memory controller", mountV1, "5:cpu:/\n", nil, 0},
		{"lines that cannot be understood", "35 25\n - \n- - -\n", "0\n::\n", nil, 0},
		{"no control groups", mountRoot, "", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{
				"proc/self/mountinfo": &fstest.MapFile{Data: []byte(tt.mounts)},
				"proc/self/cgroup":    &fstest.MapFile{Data: []byte(tt.group)},
			}
			for name, text := range tt.limits {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := memoryLimit(root); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if got := memoryLimit(fstest.MapFS{}); got != 0 {
		t.Errorf("without /proc the limit is %d", got)
	}
	if got := memoryLimit(unreadable{}); got != 0 {
		t.Errorf("where nothing can be read the limit is %d", got)
	}
}

// unreadable is a file system that may not be read.
type unreadable struct{}

func (unreadable) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestConnectionsFollowTheMemoryLimit(t *testing.T) {
	for _, tt := range []struct {
		asked int
		limit int64
		admin string
		want  int
	}{
		{0, 0, "", 16384},
		{0, 256 << 20, "", 1024},
		{0, 256 << 20, "127.0.0.1:0", 512},
		{0, 16 << 20, "", 64},
		{0, 1 << 40, "", 16384},
		{5000, 256 << 20, "", 5000},
	} {
		cfg := config.Config{ListenerSettings: config.ListenerSettings{MaxConnections: tt.asked, AdminAddr: tt.admin}}
		if got := maxConnections(cfg, tt.limit); got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
	if got := requestMemory(256 << 20); got != 96<<20 {
		t.Errorf("large requests get %d bytes of 256 MiB", got)
	}
}
