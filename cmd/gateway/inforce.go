package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"gateway/api/client"
	"gateway/internal/config"
)

// noteSchema says which schema is in force and which setting names it, for a file
// that seems to be of another one.
func (r remote) noteSchema(out io.Writer, s client.SchemaInForce) {
	if s.Name == "" {
		return // the gateway has not answered
	}
	from := "of the gateway at " + r.URL
	if r.URL == "" {
		from = r.schemaSource()
	}
	fmt.Fprintf(out, "the schema in force is %q, %s\n", s.Name, from)
}

// schemaSource says where the schema of a command without --url comes from.
func (r remote) schemaSource() string {
	cfg, err := config.Load()
	if err != nil {
		return "" // with wrong settings no command comes so far
	}
	path, err := cfg.SchemaPath()
	switch {
	case r.schema != "":
		return "of " + r.schema
	case cfg.Schema != "":
		return "of " + cfg.Schema + " (GATEWAY_SCHEMA)"
	case err == nil && path != "":
		return "of " + path + ", since GATEWAY_SCHEMA is empty"
	}
	return "the built-in one, since GATEWAY_SCHEMA is empty and there is no " + cfg.DataSchema() + "; gateway init FILE makes one for a file"
}

// labelLine says which value of the label is positive, and its share of the rows with
// a label.
func labelLine(s client.SchemaInForce, positive, labelled int64) string {
	if labelled == 0 {
		return fmt.Sprintf("label %s: no row has one", s.Label)
	}
	return fmt.Sprintf("label %s: %s is positive, %.1f %% of %s rows", s.Label, spellings(s.Positive), 100*float64(positive)/float64(labelled), grouped(labelled))
}

// spellings lists values of a label, texts in quotes.
func spellings(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		switch x := v.(type) {
		case string:
			texts[i] = `'` + x + `'`
		case float64:
			texts[i] = strconv.FormatFloat(x, 'f', -1, 64)
		}
	}
	return strings.Join(texts, ", ")
}

// grouped writes a count with a comma between thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
