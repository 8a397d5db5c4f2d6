package main

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// handleLimit is how many files the process may have open. Go has raised it to
// what the system allows.
func handleLimit() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int64(min(limit.Cur, 1<<40))
}

// takeQueued fetches the connections that wait in the kernel and in the same
// breath makes it refuse further ones. Whoever connects between the two calls,
// a microsecond apart, is reset.
func takeQueued(l *net.TCPListener) (conns []net.Conn) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			queued, _, err := syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECONNABORTED) {
				continue
			}
			if err != nil {
				break // EAGAIN: the queue is empty
			}
			f := os.NewFile(uintptr(queued), "tcp")
			if conn, err := net.FileConn(f); err == nil {
				conns = append(conns, conn)
			}
			_ = f.Close() // FileConn has a handle of its own
		}
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR)
	})
	return conns
}
