package api

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge

	keys     *prometheus.CounterVec
	mu       sync.Mutex
	keyNames map[string]bool // that have a label of their own

	// counted is what the two vectors have, so that a request need not hash
	// its labels. It is replaced, never changed.
	counted atomic.Pointer[map[answerKind]answerCount]
}

// answerKind is what the labels of an answer are made of: a closed set.
type answerKind struct {
	route, method string
	status        int
}

type answerCount struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

// maxKeyNames bounds the names of keys that are labels. Names come and go with
// the secret, and series stay.
const maxKeyNames = 200

// newMetrics registers the metrics of all listeners. Labels come from closed
// sets: route patterns, known methods, statuses.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_http_requests_total",
			Help: "Requests answered, by route pattern, method and status. 499: the caller went away.",
		}, []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_http_request_seconds",
			Help:    "How long requests took, by route pattern, method and class of status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"route", "method", "class"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_http_requests_in_flight",
			Help: "Requests being answered now.",
		}),
	}
	m.keyNames = make(map[string]bool)
	m.counted.Store(&map[answerKind]answerCount{})
	m.keys = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_api_key_requests_total",
		Help: "Requests of apps, by the name of their key and by status; \"other\" are names beyond the first 200.",
	}, []string{"key", "code"})
	reg.MustRegister(m.requests, m.seconds, m.inFlight, m.keys)
	return m
}

// begin shows the routes that alerts are about from 0 on, so that their first
// failure is an increase.
func (m *metrics) begin() {
	for route, success := range map[string]int{
		"/predict": http.StatusOK, "/predict/batch": http.StatusOK, invocationsPrefix + "{name}/invocations": http.StatusOK,
		"/outcomes": http.StatusAccepted,
	} {
		for _, status := range []int{success, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
			m.add(answerKind{route, http.MethodPost, status})
		}
	}
}

func (m *metrics) count(route, method string, status int, took time.Duration) {
	kind := answerKind{route, method, status}
	c, known := (*m.counted.Load())[kind]
	if !known {
		c = m.add(kind)
	}
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
}

func (m *metrics) add(kind answerKind) answerCount {
	m.mu.Lock()
	defer m.mu.Unlock()
	code := strconv.Itoa(kind.status)
	c := answerCount{m.requests.WithLabelValues(kind.route, kind.method, code),
		m.seconds.WithLabelValues(kind.route, kind.method, code[:1]+"xx")}
	counted := maps.Clone(*m.counted.Load())
	counted[kind] = c
	m.counted.Store(&counted)
	return c
}

// countKey counts a request of the app with a key.
func (m *metrics) countKey(name string, status int) {
	m.mu.Lock()
	if !m.keyNames[name] {
		if len(m.keyNames) < maxKeyNames {
			m.keyNames[name] = true
		} else {
			name = "other"
		}
	}
	m.mu.Unlock()
	m.keys.WithLabelValues(name, strconv.Itoa(status)).Inc()
}
