// Package predict is the heart of the gateway: the feature schema, and
// everything that follows from it.
//
// A [Schema] describes a customer: features, their types, ranges, categories
// and defaults, and the label to be learned. From this one description come
//
//   - validation: [Schema.DecodeFeatures] and [Schema.SetText] turn JSON, CSV
//     and exports into a [Record], and name every violation at once;
//   - encoding: [Schema.Encode] turns a Record into a [Vector], the columns of
//     numbers that the model sees. Training, evaluation and serving all go
//     through it, so they cannot disagree;
//   - a fingerprint that is stamped on data and models, so that a model never
//     sees columns that mean something else than those it was trained on.
//
// [Service] answers predictions and takes outcomes. What it asks lies behind
// three ports: [Scorer] (a model), [Customers] (stored features) and [Ledger]
// (what was predicted, and what became of it).
//
// The package knows nothing of HTTP, SQL, files of models or the cloud.
//
//	schema := predict.Bank()
//	service := predict.NewService(schema, scorer, customers, ledger, log, registry)
//	record := schema.NewRecord()
//	violations, err := schema.DecodeFeatures(record, decoder, "/features/")
//	…
//	prediction, err := service.Predict(ctx, predict.Request{Features: record})
package predict
