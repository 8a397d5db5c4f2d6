// Package modelswap renews the model: from the customers to a model that
// serves, in seven steps.
//
//	export ► convert ► train ► register ► evaluate ► deploy ► verify
//
// A [Renewal] is a row in the store. An [Engine] reads the row, runs the next
// step, saves the result and continues. A step is a short function that starts
// its work or polls it, returns within seconds, and is safe to run twice. What a
// later step needs from an earlier one is in [State], which is saved with the
// row. When a process dies, the next one continues from the row.
//
// Back ends implement the ports ([Exporter], [Files], [Trainer], [Deployer],
// [Renewals], [Models]). The package does not depend on HTTP, SQL, the cloud or
// the learning algorithm.
//
//	engine := modelswap.New(ports, options, log, registry)
//	go engine.Run(ctx)
//	renewal, err := engine.Trigger(ctx, modelswap.TriggerRequest{Trigger: modelswap.TriggerManual})
package modelswap
