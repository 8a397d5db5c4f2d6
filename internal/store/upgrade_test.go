package store

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheUpgradeNotesNameEachMigration holds docs/upgrade.md to the migrations, and its ways
// back to the statements of docs/operations.md.
func TestTheUpgradeNotesNameEachMigration(t *testing.T) {
	notes, err := os.ReadFile("../../docs/upgrade.md")
	if err != nil {
		t.Fatal(err)
	}
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseMigrations()
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \| [^|]*\| ([^|]+) \|$`).FindAllStringSubmatch(string(notes), -1)
	if len(rows) != len(parsed) {
		t.Errorf("docs/upgrade.md has %d migrations, and there are %d", len(rows), len(parsed))
	}
	for i, row := range rows[:min(len(rows), len(parsed))] {
		if row[1] != fmt.Sprint(parsed[i].version) {
			t.Errorf("row %d is of migration %s, not %d", i+1, row[1], parsed[i].version)
		}
		statements := strings.Contains(string(operations), "WHERE version_id = "+row[1]+";")
		if said := strings.Contains(row[3], "statements"); said != statements {
			t.Errorf("migration %s: the notes say that there are statements for the way back: %v; docs/operations.md has some: %v", row[1], said, statements)
		}
	}
}
