//go:build unix && !linux

package pgtest

import "syscall"

// attributes lets a process run as another user, unless uid is -1. If we are
// killed, it stays.
func attributes(uid, gid int) *syscall.SysProcAttr {
	if uid < 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
