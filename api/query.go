package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"gateway/internal/failure"
)

// Numbers and booleans of the query are read by the grammar of openapi.yaml. strconv alone
// would also accept signs, exponents, hexadecimal, underscores and several spellings of
// true.

// queryText returns a parameter of the query, and whether it is given. A parameter that is
// given twice is an error, because programs differ on which one counts.
func queryText(r *http.Request, name string) (string, bool, error) {
	values, given := r.URL.Query()[name]
	if len(values) > 1 {
		return "", true, invalidQuery(name, "must be given once")
	}
	if !given {
		return "", false, nil
	}
	if text := values[0]; !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return "", true, invalidQuery(name, "must be UTF-8 without the character U+0000")
	}
	return values[0], true, nil
}

// queryInt returns a whole number from minimum to maximum, or fallback if the parameter is
// missing.
func queryInt(r *http.Request, name string, fallback, minimum, maximum int) (int, error) {
	text, given, err := queryText(r, name)
	if err != nil || !given {
		return fallback, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text || n < minimum || n > maximum {
		return 0, invalidQuery(name, fmt.Sprintf("must be a number from %d to %d", minimum, maximum))
	}
	return n, nil
}

// queryBool returns a boolean, or false if the parameter is missing.
func queryBool(r *http.Request, name string) (bool, error) {
	text, given, err := queryText(r, name)
	switch {
	case err != nil:
		return false, err
	case !given || text == "false":
		return false, nil
	case text == "true":
		return true, nil
	}
	return false, invalidQuery(name, "must be true or false")
}

func invalidQuery(name, rule string) error {
	return &failure.Error{Kind: failure.Invalid, Detail: "a parameter of the query is wrong",
		Violations: []failure.Violation{{Field: name, Code: failure.CodeFormat, Detail: rule}}}
}
