package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// mutationsPerOperation is how many changed examples each operation gets.
const mutationsPerOperation = 30

// raw stands for text that encoding/json would not write.
const raw = "raw text"

// mutations are changes to a JSON document: of the value in one place, or of the
// object around it. Their texts replace the value.
var mutations = []struct{ name, text string }{
	{"a member is absent", ""},
	{"a member is added", ""},
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
		names := slices.Sorted(maps.Keys(examples))
		for i := range mutationsPerOperation {
			body, change := mutate(c, random, examples[names[random.IntN(len(names))]], i)
			a := c.send(nil, id, body)
			if a.Status >= 500 {
				c.t.Errorf("%s, mutation %d with seed %d, %s: %d: %s\n%.300s", id, i, seed, change, a.Status, a.Body, body)
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

// place is where a value of a document is.
type place struct {
	set    func(any)
	remove func()
}

// mutate makes the i-th mutation in a random place of a document.
func mutate(c *contractCheck, random *rand.Rand, example string, i int) (body, change string) {
	c.t.Helper()
	var document any
	if err := json.Unmarshal([]byte(example), &document); err != nil {
		c.t.Fatal(err)
	}
	places := []place{{set: func(v any) { document = v }}}
	var objects []map[string]any
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			objects = append(objects, v)
			for _, name := range slices.Sorted(maps.Keys(v)) {
				places = append(places, place{func(n any) { v[name] = n }, func() { delete(v, name) }})
				walk(v[name])
			}
		case []any:
			for i := range v {
				places = append(places, place{set: func(n any) { v[i] = n }})
				walk(v[i])
			}
		}
	}
	walk(document)
	m := mutations[i%len(mutations)]
	at := places[random.IntN(len(places))]
	switch {
	case m.text != "":
		at.set(raw)
	case m.name == "a member is added":
		objects[random.IntN(len(objects))]["shoe"] = 44
	default:
		places = slices.DeleteFunc(places, func(p place) bool { return p.remove == nil })
		if len(places) > 0 {
			places[random.IntN(len(places))].remove()
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(bytes.Replace(text, []byte(`"`+raw+`"`), []byte(m.text), 1)), m.name
}
