package sandbox_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/sandbox"
)

const table = "customers"

type (
	av     = types.AttributeValue
	text   = types.AttributeValueMemberS
	number = types.AttributeValueMemberN
)

// customers makes a table with n customers.
func (s *stand) customers(n int) {
	s.t.Helper()
	_, err := s.dynamo.CreateTable(s.t.Context(), &dynamodb.CreateTableInput{TableName: aws.String(table), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("customer_id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("customer_id"), AttributeType: types.ScalarAttributeTypeS}}})
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < n; i += 25 {
		var writes []types.WriteRequest
		for j := i; j < min(n, i+25); j++ {
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: customer(j)}})
		}
		if _, err := s.dynamo.BatchWriteItem(s.t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: writes}}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func key(i int) map[string]av {
	return map[string]av{"customer_id": &text{Value: fmt.Sprintf("c-%04d", i)}}
}

func customer(i int) map[string]av {
	it := key(i)
	it["age"] = &number{Value: fmt.Sprint(20 + i%60)}
	it["job"] = &text{Value: "admin."}
	it["emp.var.rate"] = &number{Value: "-1.80"}
	it["default"] = &text{Value: "no"}
	return it
}

func setLabel(i int, y string) *dynamodb.UpdateItemInput {
	return &dynamodb.UpdateItemInput{TableName: aws.String(table), Key: key(i), UpdateExpression: aws.String("SET #y = :y"),
		ConditionExpression:                 aws.String("attribute_exists(customer_id) AND attribute_not_exists(#y)"),
		ExpressionAttributeNames:            map[string]string{"#y": "y"},
		ExpressionAttributeValues:           map[string]av{":y": &number{Value: y}},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
}

func TestALabelIsSetOnceAndASecondOneIsToldWhatIsThere(t *testing.T) {
	s := start(t)
	s.customers(3)
	if _, err := s.dynamo.UpdateItem(t.Context(), setLabel(1, "1")); err != nil {
		t.Fatal(err)
	}
	_, err := s.dynamo.UpdateItem(t.Context(), setLabel(1, "0"))
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) || failed.Item["y"].(*number).Value != "1" || failed.Item["age"].(*number).Value != "21" {
		t.Fatalf("got %v, want the condition to fail and the item", err)
	}
	_, err = s.dynamo.UpdateItem(t.Context(), setLabel(99, "1"))
	if !errors.As(err, &failed) || len(failed.Item) != 0 {
		t.Fatalf("got %v, want the condition to fail without an item", err)
	}
	out, err := s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: key(1)})
	if err != nil || out.Item["y"].(*number).Value != "1" || out.Item["emp.var.rate"].(*number).Value != "-1.8" {
		t.Errorf("the item is %v (%v)", out, err)
	}
	out, err = s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: key(99)})
	if err != nil || len(out.Item) != 0 {
		t.Errorf("an item that is not there is %v (%v)", out, err)
	}
}

func TestExpressionsAreEvaluated(t *testing.T) {
	s := start(t)
	s.customers(2)
	for _, tc := range []struct {
		condition string
		names     map[string]string
		values    map[string]av
		holds     bool
	}{
		{condition: "age = :a", values: map[string]av{":a": &number{Value: "2.1E1"}}, holds: true},
		{condition: "age <> :a", values: map[string]av{":a": &number{Value: "21"}}},
		{condition: "age > :a AND NOT age > :b", values: map[string]av{":a": &number{Value: "9"}, ":b": &number{Value: "100"}}, holds: true},
		{condition: "age BETWEEN :a AND :b OR attribute_not_exists(job)", values: map[string]av{":a": &number{Value: "9"}, ":b": &number{Value: "20"}}},
		{condition: "(attribute_exists(y) OR begins_with(job, :j)) AND attribute_type(age, :n)", values: map[string]av{":j": &text{Value: "adm"}, ":n": &text{Value: "N"}}, holds: true},
		{condition: "#r = :r", names: map[string]string{"#r": "emp.var.rate"}, values: map[string]av{":r": &number{Value: "-1.8"}}, holds: true},
		{condition: "job IN (:a, :b)", values: map[string]av{":a": &text{Value: "x"}, ":b": &text{Value: "admin."}}, holds: true},
		{condition: "y < :y", values: map[string]av{":y": &number{Value: "1"}}},
		{condition: "size(job) = :n AND contains(job, :d)", values: map[string]av{":n": &number{Value: "6"}, ":d": &text{Value: "."}}, holds: true},
	} {
		in := &dynamodb.UpdateItemInput{TableName: aws.String(table), Key: key(1), UpdateExpression: aws.String("SET n = if_not_exists(n, :zero) + :one REMOVE gone"),
			ConditionExpression: &tc.condition, ExpressionAttributeNames: tc.names, ExpressionAttributeValues: map[string]av{":zero": &number{Value: "0"}, ":one": &number{Value: "1"}}}
		for name, v := range tc.values {
			in.ExpressionAttributeValues[name] = v
		}
		_, err := s.dynamo.UpdateItem(t.Context(), in)
		var failed *types.ConditionalCheckFailedException
		if tc.holds && err != nil || !tc.holds && !errors.As(err, &failed) {
			t.Errorf("%s: got %v, want holds to be %t", tc.condition, err, tc.holds)
		}
	}
	out, err := s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: key(1), ProjectionExpression: aws.String("n, #d"), ExpressionAttributeNames: map[string]string{"#d": "default"}})
	if err != nil || len(out.Item) != 2 || out.Item["n"].(*number).Value != "6" || out.Item["default"].(*text).Value != "no" {
		t.Errorf("the item is %v (%v), want n to have counted 6 updates", out.Item, err)
	}
}

func TestExpressionsThatDynamoDBRefusesAreRefused(t *testing.T) {
	s := start(t)
	s.customers(1)
	for update, says := range map[string]string{
		"SET default = :y":      "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: default",
		"SET emp.var.rate = :y": "The document path provided in the expression is invalid for update",
		"SET #nope = :y":        "Invalid UpdateExpression: An expression attribute name used in the document path is not defined; attribute name: #nope",
		"SET y = :nope":         "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :nope",
		"SET y = ;":             "Invalid UpdateExpression: Syntax error",
		"SET customer_id = :y":  "One or more parameter values were invalid: Cannot update attribute customer_id. This attribute is part of the key",
		"REMOVE y":              "Value provided in ExpressionAttributeValues unused in expressions: keys: {:y}",
	} {
		_, err := s.dynamo.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String(table), Key: key(0), UpdateExpression: &update, ExpressionAttributeValues: map[string]av{":y": &number{Value: "1"}}})
		refused(t, err, "ValidationException", says)
	}
	_, err := s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: map[string]av{"customer_id": &number{Value: "1"}}})
	refused(t, err, "ValidationException", "The provided key element does not match the schema")
	_, err = s.dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: map[string]av{"age": &number{Value: "1"}}})
	refused(t, err, "ValidationException", "One or more parameter values were invalid: Missing the key customer_id in the item")
	_, err = s.dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("nobody"), Item: key(1)})
	refused(t, err, "ResourceNotFoundException", "Requested resource not found")
}

func TestABatchLeavesUndoneWhatTheFaultSays(t *testing.T) {
	s := start(t)
	s.customers(0)
	fault := s.Order("BatchWriteItem", sandbox.Fault{Kind: sandbox.Unprocessed, Items: 3})
	var writes []types.WriteRequest
	for i := range 10 {
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: customer(i)}})
	}
	out, err := s.dynamo.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: writes}})
	if err != nil || len(out.UnprocessedItems[table]) != 3 || fault.Hits() != 1 {
		t.Fatalf("undone: %v (%v)", out, err)
	}
	if out, err = s.dynamo.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: out.UnprocessedItems}); err != nil || len(out.UnprocessedItems) != 0 {
		t.Fatalf("undone the second time: %v (%v)", out, err)
	}
	s.Order("BatchGetItem", sandbox.Fault{Kind: sandbox.Unprocessed, Items: 2})
	ask := map[string]types.KeysAndAttributes{table: {ProjectionExpression: aws.String("#i, age"), ExpressionAttributeNames: map[string]string{"#i": "customer_id"}}}
	keys := ask[table]
	for i := range 10 {
		keys.Keys = append(keys.Keys, key(i))
	}
	ask[table] = keys
	got, rounds := 0, 0
	for len(ask) > 0 {
		out, err := s.dynamo.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: ask})
		if err != nil {
			t.Fatal(err)
		}
		got += len(out.Responses[table])
		ask = out.UnprocessedKeys
		rounds++
	}
	if got != 10 || rounds != 2 {
		t.Errorf("got %d items in %d rounds, want 10 in 2", got, rounds)
	}
	writes = append(writes, writes...)
	_, err = s.dynamo.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: writes}})
	refused(t, err, "ValidationException", "Provided list of item keys contains duplicates")
}

func TestAScanMeetsEveryItemOnceInPagesAndSegments(t *testing.T) {
	s := start(t)
	s.customers(200)
	for _, segments := range []int32{1, 3} {
		seen := map[string]bool{}
		for segment := range segments {
			pages := dynamodb.NewScanPaginator(s.dynamo, &dynamodb.ScanInput{TableName: aws.String(table), Limit: aws.Int32(30), Segment: &segment, TotalSegments: &segments})
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range page.Items {
					id := it["customer_id"].(*text).Value
					if seen[id] {
						t.Errorf("%s is met twice", id)
					}
					seen[id] = true
				}
			}
		}
		if len(seen) != 200 {
			t.Errorf("met %d items in %d segments, want 200", len(seen), segments)
		}
	}
}

func TestNumbersComeBackAsDynamoDBWritesThem(t *testing.T) {
	s := start(t)
	s.customers(0)
	put := func(n string) error {
		it := key(1)
		it["n"] = &number{Value: n}
		_, err := s.dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: it})
		return err
	}
	for given, want := range map[string]string{"1.0": "1", "-0": "0", "007": "7", "1E3": "1000", "-12.5e-3": "-0.0125", "0.1000": "0.1", "+5": "5",
		"12345678901234567890123456789012345678": "12345678901234567890123456789012345678"} {
		if err := put(given); err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		out, err := s.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: key(1)})
		if err != nil || out.Item["n"].(*number).Value != want {
			t.Errorf("%s comes back as %v (%v), want %s", given, out.Item["n"], err, want)
		}
	}
	for given, says := range map[string]string{"NaN": "The parameter cannot be converted", "1,5": "The parameter cannot be converted", "": "The parameter cannot be converted",
		"1234567890123456789012345678901234567.89": "Attempting to store more than 38", "1e130": "Number overflow"} {
		refused(t, put(given), "ValidationException", says)
	}
}
