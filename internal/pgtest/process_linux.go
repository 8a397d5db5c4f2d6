package pgtest

import "syscall"

// attributes lets a process run as another user, unless uid is -1, and end when
// the thread that started it does, even where we are killed.
func attributes(uid, gid int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if uid >= 0 {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return a
}
