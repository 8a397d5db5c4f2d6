package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"gateway/api/edge"
)

// commandLog is the log of a gateway that runs for one command. It prints warnings of
// the start, each once, and errors. What made a request fail is printed last, unless
// the command ends with it. What a full disk has made fail besides the command is printed
// once, or not at all if the command ends with that reason.
type commandLog struct {
	out      io.Writer
	starting atomic.Bool

	mu       sync.Mutex
	warned   map[string]bool // messages of warnings that were printed
	requests []failedRequest
	fullDisk string // the first line with the reason that the disk is full
}

// failedRequest is a request that failed, and its line of the log.
type failedRequest struct{ id, line, reason string }

// newCommandLog returns the log of a gateway that starts. warned has the messages of
// the warnings that gateways before it have printed for the same command.
func newCommandLog(out io.Writer, warned map[string]bool) *commandLog {
	l := &commandLog{out: out, warned: warned}
	l.starting.Store(true)
	return l
}

// commandHandler implements slog.Handler.
type commandHandler struct {
	*commandLog
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h commandHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError || level >= slog.LevelWarn && h.starting.Load()
}

// WithAttrs implements slog.Handler.
func (h commandHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return commandHandler{h.commandLog, slices.Concat(h.attrs, attrs)}
}

// WithGroup implements slog.Handler. Lines have no groups.
func (h commandHandler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h commandHandler) Handle(_ context.Context, record slog.Record) error {
	request := failedRequest{}
	var line strings.Builder
	severity := "error"
	if record.Level < slog.LevelError {
		severity = "warning"
	}
	line.WriteString(severity + ": " + record.Message)
	add := func(a slog.Attr) bool {
		text := a.Value.String()
		switch a.Key {
		case "request_id":
			request.id = text
		case "error":
			request.reason = text
		}
		if strings.ContainsAny(text, " \"\n") {
			text = fmt.Sprintf("%q", text)
		}
		line.WriteString(" " + a.Key + "=" + text)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	record.Attrs(add)
	request.line = line.String()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case request.id != "":
		h.requests = append(h.requests, request)
		return nil
	case isFullDisk(request.reason):
		h.fullDisk = cmp.Or(h.fullDisk, request.line)
		return nil
	case record.Level < slog.LevelError && h.warned[record.Message]:
		return nil
	case record.Level < slog.LevelError:
		h.warned[record.Message] = true
	}
	_, err := fmt.Fprintln(h.out, request.line)
	return err
}

// end prints the failed requests, without the one that err is the problem of: if that
// is an internal error, whose reason callers of the API do not get, end returns the
// reason as the error.
func (l *commandLog) end(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var problem *edge.Problem
	internal := errors.As(err, &problem) && problem.Status == http.StatusInternalServerError
	for _, r := range l.requests {
		if internal && r.id == problem.RequestID && r.reason != "" {
			err = errors.New(r.reason)
			continue
		}
		fmt.Fprintln(l.out, r.line)
	}
	if l.fullDisk != "" && (err == nil || !isFullDisk(err.Error())) {
		fmt.Fprintln(l.out, l.fullDisk)
	}
	return err
}

// isFullDisk reports whether a reason is that of SQLite or of the system on a full disk.
func isFullDisk(reason string) bool {
	return strings.Contains(reason, "disk is full") || strings.Contains(reason, syscall.ENOSPC.Error())
}
