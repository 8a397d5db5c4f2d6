package logging

import (
	"bytes"
	"io"
	"log/slog"
)

// New logs text for people, or else JSON for machines. level is one of
// debug, info, warn and error.
func New(w io.Writer, format, level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // the caller has checked it
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// DroppedLine is the log line that says how many lines before it are missing.
func DroppedLine(format, level string, dropped int64) []byte {
	var line bytes.Buffer
	New(&line, format, level).Error("log lines were dropped because the log was not read or could not be written", "lines", dropped)
	return line.Bytes()
}
