package ask

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind is the kind of a token of SQL.
type tokenKind uint8

const (
	word   tokenKind = iota // a keyword or a name without quotes
	quoted                  // a name in "…", `…` or […]
	text                    // a text in '…'
	symbol                  // any other character
)

// token is a token of SQL. Comments and blanks are none.
type token struct {
	kind       tokenKind
	value      string // of a name or text, without the quotes
	start, end int    // in the SQL
}

// is reports whether the token is a keyword or name without quotes.
func (t token) is(name string) bool { return t.kind == word && strings.EqualFold(t.value, name) }

// isSymbol reports whether the token is a character.
func (t token) isSymbol(c string) bool { return t.kind == symbol && t.value == c }

// closing has the end of what begins with a character.
var closing = map[byte]byte{'\'': '\'', '"': '"', '`': '`', '[': ']'}

// lex divides SQL into tokens. It reads what SQLite and Athena have in common; a bracket
// begins a name as in SQLite only if brackets is set.
func lex(sql string, brackets bool) ([]token, error) {
	var tokens []token
	for at := 0; at < len(sql); {
		c, size := utf8.DecodeRuneInString(sql[at:])
		switch {
		case c == 0:
			return nil, errors.New("the SQL has a NUL character")
		case unicode.IsSpace(c) || c == '\ufeff':
			at += size
		case strings.HasPrefix(sql[at:], "--"):
			at = after(sql, at, "\n")
		case strings.HasPrefix(sql[at:], "/*"):
			if at = after(sql, at+2, "*/"); !strings.HasSuffix(sql[:at], "*/") {
				return nil, errors.New("the SQL has a comment without an end")
			}
		case c == '\'' || c == '"' || c == '`' || c == '[' && brackets:
			t, err := lexQuoted(sql, at)
			if err != nil {
				return nil, err
			}
			tokens, at = append(tokens, t), t.end
		case isWord(c):
			end := at
			for end < len(sql) {
				c, size := utf8.DecodeRuneInString(sql[end:])
				if !isWord(c) {
					break
				}
				end += size
			}
			tokens, at = append(tokens, token{word, sql[at:end], at, end}), end
		default:
			tokens, at = append(tokens, token{symbol, sql[at : at+size], at, at + size}), at+size
		}
	}
	return tokens, nil
}

func isWord(c rune) bool {
	return c == '_' || c == '$' || unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)
}

// after returns the end of the next occurrence of end at or after at; without one the end
// of the SQL.
func after(sql string, at int, end string) int {
	i := strings.Index(sql[at:], end)
	if i < 0 {
		return len(sql)
	}
	return at + i + len(end)
}

// lexQuoted reads a name or text in quotes. A quote in it is written twice, but a bracket
// cannot be in a name in brackets.
func lexQuoted(sql string, start int) (token, error) {
	end := closing[sql[start]]
	var value strings.Builder
	for at := start + 1; at < len(sql); at++ {
		switch {
		case sql[at] != end:
			value.WriteByte(sql[at])
		case end != ']' && at+1 < len(sql) && sql[at+1] == end:
			value.WriteByte(end)
			at++
		default:
			kind := quoted
			if end == '\'' {
				kind = text
			}
			return token{kind, value.String(), start, at + 1}, nil
		}
	}
	return token{}, errors.New("the SQL has a quote or bracket without an end")
}
