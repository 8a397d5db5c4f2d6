package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gateway/internal/failure"
	"gateway/internal/insights"
	"gateway/internal/modelswap"
)

// insightView is the state of a page of insights: what its URL asks for.
type insightView struct {
	Model     string // empty: the one that serves
	Range     string // one of ranges; empty where From or To is given
	From, To  string // days, as in the URL; empty: not given
	Bucket    string // hour or day; empty: by the length of the window
	Figure    string // of the quality over time
	Feature   string // whose drift is shown over time, or whose segments are shown
	Segments  bool
	Money     bool     // show the gain in money
	Models    []string // that can be chosen, newest first
	Ranges    []choice
	Buckets   []choice
	Figures   []choice
	now       time.Time
	from, to  time.Time
	bucketing insights.Period
	serves    bool // a model serves
}

// choice is an option of a form.
type choice struct{ Value, Title string }

var (
	ranges  = []choice{{"1d", "last day"}, {"7d", "last 7 days"}, {"30d", "last 30 days"}, {"90d", "last 90 days"}, {"365d", "last year"}}
	lengths = map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "365d": 365 * 24 * time.Hour}
	buckets = []choice{{"", "automatic"}, {"hour", "hours"}, {"day", "days"}}
	figures = []choice{{"auc", "AUC"}, {"log_loss", "log loss"}, {"brier", "Brier score"}, {"calibration_error", "calibration error"},
		{"accuracy", "accuracy"}, {"precision", "precision"}, {"recall", "recall"}}
)

const (
	defaultRange  = "30d"
	defaultFigure = "auc"
	// maxHours is the longest window of which hours are shown.
	maxHours = 31 * 24 * time.Hour
)

// readInsightView reads the state of the page. Forms send fields that were left empty,
// so these count as not given.
func (c *Console) readInsightView(r *http.Request) (*insightView, error) {
	q := r.URL.Query()
	v := &insightView{Model: q.Get("model"), Range: q.Get("range"), From: q.Get("from"), To: q.Get("to"), Bucket: q.Get("bucket"),
		Figure: q.Get("figure"), Feature: q.Get("feature"), Segments: q.Get("segments") == "yes", Money: q.Get("gain") == "money",
		Ranges: ranges, Buckets: buckets, Figures: figures, now: time.Now().UTC()}
	if v.Figure == "" {
		v.Figure = defaultFigure
	}
	var found []failure.Violation
	wrong := func(field, code, detail string) {
		found = append(found, failure.Violation{Field: field, Code: code, Detail: detail})
	}
	v.readWindow(wrong)
	switch v.Bucket {
	case "":
	case "hour":
		v.bucketing = insights.Hour
		if v.to.Sub(v.from) > maxHours {
			wrong("bucket", failure.CodeRange, "must be day for more than 31 days")
		}
	case "day":
		v.bucketing = insights.Day
	default:
		wrong("bucket", failure.CodeFormat, "must be hour or day")
	}
	if !slices.ContainsFunc(figures, func(f choice) bool { return f.Value == v.Figure }) {
		wrong("figure", failure.CodeFormat, "must be the name of a figure")
	}
	if len(found) > 0 {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: "a parameter of the query is wrong", Violations: found}
	}
	models, err := c.d.Renewals.Models(r.Context())
	if err != nil {
		return nil, err
	}
	v.addModels(models)
	return v, nil
}

// readWindow reads the time range. Days begin and end in UTC, and the last one counts.
func (v *insightView) readWindow(wrong func(field, code, detail string)) {
	if v.From == "" && v.To == "" {
		if v.Range == "" {
			v.Range = defaultRange
		}
		length, known := lengths[v.Range]
		if !known {
			wrong("range", failure.CodeFormat, "must be 1d, 7d, 30d, 90d or 365d")
		}
		v.to = v.now.Add(time.Minute) // clocks of other replicas may be ahead
		v.from = v.to.Add(-length)
		return
	}
	v.Range = ""
	v.to = v.now.Add(time.Minute)
	if v.To != "" {
		to, ok := parseDay(v.To)
		if !ok {
			wrong("to", failure.CodeFormat, "must be a day, such as 2026-11-30")
		}
		v.to = to.Add(24 * time.Hour)
	}
	v.from = v.to.Add(-lengths[defaultRange])
	if v.From != "" {
		from, ok := parseDay(v.From)
		if !ok {
			wrong("from", failure.CodeFormat, "must be a day, such as 2026-11-01")
		}
		v.from = from
	}
	if !v.from.Before(v.to) {
		wrong("from", failure.CodeRange, "must not be after to")
	}
}

func parseDay(text string) (time.Time, bool) {
	day, err := time.Parse(time.DateOnly, text)
	return day, err == nil
}

// addModels sets the models that can be chosen: those that have served.
func (v *insightView) addModels(models []modelswap.Model) {
	for _, m := range models {
		v.serves = v.serves || m.Serving
		if m.Serving || m.DeployedAt != nil || m.Name == v.Model {
			v.Models = append(v.Models, m.Name)
		}
	}
}

func (v *insightView) query() insights.Query {
	return insights.Query{Model: v.Model, From: v.from, To: v.to, Bucket: v.bucketing}
}

// Window says which predictions are shown.
func (v *insightView) Window() string {
	return v.from.Format("2006-01-02 15:04") + " to " + v.to.Format("2006-01-02 15:04") + " UTC"
}

// With returns the query of the page with a parameter changed; an empty value removes it.
func (v *insightView) With(name, value string) string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("model", v.Model)
	set("from", v.From)
	set("to", v.To)
	set("bucket", v.Bucket)
	set("feature", v.Feature)
	if v.Range != defaultRange {
		set("range", v.Range)
	}
	if v.Figure != defaultFigure {
		set("figure", v.Figure)
	}
	if v.Segments {
		q.Set("segments", "yes")
	}
	if v.Money {
		q.Set("gain", "money")
	}
	q.Del(name)
	set(name, value)
	return "?" + q.Encode()
}

// figureTitle is how a figure is called.
func figureTitle(name string) string {
	for _, f := range figures {
		if f.Value == name {
			return f.Title
		}
	}
	return strings.ReplaceAll(name, "_", " ")
}
