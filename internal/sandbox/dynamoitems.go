package sandbox

import (
	"cmp"
	"net/http"
	"slices"
)

// Maximum sizes of an item, and of the items that one scan or batch returns, in bytes.
const (
	maxItem = 400 << 10
	maxPage = 1 << 20
)

// itemInput has the parameters of the operations on one item.
type itemInput struct {
	expressions `json:",inline"`

	TableName                           string
	Key                                 item
	Item                                item
	ProjectionExpression                string
	ConditionExpression                 string
	UpdateExpression                    string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	AttributesToGet                     []string
	AttributeUpdates                    map[string]any
	Expected                            map[string]any
}

// begin returns the table of a request, or an error if the request uses an unsupported
// parameter.
func (s *Server) begin(in *itemInput) (*table, error) {
	if in.AttributesToGet != nil || in.AttributeUpdates != nil || in.Expected != nil {
		return nil, validationf("The stand-in has expressions, not their predecessors AttributesToGet, AttributeUpdates and Expected.")
	}
	return s.tables.find(in.TableName)
}

// project returns the top-level attributes that a ProjectionExpression names.
func (e *expressions) project(text string, it item) (item, error) {
	if text == "" || it == nil {
		if text != "" {
			x, err := e.parse("ProjectionExpression", text, it)
			if err == nil {
				_, err = x.paths()
			}
			return it, err
		}
		return it, nil
	}
	x, err := e.parse("ProjectionExpression", text, it)
	if err != nil {
		return nil, err
	}
	paths, err := x.paths()
	if err != nil {
		return nil, err
	}
	out := item{}
	for _, p := range paths {
		if a, ok := it[p[0]]; ok && len(p) == 1 {
			out[p[0]] = a
		}
	}
	return out, nil
}

// holds evaluates the ConditionExpression on the stored item.
func (in *itemInput) holds(old item) error {
	if in.ConditionExpression == "" {
		return nil
	}
	x, err := in.parse("ConditionExpression", in.ConditionExpression, old)
	if err != nil {
		return err
	}
	ok, err := x.condition()
	if err != nil {
		return err
	}
	if ok {
		return nil
	}
	failed := &Error{Status: http.StatusBadRequest, Code: "ConditionalCheckFailedException", Message: "The conditional request failed"}
	if in.ReturnValuesOnConditionCheckFailure == "ALL_OLD" && old != nil {
		failed.Members = map[string]any{"Item": old}
	}
	return failed
}

type attributesOutput struct {
	Attributes item `json:",omitzero"`
}

func (s *Server) getItem(_ *call, in *itemInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.begin(in)
	if err != nil {
		return nil, err
	}
	key, err := t.key(in.Key, false)
	if err != nil {
		return nil, err
	}
	it, err := in.project(in.ProjectionExpression, t.items[key])
	if err != nil {
		return nil, err
	}
	return struct {
		Item item `json:",omitzero"`
	}{it}, in.unused()
}

func (s *Server) putItem(_ *call, in *itemInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.begin(in)
	if err != nil {
		return nil, err
	}
	key, err := t.writable(in.Item)
	if err != nil {
		return nil, err
	}
	old := t.items[key]
	if err := cmp.Or(in.holds(old), in.unused()); err != nil {
		return nil, err
	}
	t.put(key, in.Item)
	if in.ReturnValues == "ALL_OLD" {
		return attributesOutput{old}, nil
	}
	return attributesOutput{}, nil
}

// writable returns the key of an item that may be stored.
func (t *table) writable(it item) (string, error) {
	key, err := t.key(it, true)
	if err == nil && it.size() > maxItem {
		err = validationf("Item size has exceeded the maximum allowed size")
	}
	return key, err
}

func (s *Server) deleteItem(_ *call, in *itemInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.begin(in)
	if err != nil {
		return nil, err
	}
	key, err := t.key(in.Key, false)
	if err != nil {
		return nil, err
	}
	old := t.items[key]
	if err := cmp.Or(in.holds(old), in.unused()); err != nil {
		return nil, err
	}
	t.remove(key)
	if in.ReturnValues == "ALL_OLD" {
		return attributesOutput{old}, nil
	}
	return attributesOutput{}, nil
}

func (s *Server) updateItem(_ *call, in *itemInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.begin(in)
	if err != nil {
		return nil, err
	}
	key, err := t.key(in.Key, false)
	if err != nil {
		return nil, err
	}
	old := t.items[key]
	before := item{}
	for name, a := range old {
		before[name] = a
	}
	after, changed := before, []string(nil)
	if in.UpdateExpression != "" {
		x, err := in.parse("UpdateExpression", in.UpdateExpression, before)
		if err != nil {
			return nil, err
		}
		if after, changed, err = x.update(); err != nil {
			return nil, err
		}
	}
	if err := cmp.Or(in.holds(old), in.unused()); err != nil {
		return nil, err
	}
	for _, k := range t.keys {
		if slices.Contains(changed, k.AttributeName) {
			return nil, validationf("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", k.AttributeName)
		}
		after[k.AttributeName] = in.Key[k.AttributeName]
	}
	if after.size() > maxItem {
		return nil, validationf("Item size to update has exceeded the maximum allowed size")
	}
	t.put(key, after)
	some := func(it item) item {
		out := item{}
		for _, name := range changed {
			if a, ok := it[name]; ok {
				out[name] = a
			}
		}
		return out
	}
	switch in.ReturnValues {
	case "ALL_NEW":
		return attributesOutput{after}, nil
	case "ALL_OLD":
		return attributesOutput{old}, nil
	case "UPDATED_NEW":
		return attributesOutput{some(after)}, nil
	case "UPDATED_OLD":
		return attributesOutput{some(before)}, nil
	}
	return attributesOutput{}, nil
}

type scanInput struct {
	expressions `json:",inline"`

	TableName            string
	FilterExpression     string
	ProjectionExpression string
	Select               string
	ExclusiveStartKey    item
	Limit                int
	Segment              int
	TotalSegments        int
}

type scanOutput struct {
	Items            []item `json:",omitzero"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey item `json:",omitzero"`
}

func (s *Server) scan(_ *call, in *scanInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.tables.find(in.TableName)
	if err != nil {
		return nil, err
	}
	order := t.scanOrder()
	if n := in.TotalSegments; n > 1 {
		order = order[len(order)*in.Segment/n : len(order)*(in.Segment+1)/n]
	}
	if in.ExclusiveStartKey != nil {
		key, err := t.key(in.ExclusiveStartKey, false)
		if err != nil {
			return nil, err
		}
		i := slices.Index(order, key)
		if i < 0 {
			return nil, validationf("The provided starting key is invalid")
		}
		order = order[i+1:]
	}
	out := scanOutput{}
	if in.Select != "COUNT" {
		out.Items = []item{}
	}
	size := 0
	for i, key := range order {
		it := t.items[key]
		size += it.size()
		out.ScannedCount++
		keep := true
		if in.FilterExpression != "" {
			x, err := in.parse("FilterExpression", in.FilterExpression, it)
			if err != nil {
				return nil, err
			}
			if keep, err = x.condition(); err != nil {
				return nil, err
			}
		}
		shown, err := in.project(in.ProjectionExpression, it)
		if err != nil {
			return nil, err
		}
		if keep {
			out.Count++
			if in.Select != "COUNT" {
				out.Items = append(out.Items, shown)
			}
		}
		if (in.Limit > 0 && out.ScannedCount == in.Limit || size >= maxPage) && i+1 < len(order) {
			out.LastEvaluatedKey = item{}
			for _, k := range t.keys {
				out.LastEvaluatedKey[k.AttributeName] = it[k.AttributeName]
			}
			break
		}
	}
	if out.ScannedCount > 0 {
		err = in.unused()
	}
	return out, err
}
