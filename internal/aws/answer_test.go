package aws

import (
	"fmt"
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

// FuzzParseAnswer checks that any answer gives one probability for each row, or an error.
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

// TestUsualAnswersAreScanned checks that scan parses the usual answers. The result of
// parseAnswer would not show that, because the JSON library parses them as well.
func TestUsualAnswersAreScanned(t *testing.T) {
	for _, text := range []string{
		`{"predictions": [{"score": 0.25, "predicted_label": 1.0}, {"score": 1e-07, "predicted_label": 0}]}`,
		`{"predictions":[{"predicted_label":1,"score":0.25},{"score":0.5}]}`,
		"{\n \"predictions\" : [ 0.25 , 1 ]\t}\r\n",
	} {
		if a := new(answer); !a.scan([]byte(text)) || len(a.scores) != 2 || len(a.labels) != 2 {
			t.Errorf("%s: got %+v", text, a)
		}
	}
}

// FuzzScan checks that the JSON library accepts each text that scan accepts, with the same
// result.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		`{"predictions": [{"score": 0.25, "predicted_label": 1.0}, {"score": 1e-07}]}`, `{"predictions":[]}`, `{"predictions":[0.5,-0,1E+2]}`,
		`{"predictions":[{"score":01}]}`, `{"predictions":[{"score":.5}]}`, `{"predictions":[{"score":1.}]}`, `{"predictions":[{"score":+1}]}`,
		`{"predictions":[{"score":0x1p-2}]}`, `{"predictions":[{"score":1_0}]}`, `{"predictions":[{"score":1e999}]}`, `{"predictions":[{"score":1,}]}`,
		`{"predictions":[{"score":1,"score":1}]}`, `{"predictions":[{"predicted_label":1}]}`, `{"predictions":[1]}{}`, `{"predictions":[1],"a":2}`,
		`{"predictions":[1]`, `{"predictions":[{"score":1}`, `{"predictions":[1,]}`, `{"predictions":[{"score":1,"predicted_label":2}]}`, `{"predictions":[infinity]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var scanned, read answer
		if !scanned.scan(text) {
			if len(scanned.scores)+len(scanned.labels) > 0 {
				t.Errorf("%q: something is left of it: %+v", text, scanned)
			}
			return
		}
		if err := read.fromJSON(text); err != nil {
			t.Fatalf("%q was read as %+v, and is wrong: %v", text, scanned, err)
		}
		if diff := cmp.Diff(read, scanned, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}

func BenchmarkParseAnswer(b *testing.B) {
	for _, n := range []int{1, 32, 256} {
		body := answerFor(n)
		b.Run(fmt.Sprintf("scan/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseAnswer(typeJSON, body, n); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("library/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var a answer
				if err := a.fromJSON(body); err != nil || len(a.scores) != n {
					b.Fatal(err)
				}
			}
		})
	}
}
