package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
)

// Account and Region are what ARNs bear, and Region what requests must be
// signed for.
const (
	Account = "123456789012"
	Region  = "eu-central-1"
)

// Credentials that mean nothing: no signature is checked.
const (
	accessKey = "AKIASTANDIN"
	secretKey = "stand-in"
)

// Role is an execution role that can be assumed: any role can whose name does
// not contain "missing".
const Role = "arn:aws:iam::" + Account + ":role/gateway-execution"

// Options say how a stand-in is made. The zero value is good for most tests.
type Options struct {
	// Addr to listen on; empty: any port of the loopback interface.
	Addr string
	// InMemory listens on no port: only the HTTP client of Config reaches the
	// stand-in, over pipes, so that it also works in a bubble of testing/synctest.
	InMemory bool
	// Clock of the life cycles; nil: the computer's.
	Clock Clock
	// Pace of the life cycles; zero: RealPace with a Clock, a thousandth of a
	// second and less for each state without one.
	Pace Pace
	// Buckets that are there at once; with a Backend, see Prepare.
	Buckets []string
	// Algorithms says, for training images that are not SageMaker's own, which
	// built-in algorithm they are.
	Algorithms map[string]string
	// Backend is the address of a moto server that has S3, DynamoDB and Secrets
	// Manager; empty: the stand-in's own S3 and DynamoDB.
	Backend string
	// SecretsManager answers the calls of that service where there is no
	// Backend. Faults and the journal stand before it.
	SecretsManager http.Handler
	// ManifestWithoutPrefix writes the keys of an export's manifest as the
	// documentation shows them: without S3Prefix.
	ManifestWithoutPrefix bool
	// Observe is told every call when it has been answered; it must be quick.
	Observe func(Call)
}

// Server is the stand-in. All its methods are safe for concurrent use.
type Server struct {
	// URL of all services.
	URL string

	options Options
	clock   Clock
	pace    Pace
	http    *http.Server
	client  aws.HTTPClient // of Config, where the stand-in is in memory
	backend *httputil.ReverseProxy
	closed  chan struct{}
	once    sync.Once
	work    sync.WaitGroup // training, and reading for exports
	ctx     context.Context
	stop    context.CancelFunc

	faults  faults
	journal journal
	objects *objects
	tables  *tables
	s3      *s3.Client // where training data and exports lie

	mu         sync.Mutex
	jobs       map[string]*job
	transforms map[string]*transformJob
	models     map[string]*model
	configs    map[string]*endpointConfig
	endpoints  map[string]*endpoint
	exports    map[string]*tableExport
	tags       map[string][]tag // by ARN
	turn       uint64           // of invocations, to share traffic
}

// TB is what Start needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start starts a stand-in that ends with the test.
func Start(t TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatalf("starting the AWS stand-in: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// New starts a stand-in.
func New(o Options) (*Server, error) {
	s := &Server{
		options: o, clock: o.Clock, pace: o.Pace, closed: make(chan struct{}),
		journal: journal{observe: o.Observe},
		objects: newObjects(), tables: newTables(),
		jobs: make(map[string]*job), transforms: make(map[string]*transformJob), models: make(map[string]*model), configs: make(map[string]*endpointConfig),
		endpoints: make(map[string]*endpoint), exports: make(map[string]*tableExport), tags: make(map[string][]tag),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if s.clock == nil {
		s.clock = realClock{}
	}
	if s.pace == (Pace{}) {
		s.pace = RealPace()
		if o.Clock == nil && !o.InMemory {
			s.pace = s.pace.Faster(100_000)
		}
	}
	for _, bucket := range o.Buckets {
		s.objects.buckets[bucket] = newBucket()
	}
	if o.Backend != "" {
		target, err := url.Parse(o.Backend)
		if err != nil || target.Host == "" {
			return nil, fmt.Errorf("%q is not the address of a server", o.Backend)
		}
		s.backend = newBackend(target)
	}
	cfg := s.config("http://stand-in.internal", inner{s})
	if o.Backend != "" {
		cfg = s.config(o.Backend, nil)
	}
	s.s3 = s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet()}
	listener, err := s.listen()
	if err != nil {
		return nil, err
	}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

func (s *Server) listen() (net.Listener, error) {
	if s.options.InMemory {
		l := newPipes()
		s.URL = "http://127.0.0.1:1" // an IP, so that S3 clients use path style
		s.client = &http.Client{Transport: &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 64}}
		return l, nil
	}
	l, err := net.Listen("tcp", cmp.Or(s.options.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	at := l.Addr().(*net.TCPAddr)
	host := at.IP.String()
	if at.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	s.URL = "http://" + net.JoinHostPort(host, strconv.Itoa(at.Port))
	return l, nil
}

// Close ends the stand-in: calls under way are cut, training stops.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.stop()
		_ = s.http.Close()
		if c, ok := s.client.(*http.Client); ok {
			c.CloseIdleConnections()
		}
		s.work.Wait()
	})
}

// Config returns a configuration for clients of every service, with
// credentials that mean nothing.
func (s *Server) Config() aws.Config { return s.config(s.URL, s.client) }

func (s *Server) config(endpoint string, client aws.HTTPClient) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		HTTPClient:   client,
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A bucket may be called sandbox, too; but what is in it is asked for by
	// requests that are signed.
	if _, service := scope(r); service == "" && strings.HasPrefix(r.URL.Path, "/sandbox/") {
		s.control(w, r)
		return
	}
	c := s.identify(r)
	finished := false
	finish := func(status int) {
		if !finished {
			c.Status, finished = status, true
			s.journal.add(c.Call)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			finish(0)
			panic(p)
		}
	}()
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	if e := unsigned(r); e != nil {
		finish(e.Status)
		c.write(w, errorAnswer(c, e))
		return
	}
	s.settle()
	if s.forwards(c) {
		finish(s.forward(w, c))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	if c.Resource == "" {
		c.Resource = named(body)
	}
	a := s.respond(c, body)
	finish(a.status)
	c.write(w, a)
}

// respond takes the fault that is due for a call, and answers it.
func (s *Server) respond(c *call, body []byte) *answer {
	if c.fault = s.faults.take(&c.Call); c.fault != nil {
		c.Fault = c.fault.Kind
	}
	if a := s.before(c); a != nil {
		return a
	}
	a := s.serve(c, body)
	if a.status >= 300 {
		s.faults.giveBack(c.fault)
	}
	return c.after(a)
}

// serve answers a call by its service, faults aside.
func (s *Server) serve(c *call, body []byte) *answer {
	switch {
	case c.Service == "s3":
		return s.serveS3(c, body)
	case c.Operation == invoke:
		return s.serveRuntime(c, body)
	case c.Service == "secretsmanager" && s.options.SecretsManager != nil:
		buffer := &buffered{header: http.Header{}}
		r := c.request.Clone(c.request.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.options.SecretsManager.ServeHTTP(buffer, r)
		return buffer.answer()
	}
	contentType := "application/x-amz-json-1.1"
	operations := controlPlane
	if c.Service == "dynamodb" {
		contentType, operations = "application/x-amz-json-1.0", database
	}
	do, ok := operations[c.Operation]
	if !ok {
		return jsonError(refusef("UnknownOperationException", "The stand-in has no operation %q of %s.", c.Operation, c.Service), contentType)
	}
	out, err := do(s, c, body)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
		}
		return jsonError(e, contentType)
	}
	return newAnswer(http.StatusOK, contentType, marshal(out))
}
