package logging

import (
	"log"
	"log/slog"
	"strings"
)

// RedirectStandardLibrary sends what the standard library logs by itself to the
// gateway's log.
func RedirectStandardLibrary(to *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(standardLog{to})
}

// standardLog takes the standard library's messages. net/http's client repeats the
// beginning of an answer that belongs to no request, which may be a customer's
// score; that part is left out.
type standardLog struct{ to *slog.Logger }

// Write implements io.Writer.
func (l standardLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(string(line), " starting with ")
	l.to.Warn("message of the standard library", "text", strings.TrimSpace(text))
	return len(line), nil
}
