// Package ask answers questions in SQL over training data.
//
// The data is one table, called [TableName]: a row for each labelled customer, with
// the features that the model is made from and the label. [NewTable] derives its columns
// from a schema: categories are text again, dates are text such as 2026-11-23, missing
// values are NULL, and the label is 0 or 1.
//
// [Parse] tells a question that reads from everything else, which it refuses. [Open] makes
// a database of this process for the table, in SQLite, and [Database.Ask] answers a
// question with it. [Table.Select] is the same table as SQL for Amazon Athena, over files
// of training CSV.
package ask
