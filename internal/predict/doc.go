// Package predict answers predictions and takes outcomes.
//
// [Service] lays a request over the stored features of its customer, checks it
// against the feature schema, encodes it, asks the model and records the
// prediction. What it asks is behind three ports: [Scorer] (a model),
// [Customers] (stored features) and [Ledger] (what was predicted, and the outcome
// of each prediction). [Importer] loads files of customers into the store.
//
// The package does not depend on HTTP, SQL, the files of models or the cloud.
//
//	service := predict.NewService(schema.Bank(), scorer, customers, ledger, log, registry)
//	prediction, err := service.Predict(ctx, predict.Request{Features: record})
package predict
