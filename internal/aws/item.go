package aws

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/export"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// features returns the features of an item in the format of schema.AppendFeatures. A value
// that is not valid for its feature counts as absent, as in any store of customers.
func (c *Customers) features(item map[string]types.AttributeValue) []byte {
	record := c.schema.NewRecord()
	for i := range c.schema.Features {
		f := &c.schema.Features[i]
		text, ok, isNumber := value(item, f)
		switch {
		case isNumber:
			_ = c.schema.SetNumber(record, i, text)
		case ok:
			_ = c.schema.SetText(record, i, text)
		case isNull(item, f):
			c.schema.SetNull(record, i)
		}
	}
	return c.schema.AppendFeatures(nil, record, true)
}

// isNull reports whether an attribute of a feature, by its name or an alias, is null.
func isNull(item map[string]types.AttributeValue, f *schema.Feature) bool {
	return slices.ContainsFunc(append([]string{f.Name}, f.Aliases...), func(name string) bool {
		_, null := item[name].(*types.AttributeValueMemberNULL)
		return null
	})
}

// value returns the text of a feature's attribute. It looks for the name and the aliases.
// isNumber reports that the attribute has the type N.
func value(item map[string]types.AttributeValue, f *schema.Feature) (text string, ok, isNumber bool) {
	for _, name := range append([]string{f.Name}, f.Aliases...) {
		switch v := item[name].(type) {
		case *types.AttributeValueMemberS:
			if f.IsMissing(v.Value) {
				continue // another name may have the value
			}
			return v.Value, true, false
		case *types.AttributeValueMemberN:
			return v.Value, true, true
		case *types.AttributeValueMemberBOOL:
			return strconv.FormatBool(v.Value), true, false
		}
	}
	return "", false, false
}

// item returns the attributes of a customer: the id, the features and the label.
func (c *Customers) item(p *predict.Customer) (map[string]types.AttributeValue, error) {
	item := make(map[string]types.AttributeValue, len(c.schema.Features)+2)
	if err := addFeatures(item, p.Features); err != nil {
		return nil, fmt.Errorf("features of a customer: %w", err)
	}
	if p.Label != nil {
		item[c.schema.Label.Name] = c.label(*p.Label)
	}
	item[c.id] = &types.AttributeValueMemberS{Value: p.ID}
	return item, nil
}

// label returns a label as an attribute: a number if the schema spells it as one.
func (c *Customers) label(label int) types.AttributeValue {
	if s := c.schema.Label.Spell(label); s.IsText {
		return &types.AttributeValueMemberS{Value: s.Value}
	} else {
		return &types.AttributeValueMemberN{Value: s.Value}
	}
}

// importedLabel returns the imported label of an item, or nil. If an outcome has set the
// label, the imported one is in export.ImportedAttribute. Outcomes do not change the
// aliases of the label.
func (c *Customers) importedLabel(item map[string]types.AttributeValue) *int {
	name := export.ImportedAttribute
	if item[export.OutcomeAttribute] == nil {
		name = c.schema.Label.Name
	}
	text, ok, _ := value(item, &schema.Feature{Name: name, Aliases: c.schema.Label.Aliases})
	if !ok {
		return nil
	}
	label, ok := c.schema.Label.FromText(text)
	if !ok {
		return nil
	}
	return &label
}

// absent lists the attributes of features, aliases included, that the item does not have.
func (c *Customers) absent(item map[string]types.AttributeValue) []string {
	var out []string
	for _, f := range c.schema.Features {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if item[name] == nil {
				out = append(out, name)
			}
		}
	}
	return out
}

// addFeatures parses a JSON object of features and adds them to an item.
func addFeatures(item map[string]types.AttributeValue, features []byte) error {
	if len(features) == 0 {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(features))
	if begin, err := dec.ReadToken(); err != nil || begin.Kind() != '{' {
		return errors.Join(errors.New("not a JSON object"), err)
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if token, err = dec.ReadToken(); err != nil {
			return err
		}
		switch token.Kind() {
		case '"':
			item[name] = &types.AttributeValueMemberS{Value: token.String()}
		case '0':
			item[name] = &types.AttributeValueMemberN{Value: token.String()}
		case 'n':
			item[name] = &types.AttributeValueMemberNULL{Value: true}
		default:
			return fmt.Errorf("%q is neither a number, a string nor null", name)
		}
	}
	return nil
}
