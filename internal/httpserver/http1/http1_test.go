package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pipes is a listener whose connections are in memory: what is written at once
// is read at once, and what is written twice is read twice.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// dial returns the client's end of a new connection.
func (p *pipes) dial(t *testing.T) *client {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close() })
	p.conns <- there
	c := &client{Conn: here, t: t, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_, _ = io.Copy(&c.got, here)
	}()
	return c
}

// client writes what it is told, and keeps what comes.
type client struct {
	net.Conn
	t     *testing.T
	got   buffer
	ended chan struct{} // by the server
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (c *client) send(parts ...string) *client {
	c.t.Helper()
	for _, part := range parts {
		if _, err := io.WriteString(c.Conn, part); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			c.t.Fatal(err)
		}
	}
	return c
}

// end waits until the server has closed the connection, and returns all it said.
func (c *client) end() string {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		c.t.Fatalf("the connection goes on after %q", c.got.String())
	}
	return c.got.String()
}

// both is a handler behind net/http alone, and behind this package.
type both struct {
	alone, front *pipes
	listener     *Listener
	server       *http.Server
	fast         atomic.Int64 // requests that were answered here
}

func serveBoth(t *testing.T, h http.Handler, o Options, change ...func(*http.Server)) *both {
	t.Helper()
	b := &both{alone: newPipes(), front: newPipes()}
	quiet := log.New(io.Discard, "", 0)
	o.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.fast.Add(1)
		h.ServeHTTP(w, r)
	})
	if o.Paths == nil {
		o.Paths = []string{"/plain"}
	}
	if o.ErrorLog == nil {
		o.ErrorLog = quiet
	}
	b.listener = Listen(b.front, o)
	b.server = &http.Server{Handler: h, ErrorLog: quiet}
	for _, c := range change {
		c(b.server)
	}
	for _, l := range []net.Listener{b.alone, b.listener} {
		go func() { _ = b.server.Serve(l) }()
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.listener.Shutdown(ended)
		_ = b.server.Close()
	})
	return b
}

// tell answers with all that it was asked.
func tell(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %v %q %s host %q length %d close %t coding %v from %s\n", r.Method, r.RequestURI, *r.URL, r.URL.RawPath,
		r.Proto, r.Host, r.ContentLength, r.Close, r.TransferEncoding, r.RemoteAddr)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "%s: %q\n", name, r.Header[name])
	}
	fmt.Fprintf(w, "%q %v\n", body, err)
}

const (
	head = "POST /plain HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n"
	one  = head + "\r\nhello"
	last = "GET /last HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
)

var date = regexp.MustCompile(`\r\nDate: [^\r]*GMT\r\n`)

// Whatever a client sends, and however it is cut into pieces, it gets the
// answers that net/http alone would have given.
func TestAnswersAreThoseOfNetHTTP(t *testing.T) {
	with := func(lines ...string) string {
		return "POST /plain HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\nhello"
	}
	const host, five = "Host: here", "Content-Length: 5"
	tests := map[string]struct {
		fast int64 // requests that are plain
		send []string
	}{
		"one":                         {1, []string{one}},
		"one after the other":         {3, []string{one, one, one}},
		"many at once":                {3, []string{one + one + one}},
		"header and body apart":       {2, []string{head + "\r\n", "hello", head, "\r\nhello"}},
		"in pieces":                   {1, []string{"P", "OST /pl", "ain HTTP/1.1\r\nHos", "t: here\r\nContent-Length: 5\r\n\r", "\n", "he", "llo"}},
		"one and a half":              {2, []string{one + head, "\r\nhel", "lo"}},
		"another route between":       {1, []string{one, "GET /other HTTP/1.1\r\nHost: here\r\n\r\n", one}},
		"another route right behind":  {1, []string{one + "GET /other HTTP/1.1\r\nHost: here\r\n\r\n" + one}},
		"half of another behind":      {1, []string{one + "GET /ot", "her HTTP/1.1\r\nHost: here\r\n\r\n" + one}},
		"a request within a header":   {0, []string{"GET / HTTP/1.1\r\nHost: here\r\nX: ", one}},
		"a request within a body":     {0, []string{"POST /other HTTP/1.1\r\nHost: here\r\nContent-Length: " + fmt.Sprint(len(one)) + "\r\n\r\n", one, one}},
		"a letter before":             {1, []string{one, "X" + one}},
		"names in small letters":      {1, []string{with("host: here", "content-length: 5", "x-UNUSUAL-name: x", "accept:*/*")}},
		"space around values":         {1, []string{with("Host:  here", "Content-Length:\t5 ", "A: \t b c \t", "B:", "C: ")}},
		"a name twice":                {1, []string{with(host, five, "X-Forwarded-For: a", "X-Forwarded-For: b", "X-Forwarded-For: c", "A: z")}},
		"bytes beyond ASCII":          {1, []string{with(host, five, "A: \xe4\xff")}},
		"all that a name may have":    {1, []string{with(host, five, "!#$%&'*+-.^_`|~09: x")}},
		"kept alive":                  {1, []string{with(host, five, "Connection: keep-alive")}},
		"a port":                      {1, []string{with("Host: [::1]:80", five)}},
		"to be closed":                {0, []string{with(host, five, "Connection: close")}},
		"upgrade":                     {0, []string{with(host, five, "Connection: upgrade", "Upgrade: websocket")}},
		"chunks":                      {0, []string{"POST /plain HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}},
		"chunks and a length":         {0, []string{with(host, five, "Transfer-Encoding: chunked")}},
		"a length twice":              {0, []string{with(host, five, five)}},
		"two lengths":                 {0, []string{with(host, five, "Content-Length: 6")}},
		"no length":                   {0, []string{"POST /plain HTTP/1.1\r\nHost: here\r\n\r\n"}},
		"length of nothing":           {0, []string{"POST /plain HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n"}},
		"a length with a sign":        {0, []string{with(host, "Content-Length: +5")}},
		"a negative length":           {0, []string{with(host, "Content-Length: -5")}},
		"a length in hex":             {0, []string{with(host, "Content-Length: 0x5")}},
		"a length with zeros":         {1, []string{with(host, "Content-Length: 005")}},
		"no host":                     {0, []string{with(five)}},
		"two hosts":                   {0, []string{with(host, five, host)}},
		"an empty host":               {0, []string{with("Host:", five)}},
		"a strange host":              {0, []string{with("Host: a b", five)}},
		"who expects":                 {0, []string{with(host, five, "Expect: something")}},
		"pragma":                      {0, []string{with(host, five, "Pragma: no-cache")}},
		"a trailer":                   {0, []string{with(host, five, "Trailer: x")}},
		"a query":                     {0, []string{strings.Replace(one, "/plain", "/plain?x=1", 1)}},
		"an escaped path":             {0, []string{strings.Replace(one, "/plain", "/pl%61in", 1)}},
		"a whole address":             {0, []string{strings.Replace(one, "/plain", "http://there/plain", 1)}},
		"two spaces":                  {0, []string{strings.Replace(one, "POST ", "POST  ", 1)}},
		"another method":              {0, []string{strings.Replace(one, "POST", "PUT", 1)}},
		"a small method":              {0, []string{strings.Replace(one, "POST", "post", 1)}},
		"HTTP/1.0":                    {0, []string{strings.Replace(one, "HTTP/1.1", "HTTP/1.0", 1)}},
		"HTTP/2":                      {0, []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}},
		"lines that end with LF":      {0, []string{strings.ReplaceAll(one, "\r\n", "\n")}},
		"one line that ends with LF":  {0, []string{with(host+"\nA: b", five)}},
		"a line that ends with CR":    {0, []string{with(host+"\rA: b", five)}},
		"a line that goes on":         {0, []string{with(host, five, "A: b", " c")}},
		"space before a colon":        {0, []string{with(host, five, "A : b")}},
		"no colon":                    {0, []string{with(host, five, "A")}},
		"no name":                     {0, []string{with(host, five, ": b")}},
		"a name with a space":         {0, []string{with(host, five, "A b: c")}},
		"a control character":         {0, []string{with(host, five, "A: \x01")}},
		"a NUL":                       {0, []string{with(host, five, "A: \x00")}},
		"a line break behind":         {3, []string{one + "\r\n" + one, "\r\n" + one}},
		"a line break on its own":     {2, []string{one, "\r\n", one}},
		"half a line break":           {2, []string{one + "\r", "\n" + one}},
		"two line breaks":             {2, []string{one + "\r\n\r\n" + one}},
		"four line feeds":             {2, []string{one + "\n\n\n\n" + one}},
		"three line breaks":           {1, []string{one + "\r\n\r\n\r\n" + one}},
		"a line break, another route": {1, []string{one + "\r\nGET /other HTTP/1.1\r\nHost: here\r\n\r\n" + one}},
		"a line break, chunks":        {1, []string{one + "\r\n", "POST /plain HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "\r\n" + one}},
		"too many line breaks, later": {1, []string{one + "\r\n", "\r\n", "\r\n" + one}},
		"empty lines before":          {0, []string{"\r\n" + one}},
		"noise":                       {0, []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"}},
		"more headers than usual":     {0, []string{with(append([]string{host, five}, manyHeaders(40)...)...)}},
		"as many headers as are read": {1, []string{with(append([]string{host, five}, manyHeaders(maxHeaders-2)...)...)}},
		"a long header":               {0, []string{with(host, five, "A: "+strings.Repeat("x", maxBytes))}},
		"a long body":                 {0, []string{"POST /plain HTTP/1.1\r\nHost: here\r\nContent-Length: 5000\r\n\r\n", strings.Repeat("x", 5000), one}},
		"a long body at once":         {0, []string{"POST /plain HTTP/1.1\r\nHost: here\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000) + one}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := serveBoth(t, http.HandlerFunc(tell), Options{})
			ask := func(p *pipes) string {
				return date.ReplaceAllString(p.dial(t).send(append(slices.Clone(test.send), last)...).end(), "\r\nDate: now\r\n")
			}
			want, got := ask(b.alone), ask(b.front)
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if !strings.HasPrefix(want, "HTTP/1.") {
				t.Errorf("net/http said %q", want)
			}
			if n := b.fast.Load(); n != test.fast {
				t.Errorf("%d requests were answered here, want %d", n, test.fast)
			}
		})
	}
}

func manyHeaders(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("H%d: %d", i, i))
	}
	return lines
}

// What a handler does comes out as from net/http.
func TestWritersAreThoseOfNetHTTP(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing":    func(http.ResponseWriter, *http.Request) {},
		"a status":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) },
		"an odd one": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(499) },
		"two":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) },
		"headers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["B"] = []string{"1", "2\r\nX: 3"}
			w.Header().Set("a", "x")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(201)
			w.Header().Set("late", "x")
			_, _ = io.WriteString(w, "{}")
			_, _ = io.WriteString(w, "{}")
		},
		"a page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no content": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			_, err := io.WriteString(w, "x")
			w.Header().Set("E", fmt.Sprint(err))
		},
		"not modified":            func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", `"x"`); w.WriteHeader(304) },
		"a body that is not read": func(w http.ResponseWriter, r *http.Request) { _ = r.Body.Close(); _, _ = io.WriteString(w, "x") },
		"a goodbye": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = io.WriteString(w, "x")
		},
		"an end":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a panic": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("a fault") },
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			b := serveBoth(t, h, Options{})
			ask := func(p *pipes) string {
				return date.ReplaceAllString(p.dial(t).send(one, one, last).end(), "\r\nDate: now\r\n")
			}
			if want, got := ask(b.alone), ask(b.front); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if b.fast.Load() == 0 {
				t.Error("nothing was answered here")
			}
		})
	}
}

// A handler's own word on the length does not count: the answer is in memory.
func TestTheLengthIsThatOfTheBody(t *testing.T) {
	b := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "7")
		w.Header().Set("Transfer-Encoding", "chunked")
		_, _ = w.Write(make([]byte, 100_000))
	}), Options{})
	got := b.front.dial(t).send(one, one, last).end()
	first, _, _ := strings.Cut(got, "\r\n\r\n")
	if strings.Count(first, "Content-Length: 100000") != 1 || strings.Contains(first, "chunked") || strings.Count(got, "Content-Length: 100000") != 2 {
		t.Errorf("got %.300q", got)
	}
}

// Nothing of a request is seen by the next one, which has its memory.
func TestRequestsDoNotMix(t *testing.T) {
	b := serveBoth(t, http.HandlerFunc(tell), Options{})
	const most = 8
	var all sync.WaitGroup
	for k := range most {
		all.Go(func() {
			var sent []string
			for i := range 50 {
				body := strings.Repeat(string(rune('a'+k)), 1+(7*i+k)%300)
				sent = append(sent, fmt.Sprintf("POST /plain HTTP/1.1\r\nHost: h%d\r\nContent-Length: %d\r\nOnly-%d-%d: x\r\n\r\n%s", k, len(body), k, i%3, body))
			}
			got := b.front.dial(t).send(append(sent, last)...).end()
			for i, answer := range strings.Split(got, "HTTP/1.1 200 OK\r\n")[1:51] {
				body := strings.Repeat(string(rune('a'+k)), 1+(7*i+k)%300)
				if strings.Count(answer, "Only-") != 1 || !strings.Contains(answer, fmt.Sprintf("Only-%d-%d: [\"x\"]\n", k, i%3)) ||
					!strings.Contains(answer, fmt.Sprintf("host \"h%d\"", k)) || !strings.HasSuffix(answer, fmt.Sprintf("\n%q <nil>\n", body)) {
					t.Errorf("answer %d of connection %d is %q", i, k, answer)
				}
			}
		})
	}
	all.Wait()
	if n := b.fast.Load(); n != most*50 {
		t.Errorf("%d requests were answered here", n)
	}
}

// A client who leaves while it waits ends its request.
func TestWhoLeavesEndsTheRequest(t *testing.T) {
	came, ended := make(chan struct{}), make(chan error)
	b := serveBoth(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
		ended <- r.Context().Err()
	}), Options{})
	c := b.front.dial(t).send(one)
	<-came
	c.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	b.gone(t)
}

// gone waits until no connection is left here.
func (b *both) gone(t *testing.T) {
	t.Helper()
	for wait := time.Now().Add(10 * time.Second); b.listener.Open() > 0; {
		if time.Now().After(wait) {
			t.Fatal("a connection is still there")
		}
		time.Sleep(time.Millisecond)
	}
}

// What comes while a request is handled waits for its turn, and a client who
// has asked for more has not left.
func TestRequestsThatComeEarlyWait(t *testing.T) {
	came, goOn := make(chan struct{}), make(chan struct{})
	b := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-goOn
		fmt.Fprintln(w, r.Context().Err())
	}), Options{})
	c := b.front.dial(t).send(one)
	<-came
	sent := make(chan struct{})
	go func() { c.send(one, last); close(sent) }()
	goOn <- struct{}{}
	<-came
	goOn <- struct{}{}
	<-came
	goOn <- struct{}{}
	<-sent
	if got := c.end(); strings.Count(got, "<nil>\n") != 3 || b.fast.Load() != 2 {
		t.Errorf("%d were answered here, got %q", b.fast.Load(), got)
	}
}

func TestConnectionsEndInTime(t *testing.T) {
	const short, long = 20 * time.Millisecond, time.Hour
	b := serveBoth(t, http.HandlerFunc(tell), Options{ReadTimeout: short, IdleTimeout: long})
	if got := b.front.dial(t).end(); got != "" || b.fast.Load() != 0 {
		t.Errorf("who says nothing got %q", got)
	}
	b = serveBoth(t, http.HandlerFunc(tell), Options{ReadTimeout: long, IdleTimeout: short})
	if got := b.front.dial(t).send(one).end(); !strings.HasPrefix(got, "HTTP/1.1 200") || b.fast.Load() != 1 {
		t.Errorf("who asked once got %q", got)
	}
	// Who waits for an answer is not idle.
	b = serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * short):
		}
		fmt.Fprintln(w, r.Context().Err())
	}), Options{ReadTimeout: long, IdleTimeout: short})
	if got := b.front.dial(t).send(one).end(); !strings.HasSuffix(got, "<nil>\n") {
		t.Errorf("who waited got %q", got)
	}
}

// A request whose rest does not come is the other server's, with its rules.
func TestSlowRequestsAreLeft(t *testing.T) {
	b := serveBoth(t, http.HandlerFunc(tell), Options{}, func(s *http.Server) { s.ReadTimeout = 20 * time.Millisecond })
	got := b.front.dial(t).send(one, head+"\r\nhel").end()
	if !strings.Contains(got, `"hel" read pipe: i/o timeout`) || b.fast.Load() != 1 {
		t.Errorf("%d were answered here, got %q", b.fast.Load(), got)
	}
}

// A client who does not read does not hold its connection.
func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	b := serveBoth(t, http.HandlerFunc(tell), Options{WriteTimeout: 10 * time.Millisecond})
	here, there := net.Pipe()
	defer here.Close()
	b.front.conns <- there
	if _, err := io.WriteString(here, one); err != nil {
		t.Fatal(err)
	}
	b.gone(t)
}

func TestRequestsAreLeftOnDemand(t *testing.T) {
	var leave atomic.Bool
	b := serveBoth(t, http.HandlerFunc(tell), Options{Leave: leave.Load})
	c := b.front.dial(t).send(one)
	leave.Store(true)
	if got := c.send(one, last).end(); strings.Count(got, "200 OK") != 3 || b.fast.Load() > 1 {
		t.Errorf("%d were answered here, got %q", b.fast.Load(), got)
	}
}

func TestShutdownWaitsForAnswers(t *testing.T) {
	came, goOn := make(chan struct{}), make(chan struct{})
	b := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 5 {
			came <- struct{}{}
			<-goOn
		}
		fmt.Fprintln(w, "done")
	}), Options{})
	idle := b.front.dial(t).send("POST /plain HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx")
	silent := b.front.dial(t)
	busy := b.front.dial(t).send(one)
	<-came
	down := make(chan error)
	go func() { down <- b.listener.Shutdown(t.Context()) }()
	if got := idle.end(); !strings.HasSuffix(got, "done\n") {
		t.Errorf("got %q", got)
	}
	silent.end()
	select {
	case err := <-down:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(goOn)
	if err := <-down; err != nil {
		t.Error(err)
	}
	if got := busy.end(); !strings.HasSuffix(got, "done\n") {
		t.Errorf("got %q", got)
	}
}

func TestShutdownEndsInTime(t *testing.T) {
	came := make(chan struct{})
	b := serveBoth(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
	}), Options{})
	c := b.front.dial(t).send(one)
	<-came
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.listener.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c.end()
	b.gone(t)
}

// The listener below may end before this one, which still has connections.
func TestTheListenerBelowEnds(t *testing.T) {
	b := serveBoth(t, http.HandlerFunc(tell), Options{})
	c := b.front.dial(t).send(one)
	_ = b.front.Close()
	if got := c.send(last).end(); strings.Count(got, "200 OK") != 2 {
		t.Errorf("got %q", got)
	}
	if err := b.listener.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	broken := Listen(brokenListener{b.front}, Options{})
	if _, err := broken.Accept(); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

type brokenListener struct{ *pipes }

var errBroken = errors.New("broken")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func TestAPanicIsLogged(t *testing.T) {
	var out buffer
	b := serveBoth(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault") }), Options{ErrorLog: log.New(&out, "", 0)})
	b.front.dial(t).send(one).end()
	b.gone(t)
	if got := out.String(); !strings.Contains(got, "panic serving pipe: a fault\n") || !strings.Contains(got, "http1_test.go") {
		t.Errorf("the log has %q", got)
	}
}

// FuzzParse holds that whatever is taken for plain net/http takes too, and sees
// the same in it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(one))
	f.Add([]byte(head + "A: b\r\nA: c\r\n\r\nhello, and more"))
	f.Add([]byte("POST /plain HTTP/1.1\r\nhost:a:1\r\ncontent-length:\t1 \r\nConnection: Keep-Alive\r\nCookie: \xff\r\n\r\nx"))
	blank := (&http.Request{}).WithContext(context.Background())
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > maxBytes {
			return
		}
		r := requestFor(blank)
		defer r.free()
		r.in = append(r.in, in...)
		if r.parse(map[string]string{"/plain": "/plain"}) != plain {
			return
		}
		from := bufio.NewReader(bytes.NewReader(in))
		want, err := http.ReadRequest(from)
		if err != nil {
			t.Fatalf("net/http does not take it: %v", err)
		}
		body, err := io.ReadAll(want.Body)
		got, _ := io.ReadAll(r.Body)
		rest, _ := io.ReadAll(from)
		if err != nil || !bytes.Equal(got, body) || !bytes.Equal(in[r.end:], rest) {
			t.Errorf("body %q, want %q, %v; the rest %q, want %q", got, body, err, in[r.end:], rest)
		}
		want.Body, r.Body = nil, nil
		if !reflect.DeepEqual(&r.Request, want.WithContext(blank.Context())) {
			t.Errorf("got %+v, want %+v", &r.Request, want)
		}
	})
}
