package predict

import "gateway/internal/failure"

// stored reads the features of a stored customer. A value that the schema does
// not allow counts as absent, because others may write to the store and schemas
// change: its feature takes the default or, without one, is missing, and the
// caller is told so. As a default hides that, each is counted; no value is
// repeated anywhere. What the schema does not know at all is no fault.
func (s *Service) stored(text []byte) (Record, error) {
	r := s.schema.NewRecord()
	var violations failure.Violations
	err := s.schema.DecodeFeatures(r, newDecoder(text), "", &violations)
	for _, v := range violations.Listed {
		if i := s.schema.Feature(v.Field); i >= 0 {
			s.metrics.stored.WithLabelValues(s.schema.Features[i].Name, v.Code).Inc()
		}
	}
	return r, err
}
