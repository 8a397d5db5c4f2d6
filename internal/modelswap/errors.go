package modelswap

import "errors"

// ErrStale means that a renewal was saved by someone else in the meantime.
var ErrStale = errors.New("the renewal was changed by someone else")
