package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"gateway/internal/insights"
	"gateway/internal/modelswap"
)

// overviewEvery is how often the overview is read again while a browser shows it, in seconds.
const overviewEvery = 5

// overviewPage is what the overview shows. A part that could not be read is nil, and
// Unknown names it.
type overviewPage struct {
	Advice   advice
	Status   Status
	Warnings []string
	Model    *modelswap.Model // that serves
	Quality  *insights.ModelQuality
	Maturity *insights.MaturityReport
	Drift    *insights.DriftReport
	Running  *modelswap.Renewal // unfinished
	Last     *modelswap.Renewal // the newest that has ended
	Schedule *modelswap.ScheduleStatus
	Unknown  []string
	Now      time.Time
}

// advice is the one thing to do next.
type advice struct {
	State string // ok, degraded or unavailable
	Text  string
	Path  string // of a page that helps, below the console; empty: none
	Link  string // text of the link
}

// overviewRead bounds the reading of the overview, which shows what it has by then.
const overviewRead = 3 * time.Second

func (c *Console) overview(r *http.Request) (*page, error) {
	ctx, cancel := context.WithTimeout(r.Context(), overviewRead)
	defer cancel()
	data := &overviewPage{Status: c.d.Status(ctx), Now: time.Now().UTC()}
	data.Warnings, _ = data.Status.Details["warnings"].([]string)
	read := func(part string, err error) bool {
		if err != nil {
			data.Unknown = append(data.Unknown, part)
		}
		return err == nil
	}
	if models, err := c.d.Renewals.Models(ctx); read("the models", err) {
		for i := range models {
			if models[i].Serving {
				data.Model = &models[i]
			}
		}
	}
	if renewals, err := c.d.Renewals.Renewals(ctx, pageSize, ""); read("the renewals", err) {
		data.Running, data.Last = newest(renewals)
	}
	if schedule, err := c.d.Renewals.Schedule(ctx); read("the schedule", err) {
		data.Schedule = &schedule
	}
	if data.Model != nil {
		data.readInsights(ctx, c.d.Insights, read)
	}
	data.Advice = data.advise()
	return &page{name: "overview", title: "Overview", data: data, every: overviewEvery}, nil
}

// newest returns the renewal that is unfinished, and the newest of the others.
func newest(renewals []*modelswap.Renewal) (running, last *modelswap.Renewal) {
	for _, renewal := range renewals {
		switch {
		case !renewal.Status.Final():
			running = renewal
		case last == nil:
			last = renewal
		}
	}
	return running, last
}

// readInsights reads the quality and the drift of the model that serves.
func (p *overviewPage) readInsights(ctx context.Context, from Insights, read func(string, error) bool) {
	q := insights.Query{Model: p.Model.Name}
	if report, err := from.Quality(ctx, q); read("the quality", err) {
		p.Maturity = &report.Maturity
		if len(report.Models) > 0 {
			p.Quality = &report.Models[0]
		}
	}
	if report, err := from.Drift(ctx, q); read("the drift", err) {
		p.Drift = report
	}
}

// advise returns the most urgent thing to do.
func (p *overviewPage) advise() advice {
	for _, state := range []string{"unavailable", "degraded"} {
		for _, d := range p.Status.Dependencies {
			if d.State == state && !(d.Name == "model" && p.Model == nil && len(p.Unknown) == 0) {
				return advice{State: state, Text: fmt.Sprintf("%s is %s. Its reason is below.", d.Name, state), Path: "#dependencies", Link: "See the dependencies"}
			}
		}
	}
	switch {
	case len(p.Unknown) > 0:
		return advice{State: "degraded", Text: "The database did not answer in time. What is missing below is unknown.", Path: "#dependencies", Link: "See the dependencies"}
	case p.Running != nil:
		return advice{State: "ok", Text: "A renewal is running. Predictions go on with the model that serves.", Path: "renewals/" + p.Running.ID, Link: "Watch it"}
	case p.Model == nil:
		return advice{State: "unavailable", Text: "No model serves. Import customers with labels, then start a renewal.", Path: "renewals", Link: "Start a renewal"}
	case p.Last != nil && p.Last.Status == modelswap.Failed:
		return advice{State: "degraded", Text: "The last renewal failed. Predictions go on with the model that serves.", Path: "renewals/" + p.Last.ID, Link: "See why, and resume it"}
	case p.Drift != nil && p.Drift.Alarm:
		return advice{State: "degraded", Text: "What the model is asked differs from its training data.", Path: "drift", Link: "See which features drifted"}
	case len(p.Warnings) > 0:
		return advice{State: "degraded", Text: "The settings have a warning.", Path: "#warnings", Link: "Read it"}
	}
	return advice{State: "ok", Text: "Nothing needs to be done."}
}
