package aws

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"

	"gateway/internal/aws/wire"
	"gateway/internal/failure"
	"gateway/internal/schema"
)

// bankRows returns rows with as many columns and zeros as those of the bank.
func bankRows(n int) []schema.Vector {
	out := make([]schema.Vector, n)
	for i := range out {
		row := make(schema.Vector, 63)
		row[0], row[1], row[2], row[3], row[4] = float64(20+i%60), -1.8, 93.994, -36.4, 4.857
		row[10], row[20], row[30], row[40], row[50] = 1, 1, 1, 1, 1
		out[i] = row
	}
	return out
}

// answerFor returns the answer of linear-learner to a number of rows.
func answerFor(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"predictions": [`)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `{"score": %v, "predicted_label": 0.0}`, float64(float32(i+1)/float32(n+2)))
	}
	b.WriteString("]}")
	return b.Bytes()
}

// quickEndpoint is an endpoint on the loopback interface with a low cost: it reads a request by
// its length and answers.
func quickEndpoint(tb testing.TB, answer []byte) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nx-Amzn-Invoked-Production-Variant: AllTraffic\r\nx-amzn-RequestId: 3f2b6a0e-6a4e-4b53-9d0c-0c52f1a8f6a1\r\nDate: Thu, 26 Nov 2026 21:00:00 GMT\r\n\r\n", len(answer))
	whole := append(head, answer...)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := make([]byte, 0, 1<<20)
				for {
					n, err := conn.Read(in[len(in):cap(in)])
					if err != nil {
						return
					}
					in = in[:len(in)+n]
					end := bytes.Index(in, []byte("\r\n\r\n"))
					if end < 0 {
						continue
					}
					_, rest, _ := bytes.Cut(in[:end], []byte("Content-Length: "))
					text, _, _ := bytes.Cut(rest, []byte("\r\n"))
					if length, _ := strconv.Atoi(string(text)); len(in) < end+4+length {
						continue
					}
					in = in[:0]
					if _, err := conn.Write(whole); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func configFor(url string) sdk.Config {
	return sdk.Config{Region: "eu-central-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKIABENCH", "secret", "")}
}

// BenchmarkCall is a whole call over the loopback interface, from rows to scores, with the time
// of the endpoint.
func BenchmarkCall(b *testing.B) {
	for _, path := range []string{"fast", "sdk"} {
		for _, n := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", path, n), func(b *testing.B) {
				r := newInvoker(configFor(quickEndpoint(b, answerFor(n))), slog.New(slog.DiscardHandler))
				if path == "sdk" {
					r = byTheSDK(r)
				}
				e := &Endpoint{api: &Clients{runtime: r}, name: "bank-endpoint", formats: Formats{Accept: typeJSON}}
				rows := bankRows(n)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := e.invoke(b.Context(), &view{}, rows, noProbe); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkProbedCall is a call with a probe, as for a prediction.
func BenchmarkProbedCall(b *testing.B) {
	const n = 1
	r := newInvoker(configFor(quickEndpoint(b, answerFor(n+1))), slog.New(slog.DiscardHandler))
	e := &Endpoint{api: &Clients{runtime: r}, name: "bank-endpoint", formats: Formats{Accept: typeJSON}}
	scores := slices.Repeat([]float64{0.5}, probeCount) // as answerFor scores the second row
	v := &view{models: []*model{{name: "first", scores: scores}}}
	v.setProbes(bankRows(probeCount))
	v.rotation = rotationOf(v.models)
	rows := bankRows(n)
	b.ReportAllocs()
	for b.Loop() {
		probe := e.turns.take(v.rotation)
		a, err := e.invoke(b.Context(), v, rows, probe)
		e.turns.give(probe)
		if err != nil || identify(v.models, probe, a.scores[n]) == nil {
			b.Fatal(a, err)
		}
	}
}

// BenchmarkSign signs calls of several sizes.
func BenchmarkSign(b *testing.B) {
	for _, n := range []int{1, 32} {
		body := appendRows(nil, bankRows(n))
		c := capture{}
		r := newInvoker(configFor("http://127.0.0.1:1"), slog.New(slog.DiscardHandler))
		in := invocation{endpoint: "bank-endpoint", contentType: typeCSV, accept: typeJSON, id: failure.NewID(), body: body}
		if _, err := r.runtime.InvokeEndpoint(b.Context(), in.input(), useClient(&c)); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("wire/%d", n), func(b *testing.B) {
			form, err := wire.NewTemplate(c.request, body, "secret")
			if err != nil {
				b.Fatal(err)
			}
			var request []byte
			b.ReportAllocs()
			for b.Loop() {
				v := wire.Values{Time: time.Now(), Invocation: newInvocationID(), Inference: in.id}
				request = form.Append(request[:0], &v, body)
			}
		})
		b.Run(fmt.Sprintf("sdk/%d", n), func(b *testing.B) {
			signer := v4.NewSigner()
			signed := c.request.Clone(b.Context())
			b.ReportAllocs()
			for b.Loop() {
				sum := sha256Hex(body)
				err := signer.SignHTTP(b.Context(), sdk.Credentials{AccessKeyID: "AKIABENCH", SecretAccessKey: "secret"}, signed, sum, "sagemaker", "eu-central-1", time.Now())
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncodeRows encodes rows as CSV.
func BenchmarkEncodeRows(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			rows := bankRows(n)
			var body []byte
			b.ReportAllocs()
			for b.Loop() {
				body = appendRows(body[:0], rows)
			}
		})
	}
}

// BenchmarkSDKStack is a call of the SDK's client with a transport that answers at once: the cost
// of a call without the network.
func BenchmarkSDKStack(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := newInvoker(configFor("http://127.0.0.1:1"), slog.New(slog.DiscardHandler))
			in := invocation{endpoint: "bank-endpoint", contentType: typeCSV, accept: typeJSON, id: failure.NewID(), body: appendRows(nil, bankRows(n))}
			client := useClient(atOnce(answerFor(n)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.runtime.InvokeEndpoint(b.Context(), in.input(), client); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type atOnce []byte

func (a atOnce) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {typeJSON}}, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}

func useClient(c sdk.HTTPClient) func(*sagemakerruntime.Options) {
	return func(o *sagemakerruntime.Options) { o.HTTPClient = c }
}

func sha256Hex(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
