//go:build !unix

package wire

import "net"

// peeker cannot look here: a connection that its server has closed fails when
// it is used.
type peeker struct{}

func newPeeker(net.Conn) peeker { return peeker{} }

func (peeker) readable() bool { return false }
