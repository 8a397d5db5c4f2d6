package main

import (
	"fmt"
	"os"
	"runtime"
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
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range threads {
		var tid int
		if _, err := fmt.Sscan(t.Name(), &tid); err != nil {
			return err
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
		if errno != 0 {
			return fmt.Errorf("pinning process %d to processors %v: %w", pid, processors, errno)
		}
	}
	return nil
}

// dying makes a process end when the thread that started it does.
func dying() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
