package app

import "context"

// openLine opens the rows of the model in the database, which go by the name of
// its schema. It warns where the database has models of other names alone, as
// after a renaming of the schema.
func (m *Model) openLine(ctx context.Context, c *components) (err error) {
	if m.line, err = c.store.OpenLine(ctx, m.schema.Name); err != nil {
		return err
	}
	models, err := m.line.Models(ctx)
	if err != nil || len(models) > 0 {
		return err
	}
	others, err := m.line.OtherLines(ctx)
	if len(others) > 0 {
		c.log.Warn("the database has no model of a schema of this name, but was used with schemas of other names; models, renewals and predictions stay with the name",
			"schema", m.schema.Name, "others", others)
	}
	return err
}
