// Package app is a whole gateway: Open wires it and binds its listeners, Serve
// runs it and stops it.
//
//   - [App] has the listeners, the API and the life of the process (app.go,
//     api.go, lifecycle.go);
//   - components is what the process has once: the data dir, secrets, the database,
//     the outbox, idempotency keys (components.go and a file for each);
//   - [Model] is one served model: schema, back end, service, importer, engine
//     (model.go). The process holds a list with one;
//   - backEnd is what differs between the platforms. There is one recipe for each:
//     local.go and sagemaker.go.
package app
