package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

func TestGolden(t *testing.T) {
	for name, chart := range samples() {
		t.Run(name, func(t *testing.T) {
			picture := strings.ReplaceAll(string(chart.SVG(name)), "><", ">\n<") + "\n"
			checkPicture(t, name, string(chart.SVG(name)))
			golden(t, name+".svg", picture)
			golden(t, name+".table", tableText(chart.Table()))
			if again := chart.SVG(name); strings.ReplaceAll(string(again), "><", ">\n<")+"\n" != picture {
				t.Error("the second picture differs from the first")
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; see it, and run go test -update if it should be so", file)
	}
}

func tableText(table Table) string {
	lines := []string{table.Caption, table.Note, strings.Join(table.Columns, " | ")}
	for _, row := range table.Rows {
		lines = append(lines, strings.Join(row, " | "))
	}
	return strings.Join(lines, "\n") + "\n"
}

// checkPicture fails if a picture is not well-formed, has what the content security
// policy forbids, has no name, or refers to an id that it does not have.
func checkPicture(t *testing.T, id, picture string) {
	t.Helper()
	ids := map[string]int{}
	var refers []string
	titles := 0
	decoder := xml.NewDecoder(strings.NewReader(picture))
	for first := true; ; first = false {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, picture)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if first {
			checkRoot(t, id, element)
		}
		switch element.Name.Local {
		case "style", "script", "image", "use", "a", "foreignObject":
			t.Errorf("the picture has an element %s", element.Name.Local)
		case "title":
			titles++
		}
		for _, a := range element.Attr {
			name := a.Name.Local
			switch {
			case name == "style" || name == "href" || strings.HasPrefix(name, "on"):
				t.Errorf("an element %s has an attribute %s", element.Name.Local, name)
			case name == "id":
				ids[a.Value]++
			case strings.HasPrefix(a.Value, "url("):
				refers = append(refers, strings.TrimSuffix(strings.TrimPrefix(a.Value, "url(#"), ")"))
			case strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf"):
				t.Errorf("an element %s has %s=%q", element.Name.Local, name, a.Value)
			}
		}
	}
	if titles == 0 || ids[id+"-title"] != 1 || ids[id+"-desc"] != 1 {
		t.Errorf("the picture has ids %v, want %s-title and %s-desc", ids, id, id)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %s is there %d times", id, n)
		}
	}
	for _, id := range refers {
		if ids[id] == 0 {
			t.Errorf("the picture refers to #%s, which it does not have", id)
		}
	}
}

func checkRoot(t *testing.T, id string, svg xml.StartElement) {
	t.Helper()
	want := map[string]string{"role": "img", "aria-labelledby": id + "-title", "aria-describedby": id + "-desc"}
	for _, a := range svg.Attr {
		if want[a.Name.Local] == a.Value {
			delete(want, a.Name.Local)
		}
	}
	if svg.Name.Local != "svg" || len(want) > 0 {
		t.Errorf("the picture begins with %s and lacks %v", svg.Name.Local, want)
	}
}

// TestDegenerate draws data from which little or nothing can be drawn.
func TestDegenerate(t *testing.T) {
	inf := math.Inf(1)
	at := func(values ...float64) []LinePoint {
		var points []LinePoint
		for i, v := range values {
			points = append(points, LinePoint{Time: start.Add(time.Duration(i) * time.Hour), Value: v, Low: v, High: v, Second: nan})
		}
		return points
	}
	tests := map[string]struct {
		chart Chart
		want  string // in the picture; empty: the message that there is no data
	}{
		"no points":              {Line{}, ""},
		"no points, message":     {Line{Empty: "a figure needs 30 mature outcomes with 5 of either label"}, "a figure needs 30"},
		"no value":               {Line{Points: at(nan, inf, -inf)}, ""},
		"one point":              {Line{Points: at(0.5)}, "chart-mark-1"},
		"two points":             {Line{Points: at(0.5, 0.7)}, "chart-line-1"},
		"all equal":              {Line{Points: at(3, 3, 3)}, "chart-line-1"},
		"all zero":               {Line{Points: at(0, 0, 0)}, "chart-line-1"},
		"equal and large":        {Line{Points: at(1e15, 1e15)}, "chart-line-1"},
		"too large":              {Line{Points: at(1e308, -1e308)}, ""},
		"tiny":                   {Line{Points: at(5e-324, 1e-300)}, "chart-line-1"},
		"same time":              {Line{Points: slices.Repeat(at(1), 3)}, "chart-line-1"},
		"no time":                {Line{Points: []LinePoint{{Value: 1}}}, "0001-01-01"},
		"year 200000":            {Line{Points: []LinePoint{{Time: time.Unix(1<<43, 0), Value: 1}}}, ""},
		"outside of 0 and 1":     {Line{Share: true, Points: at(7, 8)}, "chart-line-1"},
		"infinite threshold":     {Line{Points: at(1, 2), Threshold: &LineThreshold{inf, "floor"}}, "chart-line-1"},
		"no bins":                {Reliability{}, ""},
		"empty bin":              {Reliability{Bins: []ReliabilityBin{{To: 1, MeanScore: nan, Rate: nan}}}, ""},
		"one bin":                {Reliability{Bins: []ReliabilityBin{{To: 1, Count: 3, MeanScore: 0.5, Rate: 0.4, Low: nan, High: inf}}}, "chart-mark-1"},
		"bin without bounds":     {Reliability{Bins: []ReliabilityBin{{From: nan, To: nan, Count: -3, MeanScore: 0.5, Rate: 0.4}}}, "chart-mark-1"},
		"no scores":              {Histogram{Names: [3]string{"yes", "no", ""}}, ""},
		"no counts":              {Histogram{Names: [3]string{"yes", "no", ""}, Bins: []HistogramBin{{To: 1}}}, ""},
		"no names":               {Histogram{Bins: []HistogramBin{{To: 1, Counts: [3]int64{1, 2, 3}}}}, ""},
		"one score":              {Histogram{Names: [3]string{"yes", "", ""}, Bins: []HistogramBin{{To: 1, Counts: [3]int64{1, 2, 3}}}}, "chart-bar-1"},
		"a score without bounds": {Histogram{Names: [3]string{"yes", "", ""}, Bins: []HistogramBin{{To: inf, Counts: [3]int64{1, 2, 3}}}}, ""},
		"most counts":            {Histogram{Names: [3]string{"yes", "", ""}, Bins: []HistogramBin{{To: 1, Counts: [3]int64{math.MaxInt64, math.MinInt64, 0}}}}, "chart-bar-1"},
		"no thresholds":          {Curve{}, ""},
		"no rates":               {Curve{Kind: PrecisionRecall, Points: []CurvePoint{{Precision: nan}}}, ""},
		"one threshold":          {Curve{Points: []CurvePoint{{0.5, 0.7, 0.2, 0.3}}, Threshold: nan}, "chart-mark-1"},
		"chosen":                 {Curve{Points: []CurvePoint{{0.5, 0.7, 0.2, 0.3}}, Chosen: &CurvePoint{0.4, 0.8, 0.3, 0.2}}, "threshold 0.4"},
		"chosen nowhere":         {Curve{Points: []CurvePoint{{0.5, 0.7, 0.2, 0.3}}, Chosen: &CurvePoint{0.4, nan, inf, nan}}, "chart-mark-1"},
		"threshold nowhere":      {Curve{Points: []CurvePoint{{nan, 0.7, 0.2, 0.3}}, Threshold: 0.5}, "chart-mark-1"},
		"no bars":                {Bars{}, ""},
		"unknown bars":           {Bars{Bars: []Bar{{Name: "age", Value: nan}}}, "age"},
		"infinite bar":           {Bars{Bars: []Bar{{Name: "age", Value: -inf, Low: -inf, High: inf}}}, "age"},
		"zero bar":               {Bars{Bars: []Bar{{Name: "age"}}}, "chart-bar-1"},
		"bar without a name":     {Bars{Bars: []Bar{{Value: 1}}}, "chart-bar-1"},
		"many bars":              {Bars{Bars: make([]Bar, 100)}, "60 more in the table"},
		"even, one bin":          {Histogram{Even: true, Names: [3]string{"yes", "", ""}, Threshold: &inf, Bins: []HistogramBin{{To: 1, Counts: [3]int64{1, 2, 3}}}}, "chart-bar-1"},
		"even, disorder":         {Histogram{Even: true, Names: [3]string{"yes", "", ""}, Threshold: new(float64), Bins: []HistogramBin{{5, 6, [3]int64{1}}, {-3, -2, [3]int64{1}}}}, "chart-bar-1"},
		"no gain":                {Gain{}, ""},
		"gain without shares":    {Gain{Points: []GainPoint{{Share: nan, Gain: 1}, {Share: 7, Gain: 1}}}, ""},
		"one gain":               {Gain{Points: []GainPoint{{Gain: 0}}, Chosen: nan}, "chart-mark-1"},
		"losses alone":           {Gain{Points: []GainPoint{{0, 0, 0}, {1, 0, -5}}, Chosen: 0.2}, "chart-chosen"},
		"no steps":               {Grid{}, ""},
		"no attempts":            {Grid{Steps: []GridStep{{Name: "export"}}}, "export"},
		"unknown state":          {Grid{Steps: []GridStep{{Attempts: []GridAttempt{{State: -1, Duration: math.MinInt64}, {State: 99, Duration: math.MaxInt64}}}}}, "chart-cell-pending"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			picture := string(tt.chart.SVG("a"))
			checkPicture(t, "a", picture)
			want := tt.want
			if want == "" {
				want = noData
			}
			if !strings.Contains(picture, want) {
				t.Errorf("picture lacks %q:\n%s", want, picture)
			}
			checkTable(t, tt.chart.Table())
		})
	}
}

func checkTable(t *testing.T, table Table) {
	t.Helper()
	for _, row := range table.Rows {
		if len(row) != len(table.Columns) {
			t.Errorf("a row has %d cells, want one for each of %q", len(row), table.Columns)
		}
	}
}

// TestThinned draws more points than can be told apart: few are drawn, and the
// lowest and the highest are among them.
func TestThinned(t *testing.T) {
	line := sampleLine(10_000)
	line.Points[4321].Value, line.Points[5432].Value = 0.1, 0.99
	rows := line.Table().Rows
	if len(rows) < maxStretches || len(rows) > 4*maxStretches+2 {
		t.Errorf("%d points are left of %d", len(rows), len(line.Points))
	}
	for _, want := range []int{0, 4321, 5432, 9_999} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return row[0] == moment(line.Points[want].Time) }) {
			t.Errorf("point %d is left out", want)
		}
	}
	if size := len(line.SVG("a")); size > 150_000 {
		t.Errorf("the picture has %d bytes", size)
	}
	if note := line.Table().Note; !strings.Contains(note, "of 10000 points") {
		t.Errorf("note %q does not say that points are left out", note)
	}
}

// TestTextIsEscaped draws text that would be markup.
func TestTextIsEscaped(t *testing.T) {
	evil := "</title><script>alert(1)</script>\" onload='x' & \x00\xff\u2028"
	charts := samples()
	line := sampleLine(5)
	line.Title, line.Name, line.Second, line.YName, line.Counted, line.Immature, line.Threshold = evil, evil, evil, evil, evil, evil, &LineThreshold{1, evil}
	bars := Bars{evil, evil, []Bar{{Name: evil, Value: 1, Marked: true, Note: evil}, {Value: -1, Threshold: new(float64)}}, evil, evil, evil, evil, evil}
	maps.Copy(charts, map[string]Chart{
		"line": line, "message": Line{Title: evil, Empty: evil}, "bars": bars,
		"histogram": Histogram{Title: evil, Names: [3]string{evil, evil, evil}, Bins: sampleHistogram().Bins},
		"gain":      Gain{Title: evil, Unit: evil, Points: sampleGain().Points},
		"grid":      Grid{Title: evil, Steps: []GridStep{{evil, []GridAttempt{{Failed, 1, evil}}}}},
	})
	for name, chart := range charts {
		picture := string(chart.SVG(evil))
		checkPicture(t, cleanID(evil), picture)
		if strings.Contains(picture, "<script") {
			t.Errorf("%s: the picture has a script", name)
		}
	}
}

func TestNiceAxis(t *testing.T) {
	tests := []struct {
		lo, hi float64
		want   string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1.0"},
		{0.872, 0.954, "0.86 0.88 0.90 0.92 0.94 0.96"},
		{0, 1_234_567, "0 500k 1M 1.5M"},
		{-7, 12, "-10 -5 0 5 10 15"},
		{0, 3e-7, "0 1e-7 2e-7 3e-7"},
		{0, 14_000, "0 5000 10k 15k"},
		{5, 5, "4.4 4.6 4.8 5.0 5.2 5.4 5.6"},
		{0, 0, "-0.6 -0.4 -0.2 0 0.2 0.4 0.6"},
	}
	for _, tt := range tests {
		from, to, ticks := niceAxis(tt.lo, tt.hi, 5)
		var labels []string
		for _, tick := range ticks {
			labels = append(labels, tick.label)
		}
		if got := strings.Join(labels, " "); got != tt.want {
			t.Errorf("ticks of %v to %v are %q, want %q", tt.lo, tt.hi, got, tt.want)
		}
		if from > tt.lo || to < tt.hi {
			t.Errorf("the axis of %v to %v is %v to %v", tt.lo, tt.hi, from, to)
		}
	}
}

func TestTimeTicks(t *testing.T) {
	tests := []struct {
		span time.Duration
		want string
	}{
		{time.Minute, "00:00:00 00:00:15 00:00:30 00:00:45 00:01:00"},
		{24 * time.Hour, "Nov 1 06:00 12:00 18:00 Nov 2"},
		{29 * 24 * time.Hour, "Nov 2 Nov 9 Nov 16 Nov 23 Nov 30"},
		{365 * 24 * time.Hour, "Jan 2027 Apr 2027 Jul 2027 Oct 2027"},
		{20 * 365 * 24 * time.Hour, "2030 2035 2040 2045"},
	}
	for _, tt := range tests {
		var labels []string
		for _, tick := range timeTicks(seconds(start), seconds(start.Add(tt.span)), 4) {
			labels = append(labels, tick.label)
		}
		if got := strings.Join(labels, " "); got != tt.want {
			t.Errorf("ticks of %v are %q, want %q", tt.span, got, tt.want)
		}
	}
}

func TestNumber(t *testing.T) {
	tests := map[string]float64{
		"0": 0, "0.931385": 0.9313849, "–": nan, "+Inf": math.Inf(1), "1e-9": 1e-9, "1234567.89": 1234567.891, "-2.5": -2.5, "1e+15": 1e15, "118": 118,
	}
	for want, v := range tests {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}
