package modelswap

import "errors"

// ErrStale means that another process changed the record since it was read.
// Nothing was written.
var ErrStale = errors.New("another process has changed the record meanwhile")
