//go:build !unix

package wire

import "net"

// peeker cannot examine connections on this platform. A request on a connection that
// the server has closed fails.
type peeker struct{}

func newPeeker(net.Conn) peeker { return peeker{} }

func (peeker) readable() bool { return false }
