package aws

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

func TestACallTakesItsRowsAndAProbeOrNone(t *testing.T) {
	short, long := schema.Vector{1, 0, 1, 0}, schema.Vector{0.1234567890123456, 0.1234567890123456, 0.1234567890123456, 0.1234567890123456}
	many := func(n int, row schema.Vector) (out []schema.Vector) {
		for range n {
			out = append(out, row)
		}
		return out
	}
	shortBytes, longBytes := len(schema.AppendCSV(nil, short))+1, len(schema.AppendCSV(nil, long))+1
	for _, tt := range []struct {
		name              string
		rows              []schema.Vector
		maxRows, maxBytes int
		fit               int
		want              string // of the error
	}{
		{"few", many(3, short), 5, 1000, 3, ""},
		{"as many as a call has beside the probe", many(4, short), 5, 1000, 4, ""},
		{"one more", many(5, short), 5, 1000, 4, "5 rows do not fit into one call of the endpoint; the first 4 would"},
		{"as many bytes as a call has", many(10, short), 100, 12 * shortBytes, 10, ""},
		{"one byte more", many(10, short), 100, 12*shortBytes - 1, 9, "10 rows do not fit"},
		{"a long row counts for the probe", append(many(2, short), long), 100, 2*shortBytes + 3*longBytes - 1, 2, "3 rows do not fit"},
		{"one row that fits", many(1, long), 100, 2 * longBytes, 1, ""},
		{"one row that does not", many(1, long), 100, 2*longBytes - 1, 0, "row 1 is larger than a call of the endpoint may be"},
		{"a row among others that does not", append(many(2, short), long), 100, 2*longBytes - 1, 2, "row 3 is larger than a call of the endpoint may be"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fitting(tt.rows, tt.maxRows, tt.maxBytes); got != tt.fit {
				t.Errorf("%d rows fit, want %d", got, tt.fit)
			}
			err := checkSize(tt.rows, tt.maxRows, tt.maxBytes)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (!isKind(err, failure.Invalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if err := checkSize(nil, maxCallRows, maxCallBytes); err == nil {
		t.Error("no rows are no call, and no error")
	}
}

// While a deployment mixes models, every second call may be answered by an unknown one.
func TestAnUnknownModelIsLoggedWhenItBeginsToAnswerAndWhenItEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	s.scorer = NewScorer(s.endpoint, s.log())
	elsewhere := &crossed{rule: func(to io.Writer, answers [][]byte) { _, _ = to.Write(last(answers, 0)) }}
	unknown := newInvoker(configFor(elsewhere.start(t)), slog.New(slog.DiscardHandler))
	known := s.api.runtime
	for range 3 {
		s.api.runtime = unknown
		if _, err := s.score(1); !isKind(err, failure.Unavailable) || !strings.Contains(err.Error(), "an unknown model answered") {
			t.Fatalf("got %v, want the unknown model to be refused", err)
		}
		s.api.runtime = known
		_, err := s.score(1)
		s.must(err)
	}
	s.logged("matches no known model", "serving=first")
	if n := s.lines("no unknown model answers"); n != 0 {
		t.Errorf("the end is logged %d times while both answer", n)
	}
	s.scorer.unknownAt.Store(time.Now().Add(-unknownCalm - time.Second).UnixNano())
	for range 2 {
		_, err := s.score(1)
		s.must(err)
	}
	s.logged("no unknown model answers any more", "model=first")
}
