// Package modelswap renews the model: from the customers to a model that
// serves, in seven steps.
//
//	export ► convert ► train ► register ► evaluate ► deploy ► verify
//
// A [Renewal] is a row in the store, and the row is the truth: an [Engine]
// reads it, runs the step that is due, saves what came of it, and goes on. A
// step is a small function of the shape start-or-poll: it begins its work or
// looks how far it is, within seconds, and is safe to run twice. What a later
// step needs of an earlier one is in [State], saved with the row. So a process
// that dies leaves a row from which the next one continues.
//
// What the steps act on lies behind ports ([Exporter], [Files], [Trainer],
// [Deployer], [Renewals], [Models]); a back end is a set of these. The package
// knows nothing of HTTP, SQL, the cloud, or how a model is trained.
//
//	engine := modelswap.New(ports, options, log, registry)
//	go engine.Run(ctx)
//	renewal, err := engine.Trigger(ctx, modelswap.TriggerRequest{Trigger: modelswap.TriggerManual})
package modelswap
