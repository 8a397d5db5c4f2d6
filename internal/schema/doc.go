// Package schema is the feature schema, and everything that follows from it.
//
// A [Schema] describes a customer: features, their types, ranges, categories
// and defaults, and the label to be learned. From this one description come
//
//   - validation: [Schema.DecodeFeatures] and [Schema.SetText] turn JSON, CSV
//     and exports into a [Record], and name every violation at once;
//   - encoding: [Schema.Encode] turns a Record into a [Vector], the columns of
//     numbers that the model is trained on. Training, evaluation and serving all
//     use it, so they agree;
//   - readers: [NewCSVTable] and [NewNDJSONTable] read files of customers row by
//     row, [Schema.Scan] reads the text of a usual request without allocating;
//   - a fingerprint that is stamped on data and models, so that a model is never
//     asked about columns other than those it was trained on.
//
// [Infer] drafts a schema from a CSV file.
//
//	s := schema.Bank()
//	record := s.NewRecord()
//	var violations failure.Violations
//	err := s.DecodeFeatures(record, decoder, "/features/", &violations)
//	violations.Listed = append(violations.Listed, s.Complete(record, "/features/")...)
//	vector := s.Encode(record)
package schema
