package httpserver

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gateway/internal/admission"
)

// Listener is a TCP listener that can stop without resetting a connection.
// Closing an ordinary listener resets the connections that the kernel has
// established and the process has not accepted, and a server that counts its
// connections misses one between accepting and counting. This listener accepts
// what is queued before it stops, and counts connections itself.
type Listener struct {
	tcp      *net.TCPListener
	accepted chan net.Conn
	idle     chan struct{} // closed when the accept loop has ended
	stopped  chan struct{} // closed when no further connection is handed over
	stop     sync.Once
	max      int64 // maximum number of open connections; 0: no bound

	clients *admission.Budget // connections of each network
	trusted []netip.Prefix    // proxies, whose connections are those of many clients

	refused  atomic.Int64 // connections that were refused because of the bound
	stopping atomic.Bool
	draining atomic.Bool
	early    atomic.Int64 // open connections that were accepted before draining
	late     atomic.Int64 // open connections that were accepted while draining
	streams  atomic.Int64 // requests of HTTP/2 that are being handled
}

// Listen listens on a TCP address. At most maxConnections connections are open; 0 means no
// bound. One client may have half of them; trusted proxies and clients on this machine may
// have all.
func Listen(addr string, maxConnections int64, trusted []netip.Prefix) (*Listener, error) {
	// Multipath TCP, Go's default, does not support the filter that takeQueued sets.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	d := &Listener{tcp: l.(*net.TCPListener), max: maxConnections, trusted: trusted, accepted: make(chan net.Conn),
		clients: admission.NewBudget(maxConnections), idle: make(chan struct{}), stopped: make(chan struct{})}
	go d.acceptAll()
	return d, nil
}

// acceptRetry is the pause after a failed accept, for example for lack of file descriptors.
// Connections wait in the kernel meanwhile.
const acceptRetry = 5 * time.Millisecond

func (l *Listener) acceptAll() {
	defer close(l.idle)
	for {
		conn, err := l.tcp.Accept()
		switch {
		case err == nil:
			l.hand(conn)
		case l.stopping.Load():
			return
		default:
			time.Sleep(acceptRetry)
		}
	}
}

// Open returns the number of open connections.
func (l *Listener) Open() int64 { return l.early.Load() + l.late.Load() }

// Refused returns how many connections were refused because there were too many.
func (l *Listener) Refused() int64 { return l.refused.Load() }

// hand counts a connection and waits until the server takes it.
func (l *Listener) hand(conn net.Conn) {
	network := admission.Network(conn.RemoteAddr().String())
	if !l.admit(conn.RemoteAddr().String(), network) {
		l.refused.Add(1)
		rejectConn(conn)
		return
	}
	count := &l.early
	if l.draining.Load() {
		count = &l.late
	}
	count.Add(1)
	l.accepted <- &countedConn{TCPConn: conn.(*net.TCPConn), l: l, count: count, network: network}
}

// admit reports whether a client may have another connection, and charges it.
func (l *Listener) admit(remote, network string) bool {
	if l.max <= 0 {
		return true
	}
	if l.Open()+l.streams.Load() >= l.max {
		return false
	}
	if l.fromProxy(remote) {
		l.clients.Charge(network, 1)
		return true
	}
	return l.clients.Take(network, 1) == nil
}

// release returns what admit has charged.
func (l *Listener) release(network string) {
	if l.max > 0 {
		l.clients.Give(network, 1)
	}
}

// fromProxy reports whether a connection may be that of a proxy: one on this
// machine, or a trusted one.
func (l *Listener) fromProxy(remote string) bool {
	endpoint, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	address := endpoint.Addr().Unmap().WithZone("")
	return address.IsLoopback() || slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}

// countedConn is subtracted from the counts when it is closed.
type countedConn struct {
	*net.TCPConn
	l       *Listener
	count   *atomic.Int64
	network string
	once    sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.once.Do(func() {
		c.count.Add(-1)
		c.l.release(c.network)
	})
	return c.TCPConn.Close()
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.stopped:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.stop.Do(func() {
		l.stopping.Store(true)
		_ = l.tcp.Close()
		close(l.stopped)
	})
	return nil
}

// URL returns the address by which a client on this machine reaches the listener.
func (l *Listener) URL() string {
	bound := l.tcp.Addr().(*net.TCPAddr)
	host := bound.IP.String()
	if bound.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(bound.Port))
}

// drain waits until the connections that are open now have been closed, or until
// ctx ends. New connections are accepted meanwhile.
func (l *Listener) drain(ctx context.Context) {
	l.draining.Store(true)
	waitUntil(ctx, func() bool { return l.early.Load() == 0 })
}

// stopListening refuses further connections, and hands over those that the
// kernel has established.
func (l *Listener) stopListening() {
	l.stop.Do(func() {
		l.stopping.Store(true)
		queued := takeQueued(l.tcp)
		_ = l.tcp.Close()
		<-l.idle
		for _, conn := range queued {
			l.hand(conn)
		}
		close(l.stopped)
	})
}

// settle waits until the connections that were accepted while draining have been
// closed, or until ctx ends. Each of them has one request.
func (l *Listener) settle(ctx context.Context) {
	waitUntil(ctx, func() bool { return l.late.Load() == 0 })
}

// waitUntil polls done until it reports true, or until ctx ends.
func waitUntil(ctx context.Context, done func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
