package outbox

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"gateway/internal/insights"
	"gateway/internal/pgtest"
	"gateway/internal/predict"
	"gateway/internal/store"
)

var (
	modelSteps = flag.Int("steps", 2000, "how many random steps the model test takes with each database")
	modelSeed  = flag.Uint64("seed", 0, "the episode that the model test begins with")
)

// episodeSteps is how many steps an episode has: it begins with an empty folder
// and ends with a check of every row.
const episodeSteps = 500

// TestModel takes random steps with an outbox and holds it to a model: in the end
// every acknowledged row is in the ledger once, or it was reported as dropped or
// damaged. "make model" takes a million steps.
func TestModel(t *testing.T) {
	for _, database := range []struct {
		name string
		open func(*testing.T) modelLedger
	}{
		{"memory", func(*testing.T) modelLedger { return newMemoryLedger() }},
		{"sqlite", func(t *testing.T) modelLedger { return openSQLiteLedger(t) }},
		{"postgres", func(t *testing.T) modelLedger { return openPostgresLedger(t) }},
	} {
		t.Run(database.name, func(t *testing.T) {
			ledger := database.open(t)
			start := time.Now()
			counts := map[string]int{}
			steps := 0
			for episode := *modelSeed; steps < *modelSteps; episode++ {
				if steps > 0 && steps%100_000 == 0 {
					t.Logf("%d steps in %v", steps, time.Since(start).Round(time.Second))
				}
				steps += runEpisode(t, ledger, episode, min(episodeSteps, *modelSteps-steps), counts)
				if t.Failed() {
					t.Fatalf("episode %d failed after %d steps and %v; run it alone with -run 'TestModel/%s' -seed %d -steps %d",
						episode, steps, time.Since(start).Round(time.Millisecond), database.name, episode, episodeSteps)
				}
			}
			t.Logf("%d steps in %v: %v", steps, time.Since(start).Round(time.Millisecond), counts)
		})
	}
}

// step is something that may happen to an outbox, and how often it does.
type step struct {
	name   string
	weight int
	take   func(*world)
}

var possibleSteps = []step{
	{"append one", 30, func(w *world) { w.append(1) }},
	{"append many", 12, func(w *world) { w.append(2 + w.rng.IntN(20)) }},
	{"drain", 20, (*world).drainSome},
	{"second", 8, (*world).second},
	{"quiet minute", 5, (*world).quiet},
	{"stop and start", 4, (*world).stopAndStart},
	{"kill and start", 5, (*world).killAndStart},
	{"power cut and start", 2, (*world).powerCut},
	{"outage", 3, func(w *world) { w.ledger.outage = outages[w.rng.IntN(len(outages))] }},
	{"recovery", 4, func(w *world) { w.ledger.outage = outageNone }},
	{"poison", 2, func(w *world) { w.poisoning = !w.poisoning }},
	{"move refused back", 2, (*world).moveRefusedBack},
	{"move damaged back", 1, (*world).moveDamagedBack},
	{"damage", 1, (*world).damageSegment},
	{"old version", 1, (*world).runOldVersion},
	{"strange files", 1, (*world).leaveStrangeFiles},
	{"outcome", 2, (*world).recordOutcome},
}

// runEpisode takes steps from an empty folder on, and checks every row in the end.
func runEpisode(t *testing.T, ledger modelLedger, seed uint64, steps int, counts map[string]int) int {
	w := newWorld(t, ledger, seed)
	defer w.end()
	total := 0
	for _, s := range possibleSteps {
		total += s.weight
	}
	w.start()
	for range steps {
		pick := w.rng.IntN(total)
		for _, s := range possibleSteps {
			if pick -= s.weight; pick < 0 {
				w.note("%s", s.name)
				counts[s.name]++
				s.take(w)
				break
			}
		}
		if t.Failed() {
			break
		}
	}
	w.check(counts)
	if t.Failed() {
		t.Logf("the last steps:\n%s", w.history())
		t.Logf("the log:\n%s", w.lastLogs())
	}
	return steps
}

// modelLedger is the database of a model test. It can be read back.
type modelLedger interface {
	predict.Ledger
	// flush is outbox.Options.Flush, or nil.
	flush() func(context.Context) error
	// rows returns the ids of the predictions of one model, with repetitions.
	rows(t *testing.T, model string) []string
	// clear removes all predictions.
	clear(t *testing.T)
}

// memoryLedger can lose what was not flushed.
type memoryLedger struct{ *database }

func newMemoryLedger() *memoryLedger { return &memoryLedger{newDatabase()} }

func (m *memoryLedger) flush() func(context.Context) error { return m.Flush }

func (m *memoryLedger) rows(_ *testing.T, model string) (ids []string) {
	for _, p := range m.Predictions() {
		if p.Model == model {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func (m *memoryLedger) clear(*testing.T) { *m = *newMemoryLedger() }

// losePower leaves what was flushed.
func (m *memoryLedger) losePower() {
	kept := m.Flushed()
	fresh := newMemoryLedger()
	if err := fresh.Append(context.Background(), kept); err != nil {
		panic(err)
	}
	fresh.flushed = len(kept)
	*m = *fresh
}

// storeLedger is a real database.
type storeLedger struct {
	*store.Line
	inside bool
}

func openSQLiteLedger(t testing.TB) *storeLedger {
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return &storeLedger{openBank(t, s), true}
}

func openPostgresLedger(t testing.TB) *storeLedger {
	config, err := pgx.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenPostgres(t.Context(), stdlib.GetConnector(*config), store.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return &storeLedger{openBank(t, s), false}
}

func openBank(t testing.TB, s *store.Store) *store.Line {
	line, err := s.OpenLine(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func closeStore(t testing.TB, s *store.Store) {
	if err := s.Close(); err != nil {
		t.Errorf("close the store: %v", err)
	}
}

func (s *storeLedger) flush() func(context.Context) error {
	if s.inside {
		return s.Flush
	}
	return nil
}

func (s *storeLedger) rows(t *testing.T, model string) (ids []string) {
	const limit = 10_000 // what RecentPredictions looks among
	found, err := s.RecentPredictions(context.Background(), model, limit)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == limit {
		t.Fatalf("the episode has %d rows or more, which are too many to read back", limit)
	}
	for _, p := range found {
		ids = append(ids, p.ID)
	}
	return ids
}

// episodeLedger is the ledger of one episode: the sums of earlier ones outlast their
// predictions.
type episodeLedger struct {
	*storeLedger
	model string
}

func (e episodeLedger) Sums(ctx context.Context, _ string, from, to time.Time) ([]insights.Sum, error) {
	return e.storeLedger.Sums(ctx, e.model, from, to)
}

func (s *storeLedger) clear(t *testing.T) {
	for {
		removed, err := s.RemovePredictions(context.Background(), noon.AddDate(100, 0, 0), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if removed == 0 {
			return
		}
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }

func episodeName(seed uint64) string { return fmt.Sprintf("episode-%d", seed) }
