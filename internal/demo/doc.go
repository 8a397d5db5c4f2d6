// Package demo generates customers for the built-in bank schema, so that a
// gateway without data has something to learn from and to predict.
//
//	customers, err := demo.Customers(schema.Bank(), 6000, 1)
//
// A [Month] generates days of predictions and outcomes of further customers.
//
// The customers are invented, but believable: attributes agree with each
// other (the retired are old and students young; a month comes with the
// economic indicators of its time; without an earlier campaign pdays is 999,
// previous 0 and poutcome nonexistent), and the label follows the attributes,
// so that a model of them has something to find. One in ten has no label yet.
//
// # The signal
//
// A customer subscribes with probability 1/(1+exp(-x)), where x, the
// log-odds, is the sum of
//
//	effect                                  log-odds
//	----------------------------------------------------------------------
//	base                                    -3.52
//	duration, for each second over 240      +0.0065, up to 1200 s
//	poutcome success                        +1.9
//	poutcome failure                        -0.3
//	euribor3m, for each point over 3.6      -0.7
//	month                                   mar +1.0, dec +0.6, sep +0.4,
//	                                        oct +0.4, nov -0.3, may -0.6
//	contact cellular                        +0.35
//	age, for each squared decade from 42    +0.10, up to +1.0
//	campaign, for each call after the first -0.05, up to ten of them
//	default unknown                         -0.25
//	noise                                   normal, deviation 0.3
//
// Everything else (job, marital, education, housing, loan, day_of_week, the
// other indicators) has no effect of its own: what a model finds there comes
// from age, from the Euribor, or from chance.
//
// That makes about 11 % subscribers. Scoring by the log-odds without the noise
// reaches an area under the curve of about 0.91, which is as good as any model
// can get; logistic regression on 6,000 customers comes close to it. Without
// duration, which is known only after the call, it is about 0.77.
//
// # The same everywhere
//
// Customers are drawn from a PCG generator, whose numbers Go promises to keep,
// without any iteration over a map; decimals are written as text and never
// computed. So a seed means the same customers on every platform and in every
// run, and the first thousand of six thousand are those of one thousand.
package demo
