package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheErrorOfACommandDoesNotHoldUpASignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unread, pipe := io.Pipe()
		ctx, interrupt := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			printError(ctx, pipe, errors.New("no such file"))
		}()
		time.Sleep(time.Hour)
		select {
		case <-ended:
			t.Error("a reader that is slow gets no error")
		default:
		}
		interrupt()
		<-ended
		_ = unread.Close()
	})
}
