package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// ownThread locks the goroutine to a thread until release is called.
func ownThread() (release func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// pause sleeps with the resolution of the kernel. time.Sleep may round up to milliseconds when
// nothing else runs.
func pause(d time.Duration) {
	if d <= 0 {
		return
	}
	wait := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&wait, nil)
}

// pin restricts a process to the given processors.
func pin(pid int, processors ...int) error {
	var set [16]uint64
	for _, p := range processors {
		set[p/64] |= 1 << (p % 64)
	}
	threads, err := threadsOf(pid)
	for _, tid := range threads {
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
		if errno != 0 {
			return fmt.Errorf("pinning process %d to processors %v: %w", pid, processors, errno)
		}
	}
	return err
}

// lower gives a process the lowest priority.
func lower(pid int) error {
	const least = 19
	threads, err := threadsOf(pid)
	for _, tid := range threads {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, tid, least); err != nil {
			return fmt.Errorf("lowering the priority of process %d: %w", pid, err)
		}
	}
	return err
}

// threadsOf returns the ids of the threads of a process. In Linux priority and processors belong
// to a thread.
func threadsOf(pid int) ([]int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	threads := make([]int, len(entries))
	for i, e := range entries {
		if threads[i], err = strconv.Atoi(e.Name()); err != nil {
			return nil, err
		}
	}
	return threads, nil
}

// freeze stops a process until it is thawed.
func (p *process) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// thaw continues a stopped process.
func (p *process) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// dying makes a process end when the thread that started it ends.
func dying() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
