package exportsql

import (
	"fmt"
	"strings"

	"gateway/internal/export"
)

// CreateTable makes the external table over the data files of an export, which lie in the
// folder at the s3:// address. Creating it again changes nothing.
func CreateTable(table, address string) string {
	return fmt.Sprintf("CREATE EXTERNAL TABLE IF NOT EXISTS `%s` (line string)\nSTORED AS TEXTFILE\nLOCATION %s", table, quote(address))
}

// DropTable drops a table that CreateTable made; its files stay.
func DropTable(table string) string { return fmt.Sprintf("DROP TABLE IF EXISTS `%s`", table) }

// with returns the layers over a table.
func (p *Plan) with(table string) string {
	return strings.Replace(p.base, "{table}", `"`+table+`"`, 1)
}

// settled is the condition that apps cannot have decided the row's label: what
// export.Policy calls settled.
func settled(policy export.Policy) string {
	condition := "outcome = 0 OR labelled = 0 OR (NOT made AND imported = label)"
	if policy.Probation > 0 {
		condition += fmt.Sprintf(" OR labelled <= %d", policy.Now.Add(-policy.Probation).UnixMicro())
	}
	return "(" + condition + ")"
}

// Columns of the result of Counts before those of features.
const (
	columnReason = iota
	columnHeld
	columnMade
	columnSettled
	columnOutcome
	columnLabel
	columnImported
	columnCaller
	columnItems
	columnNewLabels
	columnWatermark
	columnFirst
	columnsOfCounts
)

// Counts counts the items of a table, by everything that a policy looks at: its result is
// read by Groups. An id that occurs again has a reason that begins with Unread.
func (p *Plan) Counts(table string, policy export.Policy, watermark int64) string {
	good := "final IS NULL"
	var sums []string
	for _, flag := range p.flags() {
		sums = append(sums, fmt.Sprintf("COALESCE(sum(CASE WHEN %s AND %s THEN 1 ELSE 0 END), 0)", good, flag))
	}
	flags := ""
	for _, flag := range p.flags() {
		flags += ", " + flag
	}
	keys := []string{"final", "CASE WHEN " + good + " THEN held END", "CASE WHEN " + good + " THEN made END", "CASE WHEN " + good + " THEN settled END",
		"CASE WHEN " + good + " THEN outcome > 0 END", "CASE WHEN " + good + " THEN label END", "CASE WHEN " + good + " THEN imported END",
		"CASE WHEN " + good + " AND outcome > 0 THEN caller END"}
	var b strings.Builder
	b.WriteString(p.with(table))
	fmt.Fprintf(&b, ",\nkeyed AS (\nSELECT reason, held, made, outcome, label, imported, caller, hash%s, %s AS settled, "+
		"row_number() OVER (PARTITION BY COALESCE(hash, ''), reason IS NULL ORDER BY hash) AS place FROM all_rows\n)", flags, settled(policy))
	fmt.Fprintf(&b, ",\nfinished AS (\nSELECT *, CASE WHEN reason IS NULL AND place > 1 THEN %s ELSE reason END AS final FROM keyed\n)\nSELECT ",
		unread(p.schema.ID, "an id that occurs again"))
	for i, key := range keys {
		fmt.Fprintf(&b, "%s AS k%d, ", key, i)
	}
	fmt.Fprintf(&b, "count(*) AS items, sum(CASE WHEN %s AND outcome > %d THEN 1 ELSE 0 END) AS new_labels, max(outcome) AS watermark, "+
		"min(CASE WHEN %s THEN hash END) AS place", good, watermark, good)
	for i, sum := range sums {
		fmt.Fprintf(&b, ", %s AS s%d", sum, i)
	}
	b.WriteString("\nFROM finished GROUP BY 1, 2, 3, 4, 5, 6, 7, 8")
	return b.String()
}

// flags are the columns that say which features were mapped, and then which were
// defaulted.
func (p *Plan) flags() (flags []string) {
	for i := range p.schema.Features {
		if f := &p.schema.Features[i]; !f.Exclude && f.Unknown != "" {
			flags = append(flags, fmt.Sprintf("u%d", i))
		}
	}
	for i := range p.schema.Features {
		if f := &p.schema.Features[i]; !f.Exclude && f.Default != nil {
			flags = append(flags, fmt.Sprintf("g%d", i))
		}
	}
	return flags
}

// The parts of the rows, which are the values of the partition of Unload's files:
// part=train/, part=holdout/ and part=neither/.
const (
	Train   = "train"
	Holdout = "holdout"
	Neither = "neither"
)

// Rows selects the rows that no cap of the policy can leave out, the label first, then the
// encoded columns, then the part. open is export.Settlement.Open.
func (p *Plan) Rows(table string, policy export.Policy, open bool) string {
	direct := settled(policy)
	if open {
		direct = "true"
	}
	if policy.KnownOnly {
		direct += " AND NOT made"
	}
	neither := "made"
	if open || policy.JudgeAll {
		neither = "false"
	}
	columns := []string{"label AS label"}
	for i := range p.schema.Width() {
		columns = append(columns, fmt.Sprintf("o%d", i))
	}
	return fmt.Sprintf("%s\nSELECT %s, CASE WHEN NOT held THEN '%s' WHEN %s THEN '%s' ELSE '%s' END AS part\nFROM all_rows WHERE reason IS NULL AND %s",
		p.with(table), strings.Join(columns, ", "), Train, neither, Neither, Holdout, direct)
}

// Unload writes Rows as CSV without a header below the s3:// address, which must be empty.
func (p *Plan) Unload(table, address string, policy export.Policy, open bool) string {
	return "UNLOAD (\n" + p.Rows(table, policy, open) + "\n) TO " + quote(address) +
		"\nWITH (format = 'TEXTFILE', field_delimiter = ',', compression = 'NONE', partitioned_by = ARRAY['part'])"
}

// Evidence selects the rows that a cap of the policy may leave out, one JSON object each:
// see Undecided.
func (p *Plan) Evidence(table string, policy export.Policy) string {
	cells := []string{"CAST(label AS varchar)"}
	for i := range p.schema.Width() {
		cells = append(cells, fmt.Sprintf("CAST(o%d AS varchar)", i))
	}
	var flags []string
	for _, flag := range p.flags() {
		flags = append(flags, "CASE WHEN "+flag+" THEN '1' ELSE '0' END")
	}
	known := ""
	if policy.KnownOnly {
		known = " AND NOT made"
	}
	return fmt.Sprintf("%s\nSELECT hash, outcome, made, imported, caller, labelled, array_join(ARRAY[%s], '') AS flags, array_join(ARRAY[%s], ',') AS cells\n"+
		"FROM all_rows WHERE reason IS NULL AND NOT %s%s",
		p.with(table), strings.Join(append(flags, "''"), ", "), strings.Join(cells, ", "), settled(policy), known)
}

// UnloadEvidence writes Evidence as lines of JSON, compressed with gzip, below the s3://
// address, which must be empty.
func (p *Plan) UnloadEvidence(table, address string, policy export.Policy) string {
	return "UNLOAD (\n" + p.Evidence(table, policy) + "\n) TO " + quote(address) + "\nWITH (format = 'JSON')"
}
