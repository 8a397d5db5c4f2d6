package store

import (
	"database/sql"
	"encoding/json"
	"time"
)

// row is a *sql.Row, or *sql.Rows at a row.
type row interface {
	Scan(dest ...any) error
}

// micros is how a time is stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// fromMicros is the inverse of micros, in UTC.
func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optionalMicros is how a time that may be missing is stored.
func optionalMicros(t *time.Time) sql.Null[int64] {
	if t == nil {
		return sql.Null[int64]{}
	}
	return sql.Null[int64]{V: micros(*t), Valid: true}
}

// optionalTime is the inverse of optionalMicros.
func optionalTime(us sql.Null[int64]) *time.Time {
	if !us.Valid {
		return nil
	}
	t := fromMicros(us.V)
	return &t
}

// optional stores a pointer's target, or NULL for nil.
func optional[T any](p *T) sql.Null[T] {
	if p == nil {
		return sql.Null[T]{}
	}
	return sql.Null[T]{V: *p, Valid: true}
}

// pointer is the inverse of optional.
func pointer[T any](n sql.Null[T]) *T {
	if !n.Valid {
		return nil
	}
	return &n.V
}

// textOrNull stores text, or NULL if it is empty.
func textOrNull(text string) sql.Null[string] {
	return sql.Null[string]{V: text, Valid: text != ""}
}

// label converts a label that may be unknown.
func label(p *int) sql.Null[int64] {
	if p == nil {
		return sql.Null[int64]{}
	}
	return sql.Null[int64]{V: int64(*p), Valid: true}
}

// fromLabel is the inverse of label.
func fromLabel(n sql.Null[int64]) *int {
	if !n.Valid {
		return nil
	}
	y := int(n.V)
	return &y
}

// flag is how a boolean is stored.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// encode is how a value is stored as JSON.
func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// encodeOptional is encode for what may be nil: NULL, not the text "null".
func encodeOptional(v any, isNil bool) (sql.Null[string], error) {
	if isNil {
		return sql.Null[string]{}, nil
	}
	text, err := encode(v)
	return sql.Null[string]{V: text, Valid: true}, err
}

// decodeOptional is the inverse of encodeOptional; v points to a nil value.
func decodeOptional(text sql.Null[string], v any) error {
	if !text.Valid {
		return nil
	}
	return json.Unmarshal([]byte(text.V), v)
}
