package schema

import (
	"bytes"
	"fmt"
)

// Vector is an encoded row, the input of a model: Schema.Width numbers in the
// order of Schema.Columns.
type Vector []float64

// shape is the way in which a feature is encoded. It is known once for all rows.
type shape uint8

const (
	shapeNone shape = iota // excluded
	shapeNumber
	shapeOneHot
	shapeOrdinal // of Target too
	shapeDate
	shapeOptional // a value may be missing
)

func (f *Feature) shapeOf() shape {
	switch {
	case f.Exclude:
		return shapeNone
	case f.Missing:
		return shapeOptional
	case f.Type == Date:
		return shapeDate
	case f.Type != Category:
		return shapeNumber
	case f.Encode != OneHot:
		return shapeOrdinal
	}
	return shapeOneHot
}

// Encode turns a complete record into a Vector. It is the only place where
// features become columns: training, serving and evaluation all use it.
func (s *Schema) Encode(r Record) Vector {
	return s.AppendVector(make(Vector, 0, len(s.columns)), r)
}

// AppendVector appends the encoded columns of a complete record to dst.
func (s *Schema) AppendVector(dst Vector, r Record) Vector {
	for i := range s.Features {
		f := &s.Features[i]
		switch f.shape {
		case shapeNone:
		case shapeOptional:
			dst = f.appendOptional(dst, r.values[i], r.Missing(i))
		case shapeDate:
			dst = appendDay(dst, r.values[i])
		case shapeNumber:
			dst = append(dst, r.values[i])
		case shapeOrdinal:
			dst = append(dst, r.values[i]+1)
		case shapeOneHot:
			at := len(dst) + int(r.values[i])
			for range f.Values {
				dst = append(dst, 0)
			}
			dst[at] = 1
		}
	}
	return dst
}

// appendOptional appends the columns of a feature that may be missing, the last of
// which is 1 if it is, else 0. A missing number or date is encoded as Fill, or as
// zeros, a missing category as no value. An indicator and a number, not NaN: every algorithm and every form of
// training data takes them, and linear models can learn from both.
func (f *Feature) appendOptional(dst Vector, value float64, missing bool) Vector {
	indicator := 0.0
	if missing {
		indicator = 1
	}
	known := !missing || f.Fill != nil
	if missing && f.Fill != nil {
		value = *f.Fill
	}
	switch {
	case f.Type == Date && known:
		dst = appendDay(dst, value)
	case f.Type == Date:
		dst = append(dst, 0, 0, 0)
	case f.Type != Category && !known:
		dst = append(dst, 0)
	case f.Type != Category:
		dst = append(dst, value)
	case f.Encode != OneHot && missing:
		dst = append(dst, 0)
	case f.Encode != OneHot:
		dst = append(dst, value+1)
	default:
		at := len(dst) + int(value)
		for range f.Values {
			dst = append(dst, 0)
		}
		if !missing {
			dst[at] = 1
		}
	}
	return append(dst, indicator)
}

// AppendCSV appends a vector as a row of serving CSV: no label, no line end.
func AppendCSV(dst []byte, v Vector) []byte {
	for i, x := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch x {
		case 0:
			dst = append(dst, '0')
		case 1:
			dst = append(dst, '1')
		default:
			dst = appendNumber(dst, x)
		}
	}
	return dst
}

// AppendTrainingCSV appends a row of training CSV: the label first, then the
// serving row, no line end.
func AppendTrainingCSV(dst []byte, label int, v Vector) []byte {
	dst = append(dst, byte('0'+label), ',')
	return AppendCSV(dst, v)
}

// ParseCSV reads one row of serving CSV, the inverse of AppendCSV. An error names
// the column and does not repeat a value.
func (s *Schema) ParseCSV(row []byte) (Vector, error) {
	v := make(Vector, 0, len(s.columns))
	for rest, more := row, true; more; {
		var cell []byte
		cell, rest, more = bytes.Cut(rest, []byte{','})
		if len(v) == len(s.columns) {
			return nil, fmt.Errorf("the row must have %d columns, it has more", len(s.columns))
		}
		x, ok, finite := parseNumber(string(bytes.TrimSpace(cell)))
		if !ok || !finite {
			return nil, fmt.Errorf("column %d (%s) is not a finite number", len(v)+1, s.columns[len(v)])
		}
		v = append(v, x)
	}
	if len(v) != len(s.columns) {
		return nil, fmt.Errorf("the row must have %d columns, it has %d", len(s.columns), len(v))
	}
	return v, nil
}

// Decode returns the value of the feature of which v begins with the encoded columns,
// as AppendVector wrote them: the number, the day, or the index into Values; and
// whether it is missing.
func (f *Feature) Decode(v Vector) (value float64, missing bool) {
	if f.Missing && v[f.Width()-1] == 1 {
		return 0, true
	}
	switch {
	case f.Type == Category && f.Encode != OneHot:
		return v[0] - 1, false
	case f.Type == Category:
		for i := range f.Values {
			if v[i] == 1 {
				return float64(i), false
			}
		}
		return 0, true
	}
	return v[0], false
}
