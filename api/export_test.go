package api

import "golang.org/x/time/rate"

// LimitFailures sets how many wrong tokens an address may send, for good.
func (s *SignIns) LimitFailures(atOnce int) { s.perSecond, s.atOnce = rate.Limit(0), atOnce }
