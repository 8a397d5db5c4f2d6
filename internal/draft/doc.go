// Package draft drafts a feature schema from a CSV file of customers.
//
// [Infer] reads the file once, in memory that does not grow with its length
// (but for the ids of columns without repetitions). It profiles each column,
// chooses the label, which of its values is positive, and the id, leaves out what
// a model must not or cannot use, and writes a schema file whose comments say what
// each column looks like, what it was taken for, and why.
//
// What the data does not show is not guessed: if no column is clearly the label,
// Infer returns an [UnclearError] that lists the candidates. What is likely but
// not certain, such as the positive value of a label without a yes or a no, is
// taken and marked as a guess.
//
//	d, err := draft.Infer(file, draft.Options{Label: "Churn"})
//	os.WriteFile("schema.yaml", d.YAML, 0o644)
package draft
