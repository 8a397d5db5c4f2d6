package sandbox

// undone returns how many of n items of a batch are not processed.
func (c *call) undone(n int) int {
	if c.kind() != Unprocessed {
		return 0
	}
	if c.fault.Items > 0 {
		return min(c.fault.Items, n)
	}
	return (n + 1) / 2
}

type keysInput struct {
	expressions `json:",inline"`

	Keys                 []item
	ProjectionExpression string `json:",omitzero"`
	ConsistentRead       bool   `json:",omitzero"`
}

type batchGetInput struct{ RequestItems map[string]*keysInput }

func (s *Server) batchGetItem(c *call, in *batchGetInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	total := 0
	for _, keys := range in.RequestItems {
		total += len(keys.Keys)
	}
	if total == 0 || total > 100 {
		return nil, validationf("1 validation error detected: Value at 'requestItems' failed to satisfy constraint: between 1 and 100 keys, not %d", total)
	}
	out := struct {
		Responses       map[string][]item
		UnprocessedKeys map[string]*keysInput
	}{map[string][]item{}, map[string]*keysInput{}}
	left := total - c.undone(total)
	for _, name := range sortedKeys(in.RequestItems) {
		keys := in.RequestItems[name]
		t, err := s.tables.find(name)
		if err != nil {
			return nil, err
		}
		seen := make(map[string]bool)
		out.Responses[name] = []item{}
		for _, k := range keys.Keys {
			key, err := t.key(k, false)
			if err != nil {
				return nil, err
			}
			if seen[key] {
				return nil, validationf("Provided list of item keys contains duplicates")
			}
			seen[key] = true
			if left <= 0 {
				rest := out.UnprocessedKeys[name]
				if rest == nil {
					rest = &keysInput{expressions: expressions{ExpressionAttributeNames: keys.ExpressionAttributeNames},
						ProjectionExpression: keys.ProjectionExpression, ConsistentRead: keys.ConsistentRead}
					out.UnprocessedKeys[name] = rest
				}
				rest.Keys = append(rest.Keys, k)
				continue
			}
			left--
			it, err := keys.project(keys.ProjectionExpression, t.items[key])
			if err != nil {
				return nil, err
			}
			if it != nil {
				out.Responses[name] = append(out.Responses[name], it)
			}
		}
	}
	return out, nil
}

type writeRequest struct {
	PutRequest    *struct{ Item item } `json:",omitzero"`
	DeleteRequest *struct{ Key item }  `json:",omitzero"`
}

type batchWriteInput struct{ RequestItems map[string][]writeRequest }

// batchWriteItem checks the whole batch before it writes an item, because DynamoDB refuses a
// batch with one invalid item.
func (s *Server) batchWriteItem(c *call, in *batchWriteInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	type write struct {
		table   *table
		key     string
		request writeRequest
	}
	var writes []write
	for _, name := range sortedKeys(in.RequestItems) {
		t, err := s.tables.find(name)
		if err != nil {
			return nil, err
		}
		seen := make(map[string]bool)
		for _, r := range in.RequestItems[name] {
			var key string
			switch {
			case r.PutRequest != nil:
				key, err = t.writable(r.PutRequest.Item)
			case r.DeleteRequest != nil:
				key, err = t.key(r.DeleteRequest.Key, false)
			default:
				err = validationf("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
			}
			if err != nil {
				return nil, err
			}
			if seen[key] {
				return nil, validationf("Provided list of item keys contains duplicates")
			}
			seen[key] = true
			writes = append(writes, write{t, key, r})
		}
	}
	if len(writes) == 0 || len(writes) > 25 {
		return nil, validationf("1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]")
	}
	out := batchWriteOutput{map[string][]writeRequest{}}
	for i, w := range writes {
		switch {
		case i >= len(writes)-c.undone(len(writes)):
			out.UnprocessedItems[w.table.name] = append(out.UnprocessedItems[w.table.name], w.request)
		case w.request.PutRequest != nil:
			w.table.put(w.key, w.request.PutRequest.Item)
		default:
			w.table.remove(w.key)
		}
	}
	return out, nil
}

type batchWriteOutput struct{ UnprocessedItems map[string][]writeRequest }
