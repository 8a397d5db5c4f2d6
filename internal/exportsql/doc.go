// Package exportsql writes the conversion of an export as SQL, for Athena: what
// [gateway/internal/export.Convert] does to each item, in one expression for all of them.
// It runs nothing.
//
//	plan, err := exportsql.New(schema, export.Native)
//	plan.CreateTable("gateway_x", "s3://bucket/exports/…/data/") // an external table over the files
//	plan.Counts("gateway_x", policy, watermark)                  // how many items, by reason and by what the policy looks at
//	plan.Unload("gateway_x", policy, open, "s3://bucket/…/")     // the rows that no cap can leave out
//	plan.Undecided("gateway_x", policy, watermark, "s3://…/")    // the others, with their evidence
//
// The same items give the same rows, the same parts, the same reasons in the same order of
// precedence and the same counts as Convert. What SQL cannot tell is given a reason that
// begins with [Unread]; a conversion with such an item must be refused.
//
// # The table
//
// It has one column, the line. Its types do not come from rows, nor do the names of
// attributes become names of columns: Athena's columns have no case, an alias may be any
// text, and the readers of JSON that tables can name take "Age" for "age". The query reads
// a line as map(varchar, map(varchar, json)): by attribute, by DynamoDB's type.
//
// # The dialect
//
// The text is Trino's, as Athena's engine version 3 runs it, and uses what DuckDB has too,
// under the same name or by a macro: see test/athena. There is no UNLOAD and no external
// table in DuckDB.
package exportsql
