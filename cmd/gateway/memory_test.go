package main

import (
	"io/fs"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"version 2", map[string]string{v2: "536870912\n"}, 512 << 20},
		{"version 1", map[string]string{v1: "1073741824\n"}, 1 << 30},
		{"version 2 without a limit", map[string]string{v2: "max\n"}, 0},
		{"version 1 without a limit", map[string]string{v1: "9223372036854771712\n"}, 0},
		{"no control group", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := memoryLimit(func(name string) ([]byte, error) {
				if text, ok := tt.files[name]; ok {
					return []byte(text), nil
				}
				return nil, fs.ErrNotExist
			})
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
