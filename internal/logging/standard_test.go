package logging

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
)

func TestTheStandardLibrarysMessagesRepeatNoAnswer(t *testing.T) {
	var text bytes.Buffer
	l := log.New(standardLog{slog.New(slog.NewTextHandler(&text, nil))}, "", 0)
	l.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", `{"predictions": [{"score": 0.7154}]}`, error(nil))
	l.Print("http2: no cached connection was available")
	for _, want := range []string{"Unsolicited response received on idle HTTP channel", "no cached connection"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log does not say %q: %s", want, &text)
		}
	}
	if strings.Contains(text.String(), "0.7154") {
		t.Errorf("the log repeats a score: %s", &text)
	}
}
