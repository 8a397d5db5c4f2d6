package export

import "time"

// Policy limits what apps contribute to a model, and keeps their contributions out of
// comparisons of models.
//
// A row is settled if apps cannot have decided its label: the label was imported, an
// outcome confirmed the imported label, or the outcome that set the label has passed its
// probation. Of the other rows, those of each caller and of each hour are capped, as a
// share of the settled ones. Rows beyond a cap are left out, the last ones in the order of
// the hash first. If a label was imported, the row stays with that label.
//
// Models are compared on the held-out rows of imported customers, with their settled
// labels. A customer whose imported label an outcome contradicts is left out of the
// comparison, for at most a quarter of each label's rows; beyond that the imported label
// is used. If fewer than MinJudged rows, or MinOfLabel of either label, are left for
// comparison, the customers are the apps' own, and all rows count as they are.
type Policy struct {
	KnownOnly bool          // leave out customers that were made from predictions
	JudgeAll  bool          // compare models on every held-out row, as it is
	Now       time.Time     // the time that ages are relative to
	Probation time.Duration // of an outcome; zero: it never ends
}

// The minimum numbers of held-out rows for a comparison of two models.
const (
	MinJudged  = 30
	MinOfLabel = 5 // of each label
)

// Caps of unsettled rows, as shares of the settled ones. A minimum of some
// hundred rows is always admitted, so that a small data set can grow. The cap of
// an hour is higher than that of a caller, so that one caller cannot use up the
// hour of the others.
const (
	callerOneIn, minCallerCap = 10, 100
	hourOneIn, minHourCap     = 5, 200
)

// abstainOneIn is the share of each label's rows that may be left out of a
// comparison.
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

// tally counts what must be known of all rows before the first is written.
type tally struct {
	settled int64
	judges  [2]int64 // held-out rows to compare on, by label
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
	toNeither // held out, and not compared on
)

// ruling applies a policy to rows that come in the order of the hash.
type ruling struct {
	*Policy
	tally
	open    bool // no caps, and models are compared on all held-out rows
	callers map[string]int64
	hours   map[int64]int64
	abstain [2]int64
}

func newRuling(p *Policy, t tally) *ruling {
	return &ruling{Policy: p, tally: t, open: t.tooFew(), callers: map[string]int64{}, hours: map[int64]int64{}}
}

// decide returns where a row goes. It may restore the imported label. skipped is
// the reason why the row is left out, or else leftOut the reason why its outcome
// is.
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

// admit counts an unsettled row towards its caps, or returns the cap that it
// exceeds.
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

// abstains counts a row with this imported label among those left out of the
// comparison, if the limit allows it.
func (u *ruling) abstains(label int) bool {
	if u.abstain[label] >= u.judges[label]/abstainOneIn {
		return false
	}
	u.abstain[label]++
	return true
}
