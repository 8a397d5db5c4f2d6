package main

import (
	"cmp"
	"slices"
	"time"
)

// record is the result of one request.
type record struct {
	due    time.Duration // since the start of the run
	took   time.Duration // from due to the answer
	late   time.Duration // from due until it was sent: the client was late or no connection was free
	kind   uint8         // of the request
	status int16         // of the answer; 0: the connection broke
	wrong  bool          // the answer is wrong
}

func (r *record) end() time.Duration { return r.due + r.took }

// records are the records of a run.
type records []record

// within returns the records of requests that were due in [from, to).
func (rs records) within(from, to time.Duration) records {
	return rs.where(func(r *record) bool { return r.due >= from && r.due < to })
}

// answered returns the records with one of the given statuses.
func (rs records) answered(status ...int) records {
	return rs.where(func(r *record) bool { return slices.Contains(status, int(r.status)) })
}

func (rs records) where(keep func(*record) bool) records {
	var out records
	for i := range rs {
		if keep(&rs[i]) {
			out = append(out, rs[i])
		}
	}
	return out
}

func (rs records) wrong() (n int) {
	for i := range rs {
		if rs[i].wrong {
			n++
		}
	}
	return n
}

// statuses returns the number of records by status.
func (rs records) statuses() map[int]int {
	out := make(map[int]int)
	for i := range rs {
		out[int(rs[i].status)]++
	}
	return out
}

// quantile returns the exact q-quantile of the times from due to the answer.
func (rs records) quantile(q float64) time.Duration {
	return rs.quantileOf(q, func(r *record) time.Duration { return r.took })
}

// onceSent is like quantile, for the times from sending to the answer.
func (rs records) onceSent(q float64) time.Duration {
	return rs.quantileOf(q, func(r *record) time.Duration { return r.took - r.late })
}

func (rs records) quantileOf(q float64, of func(*record) time.Duration) time.Duration {
	if len(rs) == 0 {
		return 0
	}
	all := make([]time.Duration, len(rs))
	for i := range rs {
		all[i] = of(&rs[i])
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

// window is the resolution of recovered.
const window = 100 * time.Millisecond

// recovered returns the time from after until all was normal again: for the second that
// follows, all requests had status 200 and the median of each window was at most normal. It
// returns a negative time if that never was so.
func (rs records) recovered(after, normal time.Duration) time.Duration {
	sorted := slices.Clone(rs)
	slices.SortFunc(sorted, func(a, b record) int { return cmp.Compare(a.due, b.due) })
	begin, _ := slices.BinarySearchFunc(sorted, after, func(r record, at time.Duration) int { return cmp.Compare(r.due, at) })
	sorted = sorted[begin:]
	const windows = int(time.Second / window)
	good, from := 0, after
	for len(sorted) > 0 {
		n := 0
		for n < len(sorted) && sorted[n].due < from+window {
			n++
		}
		well := n > 0 && sorted[:n].quantile(.5) <= normal
		for i := range sorted[:n] {
			well = well && sorted[i].status == 200 && !sorted[i].wrong
		}
		good++
		if !well {
			good = 0
		}
		from += window
		if good == windows {
			return from - after - time.Duration(windows)*window
		}
		sorted = sorted[n:]
	}
	return -1
}
