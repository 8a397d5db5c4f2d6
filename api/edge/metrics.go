package edge

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
	keyNames map[string]bool // names of keys that are labels

	// counted holds the counters of the two vectors, so that a request does not hash
	// its labels. The map is replaced, never changed.
	counted atomic.Pointer[map[responseKind]responseCount]
}

// responseKind determines the labels of a response. All its values are from closed sets.
type responseKind struct {
	route, method string
	status        int
}

type responseCount struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

// maxKeyNames bounds the names of keys that are labels: names change with the secret,
// and a series stays as long as the process.
const maxKeyNames = 200

// newMetrics registers the metrics of all listeners. Labels are from closed sets: route
// patterns, known methods, statuses.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_http_requests_total",
			Help: "Requests, by route pattern, method and status. 499: the caller left before the response.",
		}, []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_http_request_seconds",
			Help:    "Duration of requests in seconds, by route pattern, method and class of status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"route", "method", "class"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_http_requests_in_flight",
			Help: "Requests that are being handled.",
		}),
	}
	m.keyNames = make(map[string]bool)
	m.counted.Store(&map[responseKind]responseCount{})
	m.keys = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_api_key_requests_total",
		Help: "Requests of apps, by the name of the API key and by status. Names after the first 200 are counted as \"other\".",
	}, []string{"key", "code"})
	reg.MustRegister(m.requests, m.seconds, m.inFlight, m.keys)
	return m
}

// CountFromZero adds the counts of some POST routes with value 0, given the status of
// success of each. Otherwise the first failure of a route would not be an increase, and
// no alert would notice it.
func (e *Edge) CountFromZero(successes map[string]int) {
	for route, success := range successes {
		for _, status := range []int{success, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
			e.metrics.add(responseKind{route, http.MethodPost, status})
		}
	}
}

func (m *metrics) count(route, method string, status int, took time.Duration) {
	kind := responseKind{route, method, status}
	c, known := (*m.counted.Load())[kind]
	if !known {
		c = m.add(kind)
	}
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
}

func (m *metrics) add(kind responseKind) responseCount {
	m.mu.Lock()
	defer m.mu.Unlock()
	code := strconv.Itoa(kind.status)
	c := responseCount{m.requests.WithLabelValues(kind.route, kind.method, code),
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
