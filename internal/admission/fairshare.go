package admission

import "time"

// fairShare is what one caller holds. All callers without a key count as one caller, because
// their addresses may be those of proxies.
type fairShare struct {
	anonymous bool
	taken     int // places
	seen      time.Time
}

// fairShares are the shares of the present callers: those that hold a place, or have asked for
// one within callerHere. Refused callers count too. Otherwise a caller that holds all places
// would be the only one.
type fairShares struct {
	all   map[string]*fairShare
	swept time.Time
}

const callerHere = time.Second

func newFairShares() fairShares { return fairShares{all: make(map[string]*fairShare)} }

// of returns the share of a key, and notes that it has asked.
func (s *fairShares) of(key string, now time.Time) *fairShare {
	if now.Sub(s.swept) >= callerHere {
		s.sweep(now)
	}
	one := s.all[key]
	if one == nil {
		one = &fairShare{anonymous: key == ""}
		s.all[key] = one
	}
	one.seen = now
	return one
}

// sweep removes the callers that are no longer present, so that old keys do not stay.
func (s *fairShares) sweep(now time.Time) {
	s.swept = now
	for key, one := range s.all {
		if one.taken == 0 && now.Sub(one.seen) >= callerHere {
			delete(s.all, key)
		}
	}
}

func (s *fairShares) count() int { return max(1, len(s.all)) }

// several reports whether callers are distinguished: there is more than one, or the
// only one has a key.
func (s *fairShares) several() bool {
	_, anonymous := s.all[""]
	return len(s.all) > 1 || (len(s.all) == 1 && !anonymous)
}

// Kinds of callers, for metrics. The names of keys would be too many labels.
const (
	withoutKey  = "anonymous"
	withinShare = "within_share"
	beyondShare = "over_share"
)

// kindOf returns the kind of a caller, while taken places are in use.
func (s *fairShares) kindOf(one *fairShare, taken int) string {
	switch {
	case one.anonymous:
		return withoutKey
	case one.taken*max(2, s.count()) > taken:
		return beyondShare
	}
	return withinShare
}
