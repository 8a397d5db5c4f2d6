package ask

import (
	"fmt"
	"strings"
)

// maxNamed is how many columns a suggested question names.
const maxNamed = 4

// Suggestions returns three questions about the table that both engines answer.
func (t *Table) Suggestions() []string {
	label := quoteName(t.Label().Name)
	var categories, numbers []string
	for _, c := range t.Columns[:len(t.Columns)-1] {
		switch c.Type {
		case "text":
			categories = append(categories, quoteName(c.Name))
		case "integer", "number":
			numbers = append(numbers, quoteName(c.Name))
		}
	}
	count := fmt.Sprintf("SELECT %[1]s, count(*) AS customers FROM %[2]s GROUP BY %[1]s ORDER BY %[1]s", label, TableName)
	all := []string{count}
	if len(numbers) > 0 {
		var correlations, averages []string
		for _, name := range numbers[:min(len(numbers), maxNamed)] {
			correlations = append(correlations, fmt.Sprintf("corr(%s, %s) AS %s", name, label, name))
			averages = append(averages, fmt.Sprintf("avg(%s) AS %s", name, name))
		}
		all = []string{
			"SELECT " + strings.Join(correlations, ", ") + " FROM " + TableName,
			fmt.Sprintf("SELECT %[1]s, count(*) AS customers, %[2]s FROM %[3]s GROUP BY %[1]s ORDER BY %[1]s", label, strings.Join(averages, ", "), TableName),
			count,
		}
	}
	var rates []string
	for _, name := range categories[:min(len(categories), 3)] {
		rates = append(rates, fmt.Sprintf("SELECT %[1]s, count(*) AS customers, avg(%[2]s) AS rate FROM %[3]s GROUP BY %[1]s ORDER BY rate DESC, %[1]s", name, label, TableName))
	}
	if len(rates) > 0 {
		all = append(append(rates[:1:1], all...), rates[1:]...)
	}
	all = append(all, fmt.Sprintf("SELECT count(*) AS customers, sum(%s) AS positive FROM %s", label, TableName),
		fmt.Sprintf("SELECT avg(%s) AS rate FROM %s", label, TableName))
	return all[:3]
}
