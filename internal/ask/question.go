package ask

import (
	"errors"
	"fmt"
	"strings"
)

// Engine is what answers a question.
type Engine uint8

// The engines.
const (
	SQLite Engine = iota // in this process
	Athena
)

// Question is a statement that reads, or one that declares a table.
type Question struct {
	SQL      string       // without a semicolon at its end
	Declared *Declaration // what CREATE EXTERNAL TABLE declares; nil: the statement is a query

	tokens []token
}

// ErrReads is wrapped by the errors of statements that do more than read.
var ErrReads = errors.New("gateway ask reads: the statement must be one SELECT (or WITH … SELECT, or VALUES)")

// Parse reads one statement. The error of a statement that does not only read is of one
// line, and repeats nothing of it but its first word. Parse reads as far as that needs: the engine
// reads the rest.
func Parse(sql string, e Engine) (*Question, error) {
	tokens, err := lex(sql, e == SQLite)
	if err != nil {
		return nil, err
	}
	for len(tokens) > 0 && tokens[len(tokens)-1].isSymbol(";") {
		sql, tokens = sql[:tokens[len(tokens)-1].start], tokens[:len(tokens)-1]
	}
	if len(tokens) == 0 {
		return nil, errors.New("there is no SQL")
	}
	for _, t := range tokens {
		if t.isSymbol(";") {
			return nil, errors.New("gateway ask answers one statement: there is a semicolon between two")
		}
	}
	q := &Question{SQL: sql, tokens: tokens}
	if isDeclaration(tokens) {
		q.Declared, err = parseDeclaration(tokens)
		return q, err
	}
	first := tokens[0]
	switch {
	case first.is("SELECT") || first.is("WITH") || first.is("VALUES"):
		return q, balanced(tokens)
	case first.kind == word:
		return nil, fmt.Errorf("%w, not %s", ErrReads, strings.ToUpper(shorten(first.value)))
	}
	return nil, ErrReads
}

// balanced returns an error unless each parenthesis has its other one, so that the
// statement can be a part of another one.
func balanced(tokens []token) error {
	depth := 0
	for _, t := range tokens {
		switch {
		case t.isSymbol("("):
			depth++
		case t.isSymbol(")"):
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return errors.New("the parentheses of the SQL do not match")
	}
	return nil
}

// names returns the names in the statement, in lower case. all is set if there is a star
// that may stand for all columns: count(*) is none.
func (q *Question) names() (names map[string]bool, all bool) {
	names = make(map[string]bool)
	for i, t := range q.tokens {
		switch {
		case t.kind == word || t.kind == quoted:
			names[strings.ToLower(t.value)] = true
		case t.isSymbol("*") && isSelectStar(q.tokens, i):
			all = true
		}
	}
	return names, all
}

// isSelectStar reports whether the star at i comes where an item of a SELECT begins: after
// SELECT, DISTINCT, ALL, a comma or a dot.
func isSelectStar(tokens []token, i int) bool {
	if i == 0 {
		return false
	}
	before := tokens[i-1]
	return before.is("SELECT") || before.is("DISTINCT") || before.is("ALL") || before.isSymbol(",") || before.isSymbol(".")
}

// shorten makes a word of a statement fit into a message.
func shorten(s string) string {
	const most = 20
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
