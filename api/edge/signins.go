package edge

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gateway/internal/audit"
	"gateway/internal/failure"
	"gateway/internal/outage"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// signInWindow is the time for which equal failed sign-ins are counted in one entry of the
	// audit log.
	signInWindow = time.Hour
	// maxSignInEntries bounds the entries of a window. Further failures are counted under
	// otherAddresses.
	maxSignInEntries = 200
	otherAddresses   = "other addresses"
	// signInRetention is how long failed sign-ins stay in the audit log.
	signInRetention = 90 * 24 * time.Hour
	// signInFlush is how long a changed count waits until it is written.
	signInFlush = time.Second
	// An address may send maxFailures wrong tokens at once, and failuresPerSecond after that.
	// Further ones get 429.
	maxFailures, failuresPerSecond = 60, 1
	// For the form of the console the same is ten, and ten a minute.
	maxFormFailures, formFailuresPerSecond = 10, 10.0 / 60
	// auditTimeout bounds one call of the audit log.
	auditTimeout = 10 * time.Second
)

// The kinds of credentials.
const (
	operatorToken = "operator token"
	appKey        = "app key"
)

// SignIns counts failed sign-ins and records them in the audit log: one entry an hour for
// each address, route and kind of credential, with a count. Counts are held in memory until
// Run has written them. Run also removes entries that are older than 90 days.
//
// A failed sign-in is a request with a wrong credential. A request without a credential gets
// 401 and is not recorded.
type SignIns struct {
	acts    audit.Log
	trusted []netip.Prefix
	log     *slog.Logger
	total   *prometheus.CounterVec

	grown chan struct{} // has a token if counts have grown

	now     func() time.Time
	headers *addressRates // of wrong credentials in a header
	forms   *addressRates // of wrong tokens in the form of the console

	mu      sync.Mutex
	began   time.Time // the window
	entries map[signInKey]*signInEntry
}

type signInKey struct{ address, action, credential string }

type signInEntry struct {
	act     audit.Entry
	written int64 // the count that the audit log has
}

// NewSignIns makes a counter that writes to acts. A request from a trusted proxy is counted
// for the address that X-Forwarded-For names.
func NewSignIns(acts audit.Log, trusted []netip.Prefix, log *slog.Logger, reg prometheus.Registerer) *SignIns {
	s := &SignIns{acts: acts, trusted: trusted, log: log,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_failed_sign_ins_total",
			Help: "Requests with a wrong credential, by the kind of credential: operator token or app key."}, []string{"credential"}),
		grown: make(chan struct{}, 1), now: time.Now, entries: make(map[signInKey]*signInEntry),
		headers: newAddressRates(maxFailures, failuresPerSecond), forms: newAddressRates(maxFormFailures, formFailuresPerSecond)}
	for _, credential := range []string{operatorToken, appKey} {
		s.total.WithLabelValues(credential)
	}
	reg.MustRegister(s.total)
	return s
}

// LimitFailures sets how many wrong credentials an address may send at once in headers,
// and how many a second after that. It must be called before the first request; the
// defaults are 60 and 1.
func (s *SignIns) LimitFailures(atOnce int, perSecond float64) {
	s.headers = newAddressRates(atOnce, perSecond)
}

// UseClock makes the counter take times from a clock instead of time.Now. It must be
// called before the first request.
func (s *SignIns) UseClock(now func() time.Time) { s.now = now }

// Address returns the IP address of the client that sent a request.
func (s *SignIns) Address(r *http.Request) string { return clientAddress(r, s.trusted) }

// fail counts a request with a wrong credential. It returns how long the address must wait
// until rates allow it another one; zero: the address is within its rate.
func (s *SignIns) fail(r *http.Request, credential string, rates *addressRates) (wait time.Duration) {
	s.total.WithLabelValues(credential).Inc()
	q := Of(r.Context())
	key := signInKey{s.Address(r), knownMethod(r.Method) + " " + requestedRoute(r), credential}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.began) >= signInWindow {
		s.began = now
		s.startWindow()
	}
	entry, isNew := s.entry(key, q.ID, now)
	entry.act.Count++
	entry.act.Detail = fmt.Sprintf("wrong %s; the last at %s", credential, now.UTC().Format(time.RFC3339))
	if isNew {
		s.log.Warn("a sign-in failed; more from this address and route are counted in the audit log",
			"credential", credential, "address", entry.act.Address, "action", entry.act.Action, "request_id", q.ID)
	}
	select {
	case s.grown <- struct{}{}:
	default:
	}
	return rates.take(key.address, now)
}

// startWindow removes the entries of the last window that have been written. s.mu is held.
func (s *SignIns) startWindow() {
	for key, entry := range s.entries {
		if entry.act.Count == entry.written {
			delete(s.entries, key)
		}
	}
}

// entry returns the entry of a failure, and makes it if there is none. s.mu is held.
func (s *SignIns) entry(key signInKey, requestID string, now time.Time) (entry *signInEntry, isNew bool) {
	if entry = s.entries[key]; entry != nil {
		return entry, false
	}
	if len(s.entries) >= maxSignInEntries {
		key = signInKey{otherAddresses, "any", key.credential}
		if entry = s.entries[key]; entry != nil {
			return entry, false
		}
	}
	entry = &signInEntry{act: audit.Entry{ID: failure.NewID(), At: now.UTC().Truncate(time.Millisecond),
		Address: key.address, RequestID: requestID, Action: key.action, Target: "sign-in", Status: http.StatusForbidden}}
	s.entries[key] = entry
	return entry, true
}

// refuse counts a request with a wrong operator token and returns its refusal: 403, or 429 if
// the address has sent too many. A valid token is never refused, so that an attacker cannot
// lock out operators behind the same address.
func (s *SignIns) refuse(r *http.Request, rates *addressRates) *Refusal {
	wait := s.fail(r, operatorToken, rates)
	if wait == 0 {
		return Refuse(Forbidden, "this token is not among the valid ones")
	}
	return &Refusal{Reason: TooManyRequests, RetryAfter: time.Duration(math.Ceil(wait.Seconds())) * time.Second,
		Detail: "this address has sent too many wrong tokens"}
}

// Run writes the entries of the audit log until ctx ends, and once more then.
func (s *SignIns) Run(ctx context.Context) {
	remove := time.NewTicker(signInWindow)
	defer remove.Stop()
	var flush <-chan time.Time // nil while there is nothing to write
	var writes, removals outage.Outage
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-remove.C:
			removals.Record(s.log, s.removeOld(ctx), "cannot remove old failed sign-ins from the audit log; trying again every hour",
				"old failed sign-ins are removed from the audit log again")
			continue
		case <-s.grown:
			if flush == nil {
				flush = time.After(signInFlush)
			}
			continue
		case <-flush:
		}
		flush = nil
		err := s.flush(context.WithoutCancel(ctx))
		if err != nil {
			flush = time.After(signInFlush)
		}
		writes.Record(s.log, err, "cannot write failed sign-ins to the audit log; they are kept in memory and written later",
			"failed sign-ins are written to the audit log again")
	}
}

func (s *SignIns) removeOld(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	now := s.now()
	if err := s.acts.CheckClock(ctx, now); err != nil {
		return err
	}
	return s.acts.RemoveSignIns(ctx, now.Add(-signInRetention))
}

// flush writes the entries whose counts have grown. After an error the rest is written by the
// next call.
func (s *SignIns) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	for entry, act := range s.unwritten() {
		if err := s.acts.CountAct(ctx, act); err != nil {
			return err
		}
		s.mu.Lock()
		entry.written = act.Count
		s.mu.Unlock()
	}
	return nil
}

// unwritten returns copies of the entries whose counts have grown.
func (s *SignIns) unwritten() map[*signInEntry]audit.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	acts := make(map[*signInEntry]audit.Entry)
	for _, entry := range s.entries {
		if entry.act.Count > entry.written {
			acts[entry] = entry.act
		}
	}
	return acts
}
