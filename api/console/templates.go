package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages by name. Each has the layout and the shared parts.
type templates map[string]*template.Template

func parseTemplates() templates {
	all := make(templates)
	shared := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "templates/shared/*.html"))
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is part of the program
	}
	for _, name := range names {
		one := template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, name))
		all[strings.TrimSuffix(path.Base(name), ".html")] = one
	}
	return all
}

// functions are what templates can call.
var functions = template.FuncMap{
	"time":     timeOf,
	"duration": durationOf,
	"number":   number,
	"count":    count,
	"percent":  percent,
	"short":    short,
	"parts":    parts,
	"nested":   nested,
	"json":     indented,
	"plain":    plain,
}

// timeOf returns a time element, or a dash for none. A script adds the viewer's own zone.
func timeOf(at any) template.HTML {
	var t time.Time
	switch at := at.(type) {
	case time.Time:
		t = at
	case *time.Time:
		if at != nil {
			t = *at
		}
	}
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.Format(time.RFC3339Nano), t.Format("2006-01-02 15:04:05 UTC")))
}

// durationOf returns a duration in the units that a person reads: "3 d 4 h", "12 s".
func durationOf(d time.Duration) string {
	switch {
	case d < 0:
		return "–"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// number returns a number with at most four significant digits, or a dash for none.
func number(value any) string {
	var x float64
	switch value := value.(type) {
	case float64:
		x = value
	case *float64:
		if value == nil {
			return "–"
		}
		x = *value
	default:
		return fmt.Sprint(value)
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "–"
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// count returns a whole number with a thin space between groups of three digits.
func count(n any) string {
	text := fmt.Sprint(n)
	digits, sign := strings.TrimPrefix(text, "-"), ""
	if len(digits) < len(text) {
		sign = "−"
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// percent returns a share of one as a percentage.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
}

// short returns the last eight characters of an id.
func short(id string) string {
	if len(id) <= 8 {
		return id
	}
	return "…" + id[len(id)-8:]
}

// parts returns a map of the arguments, which are names and values in turn, for a template
// that takes more than one value.
func parts(args ...any) (map[string]any, error) {
	out := make(map[string]any, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		name, ok := args[i].(string)
		if !ok {
			return nil, fmt.Errorf("parts: argument %d is no name", i)
		}
		out[name] = args[i+1]
	}
	return out, nil
}

// nested reports whether a value of a step's detail has parts.
func nested(value any) bool {
	switch reflect.Indirect(reflect.ValueOf(value)).Kind() {
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Struct:
		return true
	}
	return false
}

// indented returns a value as JSON.
func indented(value any) (string, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text), err
}

// plain returns a value without parts. A whole number has no exponent.
func plain(value any) string {
	if x, ok := value.(float64); ok && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}
