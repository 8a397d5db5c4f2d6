package app

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// mutationsPerOperation is how many changed examples each operation gets. It is
// more than any of them has values.
const mutationsPerOperation = 40

// raw stands for text that encoding/json would not write.
const raw = "raw text"

// Texts of mutations that replace no value by another.
const absent, added = "absent", `{"shoe":44}`

// mutations are changes to a value in a JSON document, by the text that replaces it.
var mutations = []struct{ name, text string }{
	{"absent", absent},
	{"a member is added", added},
	{"null", "null"},
	{"an empty string", `""`},
	{"a string", `"yes"`},
	{"a boolean", "true"},
	{"an array", "[1]"},
	{"an object", `{"age":1}`},
	{"a number", "-0.5"},
	{"a number beyond 64 bits", "99999999999999999999"},
	{"a number beyond a float64", "-1e400"},
	{"deep nesting", strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000)},
	{"a long string", `"` + strings.Repeat("ä", 5000) + `"`},
	{"invalid UTF-8", "\"\xff\xfe\""},
	{"U+0000", `"\u0000"`},
	{"half of a surrogate pair", `"\ud800"`},
	{"a member given twice", `1,"outcome":1,"outcome":1`},
	{"broken JSON", `{`},
}

// mutations sends changed examples to every operation that takes JSON. No change
// may bring about a fault of the gateway, and each answer must be documented.
func (c *contractCheck) mutations() {
	const seed = 18
	random := rand.New(rand.NewPCG(seed, seed))
	ids := slices.Sorted(maps.Keys(c.Operations()))
	for _, id := range ids {
		examples := c.examples(id)["application/json"]
		if len(examples) == 0 {
			continue
		}
		var targets []target
		for _, name := range slices.Sorted(maps.Keys(examples)) {
			for i := range len(c.places(examples[name])) {
				targets = append(targets, target{examples[name], i})
			}
		}
		random.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		for i := range mutationsPerOperation {
			m := mutations[i%len(mutations)]
			body := c.mutate(targets[i%len(targets)], m.text)
			a := c.send(nil, id, body)
			if a.Status >= 500 {
				c.t.Errorf("%s, mutation %d with seed %d, %s: %d: %s\n%.300s", id, i, seed, m.name, a.Status, a.Body, body)
			}
			if id == "retrain" && a.Status == http.StatusAccepted {
				c.endRenewal(a.Body)
			}
		}
	}
}

// endRenewal cancels a renewal that has just begun and waits for its end.
func (c *contractCheck) endRenewal(body string) {
	c.t.Helper()
	var r struct{ ID string }
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		c.t.Fatal(err)
	}
	c.send(nil, "POST /admin/renewals/"+r.ID+"/cancel", "")
	c.g.finished(c.t, r.ID)
}

// target is a place in an example: a value in it, counted from the whole.
type target struct {
	example string
	place   int
}

// places returns a function for each value of a document, the whole first. It
// replaces the value by a text and returns the document.
func (c *contractCheck) places(example string) []func(text string) string {
	c.t.Helper()
	var document any
	if err := json.Unmarshal([]byte(example), &document); err != nil {
		c.t.Fatal(err)
	}
	var places []func(string) string
	var walk func(v any, set func(any), drop func())
	walk = func(v any, set func(any), drop func()) {
		places = append(places, func(text string) string {
			object, isObject := v.(map[string]any)
			switch {
			case text == absent:
				drop()
			case text == added && isObject:
				object["shoe"] = 44
			default:
				set(raw)
			}
			encoded, err := json.Marshal(document)
			if err != nil {
				c.t.Fatal(err)
			}
			return strings.Replace(string(encoded), `"`+raw+`"`, text, 1)
		})
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(v[name], func(n any) { v[name] = n }, func() { delete(v, name) })
			}
		case []any:
			for i := range v {
				walk(v[i], func(n any) { v[i] = n }, func() { v[i] = nil })
			}
		}
	}
	walk(document, func(n any) { document = n }, func() { document = nil })
	return places
}

// mutate replaces the value in a place by a text.
func (c *contractCheck) mutate(at target, text string) string {
	c.t.Helper()
	return c.places(at.example)[at.place](text)
}
