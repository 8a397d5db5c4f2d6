package schema

import (
	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/failure"
)

// DecodeFeatures reads one JSON object of features from dec into r. Every member
// that violates the schema, or is a duplicate, adds a violation whose field is
// named after prefix (such as "/features/"), and reading continues. An error
// means that the JSON is malformed and nothing more can be read. dec must refuse
// duplicate names and invalid UTF-8, as jsontext does by default.
func (s *Schema) DecodeFeatures(r Record, dec *jsontext.Decoder, prefix string, violations *failure.Violations) error {
	if kind := dec.PeekKind(); kind != '{' {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		name := "features"
		if prefix != "" {
			name = prefix[:len(prefix)-1]
		}
		violations.Add(failure.Violation{Field: name, Code: failure.CodeType, Detail: "must be an object, not " + JSONKind(raw.Kind())})
		return nil
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		s.setMember(r, name, raw, prefix, violations)
	}
	_, err := dec.ReadToken()
	return err
}

// setMember is SetMember with a field that is named after prefix. It does not
// describe violations that will not be listed: searching a suggestion for each
// unknown name takes longer than everything else.
func (s *Schema) setMember(r Record, name string, raw jsontext.Value, prefix string, violations *failure.Violations) {
	if violations.Full() && s.Feature(name) < 0 {
		violations.Omitted++
		return
	}
	if v := s.SetMember(r, name, raw); v != nil {
		v.Field = failure.Pointer(prefix, v.Field)
		violations.Add(*v)
	}
}

// SetMember sets a feature from a member of a JSON object. It returns the
// violation, if any, whose field is the name as given.
func (s *Schema) SetMember(r Record, name string, raw jsontext.Value) *failure.Violation {
	i := s.Feature(name)
	if i < 0 {
		return &failure.Violation{Field: shorten(name), Code: failure.CodeUnknown, Detail: "is not a feature of the schema" + s.didYouMean(name)}
	}
	if r.Has(i) {
		return &failure.Violation{Field: name, Code: failure.CodeDuplicate, Detail: "is feature \"" + s.Features[i].Name + "\", which is given twice"}
	}
	v := s.setJSON(r, i, raw)
	if v != nil {
		v.Field = name // as the caller wrote it
		r.origin[i] = refused
	}
	return v
}

// DecodeStored reads features as AppendFeatures wrote them, perhaps under an
// earlier schema. A feature that this schema does not have is skipped. A value
// that it does not allow counts as absent; ignored, unless nil, is called with the
// feature's index and the violation's code. The error means that the text is not
// JSON; it repeats no value.
func (s *Schema) DecodeStored(text []byte, ignored func(feature int, code string)) (Record, error) {
	r := s.NewRecord()
	var violations failure.Violations
	err := s.DecodeFeatures(r, newDecoder(text), "", &violations)
	for i, o := range r.origin {
		if o == refused {
			r.origin[i] = absent
		}
	}
	if ignored == nil {
		return r, err
	}
	for _, v := range violations.Listed {
		if i := s.Feature(v.Field); i >= 0 {
			ignored(i, v.Code)
		}
	}
	return r, err
}

// AppendFeatures appends the record's values as a JSON object in the order of
// the schema. With personal false, features marked personal are left out.
func (s *Schema) AppendFeatures(dst []byte, r Record, personal bool) []byte {
	dst = append(dst, '{')
	first := true
	for i := range s.Features {
		f := &s.Features[i]
		if !r.Has(i) || (f.Personal && !personal) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(append(dst, '"'), f.Name...), '"', ':')
		dst = s.AppendValue(dst, r, i)
	}
	return append(dst, '}')
}

// AppendValue appends the value of the feature of index i as JSON. The record
// must have one.
func (s *Schema) AppendValue(dst []byte, r Record, i int) []byte {
	f := &s.Features[i]
	switch {
	case r.origin[i] == null:
		return append(dst, "null"...)
	case f.Type == Date:
		return append(append(append(dst, '"'), formatDay(r.values[i])...), '"')
	case f.Type == Category:
		dst, _ = jsontext.AppendQuote(dst, f.Values[int(r.values[i])])
		return dst
	}
	return appendNumber(dst, r.values[i])
}
