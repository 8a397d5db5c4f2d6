package httpserver

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// descriptorLimit returns how many files the process may open, or 0 if that is
// unknown. Go has raised the limit to what the system allows.
func descriptorLimit() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int64(min(limit.Cur, 1<<40))
}

// handshakeTime is how long a handshake that has begun may take to end after
// new ones are no longer answered.
const handshakeTime = 200 * time.Millisecond

// takeQueued stops a listener and returns the connections that the kernel has
// established and the process has not accepted. It first makes the kernel drop
// the packets that ask for a new connection, so that none is established
// between the last accept and the end of listening, which would be reset. The
// client sends such a packet again after a second and is refused then.
func takeQueued(l *net.TCPListener) (conns []net.Conn) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		if dropNewConnections(int(fd)) == nil {
			conns = acceptUntil(int(fd), time.Now().Add(handshakeTime))
		}
		conns = append(conns, acceptUntil(int(fd), time.Now())...)
		_ = unix.Shutdown(int(fd), unix.SHUT_RDWR)
	})
	return conns
}

// dropNewConnections makes the kernel drop every packet to the listening
// socket whose SYN flag is set. The filter is a classic BPF program, see
// https://www.kernel.org/doc/Documentation/networking/filter.txt; the packet
// begins with its TCP header, whose byte 13 holds the flags (RFC 9293, 3.1).
func dropNewConnections(fd int) error {
	const flagsOffset, synFlag, wholePacket = 13, 0x02, 1<<32 - 1
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsOffset},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: synFlag, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: wholePacket},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// acceptUntil accepts connections of a non-blocking listening socket until the
// queue is empty and the time has come.
func acceptUntil(fd int, end time.Time) (conns []net.Conn) {
	for {
		conn, err := acceptOne(fd)
		switch {
		case err == nil:
			conns = append(conns, conn)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EAGAIN) && time.Now().Before(end):
			waitReadable(fd, end)
		default:
			return conns
		}
	}
}

func acceptOne(fd int) (net.Conn, error) {
	accepted, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(accepted), "tcp")
	defer f.Close() // FileConn duplicates the descriptor
	return net.FileConn(f)
}

// waitReadable waits until the socket has something to accept, or until end.
func waitReadable(fd int, end time.Time) {
	left := max(1, int(time.Until(end).Milliseconds()))
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, left)
}
