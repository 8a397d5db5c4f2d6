package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Customers implements predict.Customers and predict.CustomerStore with a DynamoDB table
// that has one item for each customer and one attribute for each feature. Other programs
// may use the table too: attributes that are not in the schema are kept.
type Customers struct {
	api    *Clients
	table  string
	schema *schema.Schema
	id     string // attribute of the customer id: its name in the schema or an alias
}

// observedAttribute is the time at which the outcome that set the label was observed, in
// microseconds since 1970. Of two outcomes the later one sets the label; of the same time,
// the one with the higher export.OutcomeAttribute.
const observedAttribute = "_observed"

// OpenCustomers makes the store. It returns an error unless the table exists and its key
// is one string attribute, the id of the schema.
func OpenCustomers(ctx context.Context, api *Clients, table string, schema *schema.Schema) (*Customers, error) {
	out, err := api.dynamodb.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if isMissing(err) {
		return nil, fmt.Errorf("table %q does not exist in %s", table, api.region)
	}
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", table, plain(err))
	}
	t := out.Table
	if len(t.KeySchema) != 1 || !schema.IsID(sdk.ToString(t.KeySchema[0].AttributeName)) {
		var has []string
		for _, k := range t.KeySchema {
			has = append(has, sdk.ToString(k.AttributeName))
		}
		return nil, fmt.Errorf("table %s has the key (%s), want %s alone", table, strings.Join(has, ", "), schema.ID)
	}
	id := sdk.ToString(t.KeySchema[0].AttributeName)
	for _, a := range t.AttributeDefinitions {
		if sdk.ToString(a.AttributeName) == id && a.AttributeType != types.ScalarAttributeTypeS {
			return nil, fmt.Errorf("table %s has the key %s of type %s, want S (string)", table, id, a.AttributeType)
		}
	}
	for _, f := range schema.Features {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if name == observedAttribute || export.Reserved(name) {
				return nil, fmt.Errorf("the schema has a feature %q, which is the name of an attribute that the gateway writes for outcomes", name)
			}
		}
	}
	return &Customers{api: api, table: table, schema: schema, id: id}, nil
}

// Count returns the number of customers. DynamoDB updates it about every six hours.
func (c *Customers) Count(ctx context.Context) (int64, error) {
	out, err := c.api.dynamodb.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &c.table})
	if err != nil {
		return 0, fault("DescribeTable", err)
	}
	return sdk.ToInt64(out.Table.ItemCount), nil
}

func (c *Customers) key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{c.id: &types.AttributeValueMemberS{Value: id}}
}

// Features implements predict.Customers.
func (c *Customers) Features(ctx context.Context, ids []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(ids))
	add := func(item map[string]types.AttributeValue) error {
		id, ok := item[c.id].(*types.AttributeValueMemberS)
		if !ok {
			return nil
		}
		found[id.Value] = c.features(item)
		return nil
	}
	if len(ids) == 1 {
		if ids[0] == "" {
			return found, nil
		}
		out, err := c.api.dynamodb.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: c.key(ids[0])})
		if err != nil {
			return nil, tableError("GetItem", err)
		}
		if len(out.Item) == 0 {
			return found, nil
		}
		return found, add(out.Item)
	}
	err := c.getItems(ctx, ids, false, add)
	return found, err
}

// Limits of batch calls.
const (
	getAtOnce   = 100 // items of BatchGetItem
	writeAtOnce = 25  // items of BatchWriteItem
	parallel    = 8   // concurrent calls of an import
)

// getItems calls each for every item that exists, once and in no order. It requests the
// keys that DynamoDB did not process again, after a pause.
func (c *Customers) getItems(ctx context.Context, ids []string, consistent bool, each func(map[string]types.AttributeValue) error) error {
	seen := make(map[string]bool, len(ids))
	var keys []map[string]types.AttributeValue
	for _, id := range ids {
		if id != "" && !seen[id] {
			seen[id] = true
			keys = append(keys, c.key(id))
		}
	}
	var pause backOff
	for len(keys) > 0 {
		n := min(len(keys), getAtOnce)
		out, err := c.api.dynamodb.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			c.table: {Keys: keys[:n], ConsistentRead: &consistent}}})
		if err != nil {
			return tableError("BatchGetItem", err)
		}
		for _, item := range out.Responses[c.table] {
			if err := each(item); err != nil {
				return err
			}
		}
		left := out.UnprocessedKeys[c.table].Keys
		keys = append(left, keys[n:]...)
		if len(left) == 0 {
			continue
		}
		if err := pause.after(ctx, n-len(left)); err != nil {
			return err
		}
	}
	return nil
}

// PutCustomers implements predict.CustomerStore. It updates existing customers one by one
// with a condition, so that it does not overwrite a label that an outcome sets meanwhile.
// It writes new ones in batches of 25. After an error some customers may be written;
// PutCustomers can be repeated.
func (c *Customers) PutCustomers(ctx context.Context, customers []predict.Customer) (inserted, updated int, err error) {
	last := make(map[string]*predict.Customer, len(customers)) // the last row of a repeated id counts
	ids := make([]string, 0, len(customers))
	for i := range customers {
		p := &customers[i]
		switch {
		case p.Demo:
			return 0, 0, failure.Errorf(failure.Invalid, "generated customers cannot be written to table %s", c.table)
		case p.ID == "":
			return 0, 0, failure.Errorf(failure.Invalid, "a customer has no id")
		case last[p.ID] == nil:
			ids = append(ids, p.ID)
		default:
			updated++
		}
		last[p.ID] = p
	}
	known := make(map[string]bool)
	if err := c.getItems(ctx, ids, true, func(item map[string]types.AttributeValue) error {
		if id, ok := item[c.id].(*types.AttributeValueMemberS); ok {
			known[id.Value] = true
		}
		return nil
	}); err != nil {
		return 0, 0, err
	}
	var writes []types.WriteRequest
	var updates []*predict.Customer
	for _, id := range ids {
		p := last[id]
		if known[id] {
			updates = append(updates, p)
			continue
		}
		item, err := c.item(p)
		if err != nil {
			return 0, 0, err
		}
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	if err := c.write(ctx, writes); err != nil {
		return 0, 0, err
	}
	if err := inParallel(ctx, updates, c.update); err != nil {
		return 0, 0, err
	}
	return len(writes), updated + len(updates), nil
}

// write writes items with BatchWriteItem.
func (c *Customers) write(ctx context.Context, writes []types.WriteRequest) error {
	var batches [][]types.WriteRequest
	for len(writes) > 0 {
		n := min(len(writes), writeAtOnce)
		batches, writes = append(batches, writes[:n]), writes[n:]
	}
	return inParallel(ctx, batches, func(ctx context.Context, batch []types.WriteRequest) error {
		var pause backOff
		for len(batch) > 0 {
			out, err := c.api.dynamodb.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{c.table: batch}})
			if err != nil {
				return tableError("BatchWriteItem", err)
			}
			left := out.UnprocessedItems[c.table]
			done := len(batch) - len(left)
			if batch = left; len(batch) > 0 {
				if err := pause.after(ctx, done); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// update replaces the features of an existing customer. It replaces the label if the
// import has one, unless an outcome set the label; the imported label then goes to
// export.ImportedAttribute. A customer that was made from a prediction counts as imported
// afterwards.
func (c *Customers) update(ctx context.Context, p *predict.Customer) error {
	values, err := c.item(p)
	if err != nil {
		return err
	}
	delete(values, c.id)
	u := update{set: values, remove: append(c.absent(values), export.OriginAttribute)}
	if p.Label != nil {
		u.remove = append(u.remove, c.schema.Label.Aliases...)
		u.condition, u.conditionNames = "attribute_not_exists(#outcome)", map[string]string{"#outcome": export.OutcomeAttribute}
		if _, err = c.apply(ctx, p.ID, u); codeOf(err) != conditionFailed {
			return err
		}
		delete(values, c.schema.Label.Name) // an outcome set the label
		values[export.ImportedAttribute] = c.label(*p.Label)
		u.condition, u.conditionNames = "", nil
	}
	_, err = c.apply(ctx, p.ID, u)
	return err
}

// conditionFailed is the code of a write whose condition was not met.
const conditionFailed = "ConditionalCheckFailedException"

// update is a change of one item.
type update struct {
	set             map[string]types.AttributeValue
	copy            map[string]string // target → source: the source's value before set changes it, or the new one if it had none
	remove          []string
	condition       string
	conditionNames  map[string]string
	conditionValues map[string]types.AttributeValue
}

// apply changes an item and returns the item before the change, nil if it did not exist.
// If the condition is not met, the error has the code conditionFailed, and old is the item
// as it is. All names in the expression are placeholders, because attributes may have
// reserved words or dots in their names.
func (c *Customers) apply(ctx context.Context, id string, u update) (old map[string]types.AttributeValue, err error) {
	names, values := make(map[string]string), make(map[string]types.AttributeValue)
	maps.Copy(names, u.conditionNames)
	maps.Copy(values, u.conditionValues)
	var set, gone []string
	aliases := make(map[string]string)
	for i, name := range slices.Sorted(maps.Keys(u.set)) {
		alias := fmt.Sprint("s", i)
		aliases[name] = alias
		names["#"+alias], values[":"+alias] = name, u.set[name]
		set = append(set, "#"+alias+" = :"+alias)
	}
	for i, name := range slices.Sorted(maps.Keys(u.copy)) {
		to, from := fmt.Sprint("#t", i), aliases[u.copy[name]]
		names[to] = name
		set = append(set, to+" = if_not_exists(#"+from+", :"+from+")")
	}
	for i, name := range u.remove {
		alias := fmt.Sprint("#r", i)
		names[alias] = name
		gone = append(gone, alias)
	}
	expression := ""
	if len(set) > 0 {
		expression = "SET " + strings.Join(set, ", ")
	}
	if len(gone) > 0 {
		expression += " REMOVE " + strings.Join(gone, ", ")
	}
	if expression == "" {
		return nil, nil
	}
	in := &dynamodb.UpdateItemInput{TableName: &c.table, Key: c.key(id), UpdateExpression: &expression, ExpressionAttributeNames: names,
		ReturnValues: types.ReturnValueAllOld}
	if len(values) > 0 {
		in.ExpressionAttributeValues = values
	}
	if u.condition != "" {
		in.ConditionExpression = &u.condition
		in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	out, err := c.api.dynamodb.UpdateItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return failed.Item, err
	}
	if err != nil {
		return nil, tableError("UpdateItem", err)
	}
	return out.Attributes, nil
}

// RemoveDemo implements predict.CustomerStore. It does nothing: a table has no generated
// customers.
func (c *Customers) RemoveDemo(context.Context) (int64, error) { return 0, nil }

// LastNumber implements predict.CustomerStore. It returns an error: DynamoDB finds the
// highest key only by reading the whole table.
func (c *Customers) LastNumber(context.Context) (int64, error) {
	return 0, failure.Errorf(failure.Invalid, "the numbers of rows cannot be continued in the DynamoDB table %s, because it does not know the highest one: add a column %s to the file", c.table, c.schema.ID)
}

// tableError translates an error of DynamoDB: into a modelswap.Fault with its class for a
// renewal, and for a throttled prediction also into an error of kind Unavailable.
func tableError(operation string, err error) error {
	if isThrottle(err) {
		return &modelswap.Fault{Class: modelswap.Throttled, Err: &failure.Error{Kind: failure.Unavailable, RetryAfter: waitThrottled,
			Detail: "the customer store throttles calls", Err: fmt.Errorf("%s: %w", operation, plain(err))}}
	}
	return fault(operation, err)
}

// inParallel calls do for each element, with at most parallel concurrent calls. It stops
// at the first error and returns it.
func inParallel[T any](ctx context.Context, all []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	free := make(chan struct{}, parallel)
	for _, one := range all {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wait.Go(func() {
			defer func() { <-free }()
			if err := do(ctx, one); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}
