//go:build !unix

package pgtest

import "syscall"

// attributes leaves the user alone.
func attributes(_, _ int) *syscall.SysProcAttr { return nil }
