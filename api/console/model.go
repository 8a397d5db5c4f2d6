package console

import (
	"context"
	"math"
	"net/http"
	"time"

	"gateway/api/console/chart"
	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"

	"github.com/go-chi/chi/v5"
)

// modelPage is what the page of one model shows.
type modelPage struct {
	*modelswap.ModelReport
	Why         string // it cannot serve again, as the reason; empty: it can
	Estimates   []estimateRow
	Compared    []estimateRow // less those of the champion
	Importance  *drawing
	MeanReasons *drawing // mean contributions
	Alone       *drawing
	Calibration *drawing
	Curve       []modelswap.CurvePoint
}

// estimateRow is a figure with its interval.
type estimateRow struct {
	Title    string
	Estimate *learn.Estimate
}

func (c *Console) model(r *http.Request) (*page, error) {
	report, err := c.d.Renewals.ModelReport(r.Context(), chi.URLParam(r, "name"))
	if err != nil {
		return nil, err
	}
	f := report.Figures
	data := &modelPage{ModelReport: report, Why: c.cannotServe(&report.Model), Curve: f.Curve}
	if e := f.Estimates; e != nil {
		data.Estimates = []estimateRow{{"AUC", &e.AUC}, {"log loss", &e.LogLoss}, {"accuracy", &e.Accuracy}, {"precision", e.Precision}, {"recall", &e.Recall}}
	}
	if d := f.Compared; d != nil {
		data.Compared = []estimateRow{{"AUC", &d.AUC}, {"log loss", &d.LogLoss}}
	}
	data.Importance = draw("importance", importanceChart(f))
	data.MeanReasons = draw("contributions", contributionChart(f))
	data.Alone = draw("alone", aloneChart(f))
	data.Calibration = draw("calibration", modelCalibration(f))
	return &page{name: "model", section: "models", title: "Model " + report.Name, data: data}, nil
}

func importanceChart(f *modelswap.Figures) chart.Bars {
	b := chart.Bars{Title: "Importance: how much the log loss rises without the feature", ValueName: "log loss",
		Below: "better without it", Above: "worse without it", Empty: "There is no importance. " + f.Unavailable["importance"]}
	for _, one := range f.Importance {
		b.Bars = append(b.Bars, chart.Bar{Name: one.Feature, Value: one.LogLoss, Note: "the AUC falls by " + number(one.AUC)})
	}
	return b
}

func contributionChart(f *modelswap.Figures) chart.Bars {
	b := chart.Bars{Title: "Mean contribution of each feature to a score, up or down", ValueName: "log-odds",
		Empty: "There are no contributions. " + f.Unavailable["contributions"]}
	for _, one := range f.Contributions {
		b.Bars = append(b.Bars, chart.Bar{Name: one.Feature, Value: one.MeanAbsolute})
	}
	return b
}

func aloneChart(f *modelswap.Figures) chart.Bars {
	b := chart.Bars{Title: "What each feature reaches alone", ValueName: "AUC", Empty: "It is not known what features reach alone. " + f.Unavailable["alone"]}
	for _, one := range f.Alone {
		b.Bars = append(b.Bars, chart.Bar{Name: one.Feature, Value: one.AUC})
	}
	return b
}

func modelCalibration(f *modelswap.Figures) chart.Reliability {
	r := chart.Reliability{Title: "Calibration on held-out rows", Empty: "There is no calibration. " + f.Unavailable["calibration"]}
	for _, b := range f.Calibration {
		r.Bins = append(r.Bins, chart.ReliabilityBin{From: b.From, To: b.To, Count: int64(b.Count), MeanScore: b.MeanScore, Rate: b.PositiveRate,
			Low: math.NaN(), High: math.NaN()})
	}
	return r
}

// cannotServe says why a model cannot be made to serve; empty: it can.
func (c *Console) cannotServe(m *modelswap.Model) string {
	switch {
	case m.Serving:
		return "it serves already"
	case m.RemovedAt != nil:
		return "it was removed from the platform"
	case m.Schema != c.d.Predict.Schema().Fingerprint():
		return "it was made for another schema"
	}
	return ""
}

// rollbackTime bounds a rollback, which goes on if the browser leaves: else a model could
// serve without a record of it.
const rollbackTime = 10 * time.Second

// rollback makes an earlier model serve.
func (c *Console) rollback() action {
	return action{
		ask: func(r *http.Request) (*question, error) {
			name := chi.URLParam(r, "name")
			models, err := c.d.Renewals.Models(r.Context())
			if err != nil {
				return nil, err
			}
			var target, serving *modelswap.Model
			for i := range models {
				if models[i].Name == name {
					target = &models[i]
				}
				if models[i].Serving {
					serving = &models[i]
				}
			}
			if target == nil {
				return nil, failure.Errorf(failure.NotFound, "there is no model %q", name)
			}
			if why := c.cannotServe(target); why != "" {
				return nil, failure.Errorf(failure.Conflict, "model %s cannot be rolled back to: %s", name, why)
			}
			return rollbackQuestion(target, serving), nil
		},
		do: func(r *http.Request) (string, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rollbackTime)
			defer cancel()
			model, err := c.d.Renewals.Rollback(ctx, chi.URLParam(r, "name"))
			if err != nil {
				return "", err
			}
			return changed(r, "models/", model.Name), nil
		},
	}
}

func rollbackQuestion(target, serving *modelswap.Model) *question {
	q := &question{Title: "Roll back to the model " + target.Name, Effect: "It answers predictions from now on. Nothing is trained, and no gate is asked.",
		Button: "Roll back", Back: "models/" + target.Name}
	if serving != nil {
		q.Facts = append(q.Facts, fact{"Serves now", serving.Name + aucOf(serving)})
	}
	q.Facts = append(q.Facts, fact{"Will serve", target.Name + aucOf(target)})
	return q
}

// aucOf returns the AUC of a model on its own held-out rows, in brackets.
func aucOf(m *modelswap.Model) string {
	if m.Metrics == nil {
		return " (not evaluated)"
	}
	return " (AUC " + number(m.Metrics.AUC) + " on its held-out rows)"
}
