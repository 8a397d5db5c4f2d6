package aws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/failure"
	"gateway/internal/schema"
	"gateway/internal/testsize"
)

// logistic is the model of these tests. Its score depends on every column.
func logistic(row []float64) float64 {
	sum := 0.1
	for i, x := range row {
		sum += x * (0.2 + 0.1*float64(i))
	}
	return float64(float32(1 / (1 + math.Exp(-sum))))
}

// crossed is an endpoint, or a proxy in front of one, that sends calls the answers of other
// calls. A rule gets the nth answer on a connection with all answers before it, and writes the
// bytes to send.
type crossed struct {
	rule func(to io.Writer, answers [][]byte)
	swap *swapper
}

func (c *crossed) start(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

func (c *crossed) serve(conn net.Conn) {
	defer conn.Close()
	from := bufio.NewReader(conn)
	var answers [][]byte
	for {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		answer := answerTo(body)
		if c.swap != nil {
			answer = c.swap.exchange(answer)
		}
		if answers = append(answers, answer); len(answers) > 5 {
			answers = answers[1:]
		}
		c.rule(conn, answers)
	}
}

func answerTo(body []byte) []byte {
	var scores []string
	for line := range strings.Lines(string(body)) {
		var row []float64
		for cell := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			x, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			}
			row = append(row, x)
		}
		scores = append(scores, fmt.Sprintf(`{"score": %.9f}`, logistic(row)))
	}
	text := `{"predictions": [` + strings.Join(scores, ", ") + `]}`
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// swapper swaps the answers of two concurrent calls from time to time.
type swapper struct {
	calls atomic.Int64
	meet  chan chan []byte
}

func (s *swapper) exchange(mine []byte) []byte {
	if s.calls.Add(1)%20 >= 2 {
		return mine
	}
	back := make(chan []byte, 1)
	select {
	case other := <-s.meet:
		theirs := <-other
		other <- mine
		return theirs
	case s.meet <- back:
		back <- mine
		for {
			// The other call takes this answer and leaves its own.
			theirs := <-back
			if !bytes.Equal(theirs, mine) {
				return theirs
			}
			back <- theirs
			time.Sleep(10 * time.Microsecond)
		}
	case <-time.After(5 * time.Millisecond):
		return mine
	}
}

// oneIn applies another rule to every nth answer of all connections.
func oneIn(n int64, rule func(to io.Writer, answers [][]byte)) func(io.Writer, [][]byte) {
	var count atomic.Int64
	return func(to io.Writer, answers [][]byte) {
		if count.Add(1)%n == 0 {
			rule(to, answers)
			return
		}
		_, _ = to.Write(last(answers, 0))
	}
}

// last returns the answer that many before the latest, or the latest if there is none.
func last(answers [][]byte, back int) []byte {
	if back >= len(answers) {
		back = 0
	}
	return answers[len(answers)-1-back]
}

// late repeats an answer while a later call waits.
func late(back int) func(io.Writer, [][]byte) {
	return oneIn(20, func(to io.Writer, answers [][]byte) {
		_, _ = to.Write(last(answers, back))
		_, _ = to.Write(last(answers, 0))
	})
}

// scorerAt returns a scorer with a cached state of its endpoint, which has two models. The first
// one serves.
func scorerAt(runtime *invoker) *Scorer {
	schema, err := schema.Parse("small.yaml", []byte(smallSchema))
	if err != nil {
		panic(err)
	}
	e := NewEndpoint(&Clients{runtime: runtime}, nil, "bank-endpoint", schema, Formats{Accept: typeJSON})
	held, _ := rows(50)
	probes := makeProbes(schema, held)
	serving := &model{name: "first", schema: schema.Fingerprint(), scores: make([]float64, probeCount)}
	other := &model{name: "other", schema: schema.Fingerprint(), scores: make([]float64, probeCount)}
	for i, p := range probes {
		serving.scores[i] = logistic(p)
		other.scores[i] = logistic(p) * 0.9
	}
	v := &view{at: time.Now(), endpoint: e.name, schema: schema.Fingerprint(), config: "config", status: types.EndpointStatusInService,
		serving: serving, models: []*model{serving, other}}
	v.setProbes(probes)
	v.rotation = rotationOf(v.models)
	e.view.Store(v)
	return NewScorer(e, slog.New(slog.DiscardHandler))
}

// TestNoCallGetsTheAnswerOfAnother makes many calls of endpoints that send one answer in
// twenty twice, at once or later, whole or in pieces, or to another call. No row may get the
// score of another row. A few calls may fail, because their answers cannot be checked.
func TestNoCallGetsTheAnswerOfAnother(t *testing.T) {
	tests := []struct {
		name string
		rule func(io.Writer, [][]byte)
		swap bool
	}{
		{"twice in one piece", oneIn(20, func(to io.Writer, a [][]byte) {
			_, _ = to.Write(bytes.Repeat(last(a, 0), 2))
		}), false},
		{"twice in two pieces", oneIn(20, func(to io.Writer, a [][]byte) {
			_, _ = to.Write(last(a, 0))
			_, _ = to.Write(last(a, 0))
		}), false},
		{"a part of it again", oneIn(20, func(to io.Writer, a [][]byte) {
			_, _ = to.Write(append(bytes.Clone(last(a, 0)), last(a, 0)[:40]...))
		}), false},
		{"again while the next call waits", late(1), false},
		{"again two calls later", late(2), false},
		{"again four calls later", late(4), false},
		{"again while the next call waits, in pieces", oneIn(20, func(to io.Writer, a [][]byte) {
			_, _ = to.Write(last(a, 1)[:50])
			_, _ = to.Write(append(bytes.Clone(last(a, 1)[50:]), last(a, 0)...))
		}), false},
		{"to another call", oneIn(1<<40, nil), true},
	}
	log.SetOutput(io.Discard) // net/http logs bytes that arrive without a request
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, path := range []string{"by hand", "by the SDK"} {
		for _, tt := range tests {
			t.Run(path+"/"+tt.name, func(t *testing.T) {
				c := &crossed{rule: tt.rule}
				if tt.swap {
					c.swap = &swapper{meet: make(chan chan []byte)}
				}
				runtime := newInvoker(configFor(c.start(t)), slog.New(slog.DiscardHandler))
				if path == "by the SDK" {
					runtime = byTheSDK(runtime)
				}
				right, wrong, failed := manyCalls(t, scorerAt(runtime), 8, testsize.Of(60, 200))
				if wrong > 0 {
					t.Errorf("%d of %d answers are another row's", wrong, right+wrong)
				}
				if failed > right/10 {
					t.Errorf("%d calls failed, %d did not", failed, right)
				}
				t.Logf("%d right, %d wrong, %d failed; %d answers were refused", right, wrong, failed, runtime.foreign.count.Load())
			})
		}
	}
}

// manyCalls scores different rows in calls of one or two rows.
func manyCalls(t *testing.T, s *Scorer, workers, calls int) (right, wrong, failed int) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := range calls {
				n := 1 + i%8/4
				ask := make([]schema.Vector, n)
				for k := range ask {
					x := float64(w*calls*2+i*2+k) / float64(workers*calls*2)
					ask[k] = schema.Vector{3*x - 1.5, float64(i % 2), float64((i + 1) % 2), x}
				}
				out, err := s.Score(t.Context(), ask, false)
				mu.Lock()
				var e *failure.Error
				switch {
				case errors.As(err, &e):
					failed++
				case err != nil || len(out.Score) != n:
					t.Errorf("got %+v, %v", out, err)
				default:
					for k, score := range out.Score {
						if math.Abs(score-logistic(ask[k])) > 1e-8 {
							wrong++
							break
						}
						if k == n-1 {
							right++
						}
					}
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return right, wrong, failed
}
