package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gateway/api"
	"gateway/internal/overload"
)

// drainListener is a TCP listener that can be stopped without dropping
// anybody. Closing a listener resets the connections that the kernel has
// accepted and the process has not yet fetched; and a server that counts its
// connections does not know of one between fetching and counting. So this
// listener fetches what is queued before it stops, and counts by itself.
type drainListener struct {
	tcp     *net.TCPListener
	fetched chan net.Conn
	idle    chan struct{} // closed when fetch has ended
	stopped chan struct{} // closed when nothing more will be handed over
	stop    sync.Once
	most    int64 // open connections; 0: any number

	clients *overload.Budget // of those connections, by network
	trusted []netip.Prefix   // proxies, which have the connections of many clients

	turned   atomic.Int64 // away, because there were too many
	stopping atomic.Bool
	draining atomic.Bool
	early    atomic.Int64 // open connections from before draining
	late     atomic.Int64 // and from after
	streams  atomic.Int64 // requests of HTTP/2 that are handled
}

// listen opens a listener on a TCP address, with so many connections at most.
// One client has at most half of them, but trusted proxies may have all.
func listen(addr string, most int64, trusted []netip.Prefix) (*drainListener, error) {
	// Multipath TCP, Go's default, does not take the filter that takeQueued sets.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	d := &drainListener{tcp: l.(*net.TCPListener), most: most, trusted: trusted, fetched: make(chan net.Conn),
		clients: overload.NewBudget(most), idle: make(chan struct{}), stopped: make(chan struct{})}
	go d.fetch()
	return d, nil
}

func (d *drainListener) fetch() {
	defer close(d.idle)
	for {
		conn, err := d.tcp.Accept()
		switch {
		case err == nil:
			d.hand(conn)
		case d.stopping.Load():
			return
		default:
			time.Sleep(5 * time.Millisecond) // out of file handles, say: connections wait in the kernel
		}
	}
}

// open is how many connections there are.
func (d *drainListener) open() int64 { return d.early.Load() + d.late.Load() }

// hand counts a connection and waits until the server takes it.
func (d *drainListener) hand(conn net.Conn) {
	network := api.Network(conn.RemoteAddr().String())
	if !d.admit(conn.RemoteAddr().String(), network) {
		d.turned.Add(1)
		turnAway(conn)
		return
	}
	count := &d.early
	if d.draining.Load() {
		count = &d.late
	}
	count.Add(1)
	d.fetched <- &countedConn{TCPConn: conn.(*net.TCPConn), l: d, count: count, network: network}
}

// admit reports whether a client may have another connection, and charges it.
// Proxies may have all connections: the trusted, and those on this machine.
func (d *drainListener) admit(remote, network string) bool {
	if d.most <= 0 {
		return true
	}
	if d.open()+d.streams.Load() >= d.most {
		return false
	}
	if d.fromProxy(remote) {
		d.clients.Charge(network, 1)
		return true
	}
	return d.clients.Take(network, 1) == nil
}

// release gives back what admit has charged.
func (d *drainListener) release(network string) {
	if d.most > 0 {
		d.clients.Give(network, 1)
	}
}

func (d *drainListener) fromProxy(remote string) bool {
	endpoint, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	address := endpoint.Addr().Unmap().WithZone("")
	return address.IsLoopback() || slices.ContainsFunc(d.trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}

// countedConn takes itself off the counts when it is closed.
type countedConn struct {
	*net.TCPConn
	l       *drainListener
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
func (d *drainListener) Accept() (net.Conn, error) {
	select {
	case conn := <-d.fetched:
		return conn, nil
	case <-d.stopped:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (d *drainListener) Addr() net.Addr { return d.tcp.Addr() }

// Close implements net.Listener. The server calls it once nobody is left.
func (d *drainListener) Close() error {
	d.stop.Do(func() {
		d.stopping.Store(true)
		_ = d.tcp.Close()
		close(d.stopped)
	})
	return nil
}

// url is where a client on this machine reaches the listener.
func (d *drainListener) url() string {
	bound := d.tcp.Addr().(*net.TCPAddr)
	host := bound.IP.String()
	if bound.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(bound.Port))
}

// drain waits until the connections that are open now have ended, which those
// that are asked to do after their next answer, or until ctx ends. New ones go
// on being served meanwhile.
func (d *drainListener) drain(ctx context.Context) {
	d.draining.Store(true)
	waitUntil(ctx, func() bool { return d.early.Load() == 0 })
}

// stopListening refuses connections from now on, and hands over those that
// wait in the kernel.
func (d *drainListener) stopListening() {
	d.stop.Do(func() {
		d.stopping.Store(true)
		queued := takeQueued(d.tcp)
		_ = d.tcp.Close()
		<-d.idle
		for _, conn := range queued {
			d.hand(conn)
		}
		close(d.stopped)
	})
}

// settle waits until the connections that came while draining have ended, or
// until ctx ends. Each of them has one request.
func (d *drainListener) settle(ctx context.Context) {
	waitUntil(ctx, func() bool { return d.late.Load() == 0 })
}

// waitUntil looks again and again until done, or until ctx ends.
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
