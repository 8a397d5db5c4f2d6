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

// Account and Region are in all ARNs. Requests must be signed for Region.
const (
	Account = "123456789012"
	Region  = "eu-central-1"
)

// Credentials for clients. The stand-in does not verify signatures.
const (
	accessKey = "AKIASTANDIN"
	secretKey = "stand-in"
)

// Role is an execution role that can be assumed. All roles can, except those whose names
// contain "missing".
const Role = "arn:aws:iam::" + Account + ":role/gateway-execution"

// Options are the settings of a stand-in. The zero value has defaults for tests.
type Options struct {
	// Addr to listen on; empty: any port of the loopback interface.
	Addr string
	// InMemory makes the stand-in listen on no port. Only the HTTP client of Config
	// reaches it, through pipes, which also works in a bubble of testing/synctest.
	InMemory bool
	// Clock of the life cycles; nil: the clock of the system.
	Clock Clock
	// Pace of the life cycles; zero: RealPace if Clock is set, else at most 1 ms for each
	// state.
	Pace Pace
	// Buckets that exist at the start. With a Backend, use Prepare.
	Buckets []string
	// Algorithms has the built-in algorithm that a training image runs, for images that
	// are not SageMaker's own.
	Algorithms map[string]string
	// Backend is the address of a moto server that has S3, DynamoDB and Secrets
	// Manager; empty: the stand-in's own S3 and DynamoDB.
	Backend string
	// SecretsManager answers the calls of that service if Backend is empty. Faults and
	// the journal apply to them.
	SecretsManager http.Handler
	// Queries runs the SQL of Athena's queries; nil: they fail.
	Queries QueryRunner
	// ManifestWithoutPrefix makes the keys in the manifest of an export omit S3Prefix, as
	// in the documentation.
	ManifestWithoutPrefix bool
	// Observe is called for each call that was answered. It must not block.
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
	client  aws.HTTPClient // of Config; nil unless Options.InMemory
	backend *httputil.ReverseProxy
	closed  chan struct{}
	once    sync.Once
	work    sync.WaitGroup // training jobs, exports and queries
	ctx     context.Context
	stop    context.CancelFunc

	faults  faults
	journal journal
	objects *objects
	tables  *tables
	s3      *s3.Client // for training data and exports

	mu         sync.Mutex
	jobs       map[string]*job
	transforms map[string]*transformJob
	models     map[string]*model
	configs    map[string]*endpointConfig
	endpoints  map[string]*endpoint
	exports    map[string]*tableExport
	queries    map[string]*query
	tags       map[string][]tag // by ARN
	turn       uint64           // number of invocations, for the shares of traffic
}

// TB has the methods of *testing.T that Start uses.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start starts a stand-in that is closed when the test ends.
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
		endpoints: make(map[string]*endpoint), exports: make(map[string]*tableExport), queries: make(map[string]*query), tags: make(map[string][]tag),
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
			return nil, fmt.Errorf("the backend %q is not a URL such as http://127.0.0.1:5000", o.Backend)
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

// Close ends the stand-in. It cuts calls under way and stops training.
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

// Config returns a configuration for the SDK clients of all services.
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
	// Requests for a bucket named sandbox have the same path. They are signed, and those
	// of the control interface are not.
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
	body, err := readAll(r.Body, r.ContentLength)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has disconnected
	}
	if c.Resource == "" {
		c.Resource = named(body)
	}
	a := s.respond(c, body)
	finish(a.status)
	c.write(w, a)
}

// respond answers a call with the fault that applies to it, if any.
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

// serve answers a call without faults.
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
	switch c.Service {
	case "dynamodb":
		contentType, operations = "application/x-amz-json-1.0", database
	case "athena":
		operations = athenaOperations
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
