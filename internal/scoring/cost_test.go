package scoring

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// learns observes calls that take base and perRow for each row, give or take a
// share.
func (c *cost) learns(calls int, base, perRow time.Duration, spread float64, rows func() int) {
	begun := c.since
	random := rand.New(rand.NewPCG(1, 2))
	for range calls {
		n := rows()
		took := float64(base) + float64(perRow)*float64(n)
		last := time.Duration(took * (1 + spread*(2*random.Float64()-1)))
		c.observe(n, begun, last)
		begun = begun.Add(last)
	}
}

func upTo(most int) func() int {
	random := rand.New(rand.NewPCG(3, 4))
	return func() int { return 1 + random.IntN(most) }
}

func TestWhatACallCostsIsLearned(t *testing.T) {
	for _, tt := range []struct{ base, perRow time.Duration }{
		{5 * time.Millisecond, 0}, {5 * time.Millisecond, time.Millisecond}, {0, 3 * time.Millisecond}, {2 * time.Millisecond, 5 * time.Millisecond},
	} {
		var c cost
		c.learns(200, tt.base, tt.perRow, 0, upTo(20))
		near := func(seconds float64, want time.Duration) bool { return math.Abs(seconds-want.Seconds()) < 1e-6 }
		if !near(c.base, tt.base) || !near(c.perRow, tt.perRow) {
			t.Errorf("%s and %s a row: learned %g and %g", tt.base, tt.perRow, c.base, c.perRow)
		}
		// Another model comes, and calls that vary.
		c.learns(1500, tt.perRow+time.Millisecond, tt.base, .3, upTo(20))
		if got, want := c.perRow, tt.base.Seconds(); math.Abs(got-want) > .2*want+1e-4 {
			t.Errorf("then a row took %s: learned %g", tt.base, got)
		}
	}
}

func TestCallsThatAreAllAlikeTeachNothingOfRows(t *testing.T) {
	var c cost
	c.learns(500, 5*time.Millisecond, time.Millisecond, 0, func() int { return 8 })
	if c.perRow != 0 {
		t.Errorf("a row takes %g, of which nothing is known", c.perRow)
	}
	c.learns(200, 5*time.Millisecond, time.Millisecond, 0, upTo(20))
	c.learns(2000, 5*time.Millisecond, time.Millisecond, .3, func() int { return 8 })
	if math.Abs(c.perRow-.001) > .0005 {
		t.Errorf("a row takes %g, and it was .001 when there was something to learn", c.perRow)
	}
}

func TestAnotherModelIsLearnedWithinFewCalls(t *testing.T) {
	var c cost
	c.learns(1000, 5*time.Millisecond, 0, .2, func() int { return 100 })
	c.learns(1000, 5*time.Millisecond, 0, .2, upTo(200))
	c.learns(12, 2*time.Millisecond, 5*time.Millisecond, .1, upTo(64))
	if math.Abs(c.perRow-.005) > .001 {
		t.Errorf("a row takes %g, want .005", c.perRow)
	}
	// Calls that a stall held up are forgotten nearly as soon.
	c.learns(6, 2*time.Second, 0, 0, upTo(64))
	c.learns(20, 2*time.Millisecond, 5*time.Millisecond, .1, upTo(64))
	if math.Abs(c.perRow-.005) > .001 {
		t.Errorf("after a stall a row takes %g, want .005", c.perRow)
	}
}

// A stall makes calls long whatever their rows. Where rows cost next to nothing
// they do so during and after it.
func TestAStallTeachesNothingOfRows(t *testing.T) {
	for _, inFlight := range []int{1, 2, 3, 4, 5, 8, 64} {
		for _, before := range []int{0, 1, 2, 3, 5, 10, 200} {
			var c cost
			c.learns(before, time.Millisecond, 5*time.Microsecond, .5, upTo(200))
			worst, now, rows := c.perRow, c.since.Add(time.Hour), upTo(200)
			observe := func(begun time.Time, n int, took time.Duration) {
				c.observe(n, begun, took)
				worst = max(worst, c.perRow)
			}
			for range 5 {
				for i := range inFlight {
					began := time.Duration(i) * time.Microsecond
					observe(now.Add(began), rows(), 300*time.Millisecond-began)
				}
				now = now.Add(300 * time.Millisecond)
				for range 10 {
					n := rows()
					took := time.Millisecond + time.Duration(n)*5*time.Microsecond
					observe(now, n, took)
					now = now.Add(took)
				}
			}
			if worst >= minRow {
				t.Errorf("%d calls in flight, after %d: a row was said to take %g", inFlight, before, worst)
			}
		}
	}
}

func TestTheSizeOfACall(t *testing.T) {
	const most = 256
	for _, tt := range []struct {
		name         string
		base, perRow float64
		rows, slots  int
		want         int
	}{
		{"a row costs next to nothing", .005, .0002, 100, 4, most},
		{"its share", .005, .001, 62, 4, 16},
		{"not less than is worth a call", .005, .001, 8, 4, 5},
		{"not more than is worth waiting for, in seven rounds", .005, .001, 1000, 4, 36},
		{"rows alone cost", 0, .005, 6, 4, 2},
		{"one slot", .005, .001, 20, 1, 20},
		{"within the bound", .5, .001, 5000, 4, most},
		{"no request is here", .0001, .005, 0, 4, 1},
	} {
		c := cost{base: tt.base, quartile: tt.base, perRow: tt.perRow, known: true}
		if got := c.size(tt.rows, tt.slots, most); got != tt.want {
			t.Errorf("%s: %d rows, want %d", tt.name, got, tt.want)
		}
	}
}

// Calls of one size say nothing of rows. If these took all that is here, they would
// never say anything.
func TestWhereNothingIsKnownCallsHaveTheirShare(t *testing.T) {
	var c cost
	c.learns(100, 2*time.Millisecond, 5*time.Millisecond, .1, func() int { return 100 })
	if got := c.size(100, 4, 256); got != 25 {
		t.Errorf("%d rows, want 25", got)
	}
	if got := c.size(3, 4, 256); got != smallRows {
		t.Errorf("%d rows where hardly anyone is here, want %d", got, smallRows)
	}
}

// Calls that wait for a server are no reason for larger ones, which wait longer.
func TestWaitingAtTheEndpointIsNotTakenForTheBaseOfACall(t *testing.T) {
	var c cost
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		n := 1 + random.IntN(12)
		took := 2*time.Millisecond + time.Duration(n)*5*time.Millisecond
		if random.IntN(2) == 0 {
			took += time.Duration(random.IntN(60)) * time.Millisecond
		}
		c.observe(n, c.since, took)
	}
	if c.base < .012 {
		t.Errorf("the base looks like %g, so that this test says nothing", c.base)
	}
	if got := c.size(1000, 4, 256); got > 10 {
		t.Errorf("a call has %d rows, want 8 at most, or so", got)
	}
}
