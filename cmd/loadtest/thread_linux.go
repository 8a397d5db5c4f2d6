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

// ownThread gives the goroutine a thread until the function is called.
func ownThread() (release func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// pause sleeps as exactly as the kernel can: time.Sleep rounds up to
// milliseconds where nothing else runs.
func pause(d time.Duration) {
	if d <= 0 {
		return
	}
	wait := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&wait, nil)
}

// pin lets a process run on these processors only.
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

// lower gives a process the least priority.
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

// threadsOf are the ids of a process' threads: to the kernel, priority and
// processors are each thread's own.
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

// thaw lets a frozen process go on.
func (p *process) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// dying makes a process end when the thread that started it does.
func dying() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
