package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gateway/internal/callctx"
	"gateway/internal/config"
	"gateway/internal/demo"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// SimulateOptions say what Simulate makes.
type SimulateOptions struct {
	Days     int
	Seed     uint64
	End      time.Time     // the days end there; zero: now
	Add      bool          // also where there are customers or predictions already
	Progress func(day int) // called when a day begins, counting from 1; may be nil
}

// SimulateReport counts what Simulate has made.
type SimulateReport struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Customers   int       `json:"customers"`
	Predictions int       `json:"predictions"`
	Outcomes    int       `json:"outcomes"` // reported
	Renewals    int       `json:"renewals"`
	Model       string    `json:"model"` // that serves at the end
}

// ErrNotEmpty means that a data dir has customers or predictions already.
var ErrNotEmpty = errors.New("the data dir has customers or predictions already")

// Simulate fills a data dir with the days before a time: customers, predictions,
// outcomes, renewals and what operators did. All of it goes through the services that a
// gateway has, with a clock that is set to each event. cfg must be for the platform
// local and the embedded database. When ctx ends, it stops between two events, and what
// was made until then stays.
func Simulate(ctx context.Context, cfg config.Config, o Options, so SimulateOptions) (report SimulateReport, err error) {
	if cfg.Platform != config.Local || cfg.DBSecretID != "" {
		return report, &config.Error{Err: errors.New("GATEWAY_PLATFORM, GATEWAY_DB_SECRET_ID: days can be simulated on the platform local with the embedded database alone")}
	}
	s, err := cfg.LoadSchema()
	if err != nil {
		return report, &config.Error{Err: err}
	}
	so.End = cmp.Or(so.End, time.Now()).UTC()
	report.From, report.To = so.End.AddDate(0, 0, -so.Days), so.End
	month, err := demo.NewMonth(s, so.Days, so.End, so.Seed)
	if err != nil {
		return report, &config.Error{Err: fmt.Errorf("GATEWAY_SCHEMA: %w", err)}
	}
	o.ForCommand, o.simulation = true, newSimulation(month, report.From)
	a, err := Open(ctx, simulatedConfig(cfg, report.From, so.Days), o)
	if err != nil {
		return report, err
	}
	r := &simulator{App: a, m: a.models[0], clock: o.simulation, month: month, options: so, report: report, reports: make(map[string][]predict.Outcome)}
	err = r.run(ctx)
	return r.report, err
}

// simulatedConfig are the settings with which the days are simulated. Training is quick,
// and drift starts a renewal.
func simulatedConfig(cfg config.Config, from time.Time, days int) config.Config {
	cfg.Addr, cfg.AdminAddr, cfg.AdminSecretID, cfg.APIKeysSecretID, cfg.Demo = "127.0.0.1:0", "", "", "", false
	cfg.Training.Algorithm, cfg.Training.Hyperparameters = "xgboost", map[string]string{"num_round": "60", "max_depth": "3", "eta": "0.2"}
	cfg.Gate, cfg.Retrain.Drift, cfg.Retrain.Outcomes, cfg.Retrain.Quality = "auc:-0.02", true, 0, ""
	due := from.Add(time.Duration(scheduledAt * float64(days) * float64(24*time.Hour)))
	cfg.Retrain.Schedule = fmt.Sprintf("%d %d %d * *", due.Minute(), due.Hour(), due.Day())
	cfg.Outbox.Policy = "refuse" // a full disk ends the simulation
	return cfg
}

// simulator runs a simulation.
type simulator struct {
	*App
	m       *Model
	clock   *simulation
	month   *demo.Month
	options SimulateOptions
	report  SimulateReport
	acts    []operatorAct   // that are still to come
	earlier map[string]bool // ids of renewals from before
	asked   string          // id of the renewal that an operator has asked for last
	drifted bool            // drift has started a renewal; what follows shows what it brought
	admin   operator
	days    int                          // that are done or have begun
	reports map[string][]predict.Outcome // that are not sent yet, by caller
}

// run simulates all days and closes the app.
func (r *simulator) run(ctx context.Context) (err error) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { r.signIns.Run(work) })
	failed := r.startServers()
	defer func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.ShutdownGrace)
		defer cancel()
		err = errors.Join(err, r.stopServers(grace))
		stop()
		background.Wait()
		r.drainOutbox(grace)
		err = errors.Join(err, r.components.cleanups.run(r.log))
		select {
		case e := <-failed:
			err = errors.Join(err, e)
		default:
		}
	}()
	if err := r.begin(ctx); err != nil {
		return err
	}
	for {
		day, more, err := r.month.Next()
		if !more || err != nil {
			return errors.Join(err, r.finish(ctx))
		}
		if err := r.day(ctx, day); err != nil {
			return fmt.Errorf("day %d of %d: %w", r.days, r.options.Days, err)
		}
	}
}

// begin checks that the data dir is empty, stores the first customers and trains the
// first model.
func (r *simulator) begin(ctx context.Context) error {
	count, err := r.m.count(ctx)
	if err != nil {
		return err
	}
	earlier, err := r.m.line.PredictionsAfter(ctx, "", 1)
	if err != nil {
		return err
	}
	if (count.Customers > 0 || len(earlier) > 0) && !r.options.Add {
		return ErrNotEmpty
	}
	renewals, err := r.renewals(ctx)
	if err != nil {
		return err
	}
	r.earlier = make(map[string]bool)
	for _, m := range renewals {
		r.earlier[m.ID] = true
	}
	last, err := r.components.store.LastNumber(ctx)
	if err != nil {
		return err
	}
	// After all customers: those of the first day are numbered without gaps.
	r.month.NumberFrom(int(max(demo.FirstID+max(count.Customers, r.firstCustomers()), last+1)))
	token, err := ReadAdminToken(r.cfg)
	if err != nil {
		return err
	}
	r.admin = operator{url: r.URL(), token: token}
	r.acts = operatorActs()
	if count.Customers == 0 {
		customers, err := demo.Customers(r.m.schema, int(r.firstCustomers()), r.options.Seed)
		if err != nil {
			return err
		}
		if err := r.store(ctx, customers); err != nil {
			return err
		}
	}
	if _, err := r.m.engine.Trigger(ctx, modelswap.TriggerRequest{
		Trigger: modelswap.TriggerFirst, Reason: "the first model, from generated customers"}); err != nil {
		return err
	}
	return r.m.engine.Once(ctx)
}

// firstCustomers is how many customers an empty data dir gets before the first day.
func (r *simulator) firstCustomers() int64 {
	return int64(cmp.Or(r.App.options.DemoCustomers, demoCustomers))
}

func (r *simulator) store(ctx context.Context, customers []predict.Customer) error {
	_, _, err := r.m.customers.PutCustomers(ctx, customers)
	if err == nil {
		r.report.Customers += len(customers)
	}
	return err
}

// reportEvery is how many hours apps collect outcomes before they report them.
const reportEvery = 6

// day simulates a day, in hours: predictions at their times, and then what is due.
func (r *simulator) day(ctx context.Context, day demo.Day) error {
	r.days++
	if r.options.Progress != nil {
		r.options.Progress(r.days)
	}
	r.clock.advance(day.Start)
	if err := r.store(ctx, day.Customers); err != nil {
		return err
	}
	events := day.Events
	for hour := range 24 {
		end := day.Start.Add(time.Duration(hour+1) * time.Hour)
		at := slices.IndexFunc(events, func(e demo.Event) bool { return !e.At.Before(end) })
		if at < 0 {
			at = len(events)
		}
		if err := r.events(ctx, events[:at]); err != nil {
			return err
		}
		events = events[at:]
		r.clock.advance(end)
		if err := r.due(ctx, end); err != nil {
			return err
		}
		if (hour+1)%reportEvery == 0 {
			if err := errors.Join(r.sendReports(ctx), r.keep(ctx)); err != nil {
				return err
			}
		}
	}
	return r.m.keeper.Tidy(ctx, r.clock.now())
}

// events asks for predictions and collects outcomes.
func (r *simulator) events(ctx context.Context, events []demo.Event) error {
	for _, e := range events {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Request == nil {
			r.reports[e.Caller] = append(r.reports[e.Caller], e.Outcome)
			continue
		}
		r.clock.advance(e.At)
		if _, err := r.m.service.Predict(as(ctx, e.Caller), *e.Request); err != nil {
			return err
		}
		r.report.Predictions++
	}
	return nil
}

// sendReports reports the outcomes that apps have collected, a list of each app.
func (r *simulator) sendReports(ctx context.Context) error {
	for _, caller := range slices.Sorted(maps.Keys(r.reports)) {
		matches, err := r.m.service.RecordOutcomes(as(ctx, caller), r.reports[caller])
		if err != nil {
			return err
		}
		for _, m := range matches {
			if !m.Found {
				return errors.New("an outcome matches nothing")
			}
		}
		r.report.Outcomes += len(matches)
	}
	clear(r.reports)
	return r.components.outbox.Drain(ctx)
}

// as returns a context of a caller.
func as(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callctx.Key{}, &callctx.Info{Caller: caller})
}

// due does what operators, the schedule and alarms do before a time.
func (r *simulator) due(ctx context.Context, before time.Time) error {
	for len(r.acts) > 0 && r.timeOf(r.acts[0]).Before(before) {
		act := r.acts[0]
		r.acts = r.acts[1:]
		if err := act.do(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", act.name, err)
		}
		if err := r.m.engine.Once(ctx); err != nil {
			return err
		}
	}
	return r.m.engine.Once(ctx)
}

// timeOf is the time of an act.
func (r *simulator) timeOf(act operatorAct) time.Time {
	return r.report.From.Add(time.Duration(act.at * float64(r.options.Days) * float64(24*time.Hour)))
}

// keep keeps the sums of insights in order and looks for alarms.
func (r *simulator) keep(ctx context.Context) error {
	if err := r.m.keeper.Merge(ctx); err != nil {
		return err
	}
	if r.drifted {
		return nil
	}
	renewals, err := r.renewals(ctx)
	if err != nil {
		return err
	}
	r.drifted = slices.ContainsFunc(renewals, func(m *modelswap.Renewal) bool { return m.Trigger == modelswap.TriggerDrift })
	return r.m.watch.Look(ctx)
}

// renewals returns those of the simulation.
func (r *simulator) renewals(ctx context.Context) ([]*modelswap.Renewal, error) {
	const most = 1000
	all, err := r.m.engine.Renewals(ctx, most, "")
	return slices.DeleteFunc(all, func(m *modelswap.Renewal) bool { return r.earlier[m.ID] }), err
}

// finish completes the report.
func (r *simulator) finish(ctx context.Context) error {
	renewals, err := r.renewals(ctx)
	if err != nil {
		return err
	}
	r.report.Renewals = len(renewals)
	r.report.Model, err = r.m.engine.Serving(ctx)
	return errors.Join(err, r.keep(ctx))
}
