package export

import (
	"bytes"
	"regexp"
)

// formBytes is how much of a file tells its form.
const formBytes = 512

var (
	// answerStart begins what `aws dynamodb scan` and `query` print: the names
	// stand before a list or a number, where an item has an object.
	answerStart = regexp.MustCompile(`^\{\s*"(Items|Count|ScannedCount|NextToken|ConsumedCapacity|LastEvaluatedKey)"\s*:\s*(\[|[0-9]|"|null)`)
	// indented begins JSON that is spread over lines.
	indented = regexp.MustCompile(`^\{\s*\n\s*"`)
	// ionStart begins an export in Amazon's Ion format.
	ionStart = regexp.MustCompile(`^(\$ion_1_0|\{\s*Item\s*:)`)
	// csvStart is a line of names with delimiters.
	csvStart = regexp.MustCompile(`^[^{}\[\]:\x00-\x08\x0e-\x1f]+[,;\t|][^{}\[\]:\x00-\x08\x0e-\x1f]*(\r?\n|\r|$)`)
)

// otherForm names a form that a file has instead of one item a line, and what to
// do with it. It is empty where the file is not of a form that it knows.
func otherForm(head []byte) string {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	switch {
	case answerStart.Match(head):
		return "the output of `aws dynamodb scan` or `query`, which is one JSON document; write one item a line: jq -c '.Items[]'"
	case bytes.HasPrefix(head, []byte("[")):
		return "a JSON list; write one item a line: jq -c '.[]'"
	case indented.Match(head):
		return "JSON over several lines; write one item a line: jq -c ."
	case ionStart.Match(head):
		return "in the Ion format; export the table in the format DYNAMODB_JSON"
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "Parquet; export the table in the format DYNAMODB_JSON"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "a zip archive; unpack it first"
	case csvStart.Match(head):
		return "CSV, not an export of DynamoDB; `gateway import` loads CSV"
	}
	return ""
}
