package api

import (
	"context"
	"net/http"

	"gateway/api/edge"
	"gateway/internal/insights"
)

// Insights answers whether the model is still right. *insights.Reports is one.
type Insights interface {
	Quality(ctx context.Context, q insights.Query) (*insights.QualityReport, error)
	Drift(ctx context.Context, q insights.Query) (*insights.DriftReport, error)
	Correlations(ctx context.Context) (*insights.CorrelationReport, error)
}

func (a *api) quality(w http.ResponseWriter, r *http.Request) error {
	segments, err := queryBool(r, "segments")
	if err != nil {
		return err
	}
	curves, err := queryBool(r, "curves")
	if err != nil {
		return err
	}
	return answerInsight(w, r, func(ctx context.Context, q insights.Query) (*insights.QualityReport, error) {
		q.Segments, q.Curves = segments, curves
		return a.d.Insights.Quality(ctx, q)
	})
}

func (a *api) drift(w http.ResponseWriter, r *http.Request) error {
	against, given, err := queryText(r, "against")
	if err != nil {
		return err
	}
	if given && against != insights.AgainstTraining && against != insights.AgainstWeek {
		return invalidQuery("against", "must be training or week")
	}
	return answerInsight(w, r, func(ctx context.Context, q insights.Query) (*insights.DriftReport, error) {
		q.Against = against
		return a.d.Insights.Drift(ctx, q)
	})
}

func (a *api) correlations(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	report, err := a.d.Insights.Correlations(ctx)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, report)
}

func answerInsight[T any](w http.ResponseWriter, r *http.Request, answer func(context.Context, insights.Query) (*T, error)) error {
	q, err := insightQuery(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	report, err := answer(ctx, q)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, report)
}

func insightQuery(r *http.Request) (q insights.Query, err error) {
	var given bool
	if q.Model, given, err = queryText(r, "model"); err != nil {
		return q, err
	}
	if given && q.Model == "" {
		return q, invalidQuery("model", "must be the name of a model")
	}
	if q.From, err = queryTime(r, "from"); err != nil {
		return q, err
	}
	if q.To, err = queryTime(r, "to"); err != nil {
		return q, err
	}
	text, given, err := queryText(r, "bucket")
	switch {
	case err != nil || !given:
	case text == "hour":
		q.Bucket = insights.Hour
	case text == "day":
		q.Bucket = insights.Day
	default:
		err = invalidQuery("bucket", "must be hour or day")
	}
	return q, err
}
