package schema

import "strings"

// Units says, for each encoded column, what a difference of 1 in it is: "per 1" of a
// number, "per 1 €" where the feature's format has a unit, "per day", "if admin." for
// the column of a category's value, "if missing".
func (s *Schema) Units() []string {
	units := make([]string, 0, len(s.columns))
	for i := range s.Features {
		units = s.Features[i].appendUnits(units)
	}
	return units
}

// appendUnits appends the units of the columns that appendColumns names.
func (f *Feature) appendUnits(dst []string) []string {
	switch {
	case f.Exclude:
		return dst
	case f.Type == Category && f.Encode == OneHot:
		for _, v := range f.Values {
			dst = append(dst, "if "+v)
		}
	case f.Encode == Target:
		dst = append(dst, "per 1 of the log-odds of its value")
	case f.Type == Category:
		dst = append(dst, "per place in the list of values")
	case f.Type == Date:
		dst = append(dst, "per day", "per month of the year", "per day of the week")
	case f.numbers != nil:
		dst = append(dst, strings.TrimSpace("per 1 "+f.numbers.prefix+f.numbers.suffix))
	default:
		dst = append(dst, "per 1")
	}
	if f.Missing {
		dst = append(dst, "if missing")
	}
	return dst
}
