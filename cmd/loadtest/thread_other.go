//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

func ownThread() (release func()) { return func() {} }

func pause(d time.Duration) { time.Sleep(d) }

func pin(int, ...int) error { return errors.New("processes can be pinned on Linux only") }

// lower does nothing on this platform.
func lower(int) error { return nil }

func (p *process) freeze() error { return errors.New("processes can be stopped on Linux only") }

func (p *process) thaw() error { return nil }

// dying does nothing on this platform: a child outlives this process if it is killed.
func dying() *syscall.SysProcAttr { return nil }
