package export

import "time"

// Policy bounds what apps contribute to a model, and keeps what they
// contributed from judging it.
//
// A row is settled where apps cannot have decided it: its label was imported, an
// outcome confirmed the imported label, or the outcome that set the label has
// passed its probation. Of the other rows, each caller's and each hour's are
// capped, as a share of the settled ones. Rows beyond a cap are left out, the
// last ones in the order of the hash first; where a label was imported, the row
// stays with that label.
//
// Models are judged by the held-out rows of imported customers, by their settled
// labels. A customer whose imported label an outcome contradicts abstains, for
// at most a quarter of each label's rows; beyond that the imported label counts.
// Where fewer than MinJudged rows, or MinOfLabel of either label, are left to
// judge by, the customers are the apps' own: all rows count as they are.
type Policy struct {
	KnownOnly bool          // leave out customers that were made from predictions
	JudgeAll  bool          // judge by every held-out row, as it is
	Now       time.Time     // from which ages count
	Probation time.Duration // of an outcome; zero: it never ends
}

// The fewest held-out rows that say which of two models is the better one.
const (
	MinJudged  = 30
	MinOfLabel = 5 // of each label
)

// Caps of what has not settled, as shares of the settled rows. Some hundred rows
// are always let in, or else a small set could not grow. An hour may have more
// than a caller, so that one caller does not use up the hour of the others.
const (
	callerOneIn, minCallerCap = 10, 100
	hourOneIn, minHourCap     = 5, 200
)

// abstainOneIn is the share of each label's rows to judge by that may abstain.
const abstainOneIn = 4

// CallerCap is the maximum number of unsettled rows that one caller contributes
// to data with the given number of settled rows.
func CallerCap(settled int64) int64 { return max(minCallerCap, settled/callerOneIn) }

// Reasons why a row, or the label that an outcome gave it, is left out.
const (
	madeByApps = "made_by_apps"
	callerCap  = "caller_cap"
	momentCap  = "moment_cap"
)

// tally is what has to be known of all rows before the first is written.
type tally struct {
	settled int64
	judges  [2]int64 // held-out rows to judge by, by label
}

// add counts a row.
func (t *tally) add(p *Policy, r *row, held bool) {
	settled := p.hasSettled(r)
	if settled && !(r.made && p.KnownOnly) {
		t.settled++
	}
	switch {
	case !held || r.made:
	case settled:
		t.judges[r.label()]++
	case r.imported >= 0:
		t.judges[r.imported]++
	}
}

func (t *tally) tooFew() bool {
	return t.judges[0] < MinOfLabel || t.judges[1] < MinOfLabel || t.judges[0]+t.judges[1] < MinJudged
}

// hasSettled reports whether apps cannot have decided the row's label.
func (p *Policy) hasSettled(r *row) bool {
	if r.outcome == 0 || r.labelledAt == 0 || !r.made && r.imported == r.label() {
		return true
	}
	return p.Probation > 0 && r.labelledAt <= p.Now.Add(-p.Probation).UnixMicro()
}

// side is where a row goes.
type side int

const (
	toTrain side = iota
	toHoldout
	toNeither // held out, and not judged by
)

// ruling applies a policy to rows that come in the order of the hash.
type ruling struct {
	*Policy
	tally
	open    bool // no caps, and all held-out rows judge
	callers map[string]int64
	hours   map[int64]int64
	abstain [2]int64
}

func newRuling(p *Policy, t tally) *ruling {
	return &ruling{Policy: p, tally: t, open: t.tooFew(), callers: map[string]int64{}, hours: map[int64]int64{}}
}

// decide says where a row goes. It may put the imported label back. skipped is
// why the row is left out, or else leftOut why its outcome is.
func (u *ruling) decide(r *row, held bool) (to side, skipped, leftOut string) {
	if r.made && u.KnownOnly {
		return 0, madeByApps, ""
	}
	settled := u.hasSettled(r)
	if !settled && !u.open {
		if reason := u.admit(r); reason != "" {
			if r.made || r.imported < 0 {
				return 0, reason, ""
			}
			r.restore()
			r.outcome = 0
			settled, leftOut = true, reason
		}
	}
	switch {
	case !held:
		return toTrain, "", leftOut
	case u.open, u.JudgeAll, settled && !r.made:
		return toHoldout, "", leftOut
	case r.made, r.imported < 0, u.abstains(r.imported):
		return toNeither, "", ""
	}
	r.restore()
	return toHoldout, "", ""
}

// admit counts a row that is not settled towards its caps, or says which of them
// it exceeds.
func (u *ruling) admit(r *row) (exceeded string) {
	const hourMicros = int64(time.Hour / time.Microsecond)
	hour := r.labelledAt / hourMicros
	switch {
	case u.callers[string(r.caller)] >= CallerCap(u.settled):
		return callerCap
	case u.hours[hour] >= max(minHourCap, u.settled/hourOneIn):
		return momentCap
	}
	u.callers[string(r.caller)]++
	u.hours[hour]++
	return ""
}

// abstains counts a row with this imported label among those that abstain, if
// there is room.
func (u *ruling) abstains(label int) bool {
	if u.abstain[label] >= u.judges[label]/abstainOneIn {
		return false
	}
	u.abstain[label]++
	return true
}
