package modelswap

import "errors"

// ErrStale means that what a write is based on was changed by another process
// meanwhile. Nothing was written.
var ErrStale = errors.New("another process has changed the record meanwhile")
