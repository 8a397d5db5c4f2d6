package aws

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswersAreRead(t *testing.T) {
	tests := []struct {
		name, mediaType, body string
		scores                []float64
		labels                []int
	}{
		{"linear-learner", "application/json", `{"predictions": [{"score": 0.25, "predicted_label": 1.0}, {"score": 0.75, "predicted_label": 0}]}`, []float64{0.25, 0.75}, []int{1, 0}},
		{"XGBoost in JSON", "application/json; charset=utf-8", `{"predictions":[{"score":0.25},{"score":0.5}]}`, []float64{0.25, 0.5}, []int{0, 1}},
		{"bare numbers", "application/json", `{"predictions":[0.25,1]}`, []float64{0.25, 1}, []int{0, 1}},
		{"XGBoost, one on each line", "text/csv; charset=utf-8", "0.25\n0.5\n", []float64{0.25, 0.5}, []int{0, 1}},
		{"XGBoost up to 0.90, joined by commas", "text/csv", "0.25,0.5", []float64{0.25, 0.5}, []int{0, 1}},
		{"numbers with exponents", "text/csv", "1e-9\r\n9.9E-1\r\n", []float64{1e-9, 0.99}, []int{0, 1}},
		{"lines of JSON", "application/jsonlines", "{\"score\":0.25,\"predicted_label\":0.0}\n\n{\"score\":0.5,\"predicted_label\":1.0}\n", []float64{0.25, 0.5}, []int{0, 1}},
		{"JSON that does not say so", "", ` {"predictions":[{"score":0},{"score":1}]} `, []float64{0, 1}, []int{0, 1}},
		{"CSV that does not say so", "application/octet-stream", "0.25\n0.5", []float64{0.25, 0.5}, []int{0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := parseAnswer(tt.mediaType, []byte(tt.body), 2)
			if err != nil {
				t.Fatal(err)
			}
			labels := []int{a.label(0), a.label(1)}
			if diff := cmp.Diff(tt.scores, a.scores) + cmp.Diff(tt.labels, labels); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNonsenseIsNoAnswer(t *testing.T) {
	tests := []struct{ name, mediaType, body string }{
		{"nothing", "application/json", ""},
		{"blanks", "text/csv", " \n"},
		{"a page", "text/html", "<html>0.5</html>"},
		{"a page called JSON", "application/json", "<html>"},
		{"half of the JSON", "application/json", `{"predictions":[{"score":0.25},{"sc`},
		{"one too few", "application/json", `{"predictions":[{"score":0.25}]}`},
		{"one too many", "text/csv", "0.1,0.2,0.3"},
		{"no score", "application/json", `{"predictions":[{"score":0.25},{"predicted_label":1}]}`},
		{"null", "application/json", `{"predictions":[{"score":0.25},{"score":null}]}`},
		{"NaN in JSON", "application/json", `{"predictions":[{"score":0.25},{"score":NaN}]}`},
		{"NaN in CSV", "text/csv", "0.25\nNaN"},
		{"infinity", "text/csv", "0.25\nInf"},
		{"too large", "text/csv", "0.25\n1e999"},
		{"not a probability", "text/csv", "0.25\n1.5"},
		{"negative", "application/json", `{"predictions":[{"score":0.25},{"score":-0.1}]}`},
		{"a list of scores, of several classes", "application/json", `{"predictions":[{"score":[0.1,0.9]},{"score":[0.1,0.9]}]}`},
		{"a label of a third class", "application/json", `{"predictions":[{"score":0.25,"predicted_label":2},{"score":0.5}]}`},
		{"an error in JSON", "application/json", `{"error":"out of memory"}`},
		{"twice the same member", "application/json", `{"predictions":[0.1,0.2],"predictions":[0.3,0.4]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, err := parseAnswer(tt.mediaType, []byte(tt.body), 2); err == nil {
				t.Errorf("got %+v", a)
			}
		})
	}
}

// FuzzParseAnswer holds hostile answers to the one promise: so many
// probabilities, or an error.
func FuzzParseAnswer(f *testing.F) {
	f.Add("application/json", `{"predictions":[{"score":0.25,"predicted_label":1.0}]}`, 1)
	f.Add("text/csv", "0.25,0.5\n", 2)
	f.Add("application/jsonlines", "{\"score\":0.25}\n", 1)
	f.Fuzz(func(t *testing.T, mediaType, body string, rows int) {
		a, err := parseAnswer(mediaType, []byte(body), rows)
		if err != nil {
			if len(body) > 8 && strings.Contains(err.Error(), body) {
				t.Errorf("the error repeats the body: %v", err)
			}
			return
		}
		if rows != anyRows && len(a.scores) != rows || len(a.labels) != len(a.scores) {
			t.Errorf("%d rows have %d scores and %d labels", rows, len(a.scores), len(a.labels))
		}
		for i, x := range a.scores {
			if !(x >= 0 && x <= 1) || a.label(i)&^1 != 0 {
				t.Errorf("score %v, label %d", x, a.label(i))
			}
		}
	})
}

func BenchmarkParseAnswer(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"predictions": [`)
	for i := range 257 {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, `{"score": %v, "predicted_label": 1.0}`, float64(float32(math.Sqrt(float64(i))/17)))
	}
	text.WriteString("]}")
	body := []byte(text.String())
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := parseAnswer(typeJSON, body, 257); err != nil {
			b.Fatal(err)
		}
	}
}
