package sandbox

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// tables is DynamoDB in memory.
type tables struct {
	mu  sync.Mutex
	all map[string]*table
}

func newTables() *tables { return &tables{all: make(map[string]*table)} }

type table struct {
	name, id string
	created  time.Time
	keys     []keySchema
	kinds    []attributeDefinition
	recovery bool // point-in-time recovery
	items    map[string]item
	order    []string // keys of items in the order of a scan; nil: not sorted yet
}

type keySchema struct{ AttributeName, KeyType string }
type attributeDefinition struct{ AttributeName, AttributeType string }

func tableARN(name string) string {
	return "arn:aws:dynamodb:" + Region + ":" + Account + ":table/" + name
}

// tableName returns the name of a table from its name or its ARN.
func tableName(text string) string {
	if _, name, ok := strings.Cut(text, ":table/"); ok {
		name, _, _ = strings.Cut(name, "/")
		return name
	}
	return text
}

// find returns a table; the caller holds the lock.
func (t *tables) find(name string) (*table, error) {
	if found := t.all[tableName(name)]; found != nil {
		return found, nil
	}
	return nil, refusef("ResourceNotFoundException", "Requested resource not found: Table: %s not found", tableName(name))
}

// key returns the key of an item as a text. Unless it is a whole item, it must have the
// attributes of the key and no others.
func (t *table) key(it item, whole bool) (string, error) {
	if !whole && len(it) != len(t.keys) {
		return "", validationf("The provided key element does not match the schema")
	}
	var b strings.Builder
	for _, k := range t.keys {
		a, ok := it[k.AttributeName]
		i := slices.IndexFunc(t.kinds, func(d attributeDefinition) bool { return d.AttributeName == k.AttributeName })
		switch {
		case !ok && whole:
			return "", validationf("One or more parameter values were invalid: Missing the key %s in the item", k.AttributeName)
		case !ok:
			return "", validationf("The provided key element does not match the schema")
		case a.kind != t.kinds[i].AttributeType && whole:
			return "", validationf("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", k.AttributeName, t.kinds[i].AttributeType, a.kind)
		case a.kind != t.kinds[i].AttributeType:
			return "", validationf("The provided key element does not match the schema")
		case a.text() == "":
			return "", validationf("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", k.AttributeName)
		}
		b.WriteString(a.text() + "\x00")
	}
	return b.String(), nil
}

func (t *table) put(key string, it item) {
	if _, ok := t.items[key]; !ok {
		t.order = nil
	}
	t.items[key] = it
}

func (t *table) remove(key string) {
	delete(t.items, key)
	t.order = nil
}

// scanOrder returns the keys of all items in the order of a scan: by a hash of the key.
func (t *table) scanOrder() []string {
	if t.order == nil {
		hashes := make(map[string][32]byte, len(t.items))
		for key := range t.items {
			hashes[key] = sha256.Sum256([]byte(key))
			t.order = append(t.order, key)
		}
		slices.SortFunc(t.order, func(a, b string) int {
			x, y := hashes[a], hashes[b]
			return slices.Compare(x[:], y[:])
		})
	}
	return t.order
}

type tableInput struct {
	TableName            string
	KeySchema            []keySchema
	AttributeDefinitions []attributeDefinition
}

func (s *Server) createTable(_ *call, in *tableInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	if s.tables.all[in.TableName] != nil {
		return nil, refusef("ResourceInUseException", "Table already exists: %s", in.TableName)
	}
	if len(in.TableName) < 3 || len(in.KeySchema) == 0 || in.KeySchema[0].KeyType != "HASH" {
		return nil, validationf("One or more parameter values were invalid: a table needs a name of 3 letters and a HASH key")
	}
	for _, k := range in.KeySchema {
		if !slices.ContainsFunc(in.AttributeDefinitions, func(d attributeDefinition) bool { return d.AttributeName == k.AttributeName }) {
			return nil, validationf("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", k.AttributeName)
		}
	}
	t := &table{name: in.TableName, id: uuid.NewString(), created: s.clock.Now(), keys: in.KeySchema, kinds: in.AttributeDefinitions, items: make(map[string]item)}
	s.tables.all[t.name] = t
	return struct{ TableDescription any }{t.describe()}, nil
}

type tableDescription struct {
	TableName, TableArn, TableId, TableStatus string
	KeySchema                                 []keySchema
	AttributeDefinitions                      []attributeDefinition
	CreationDateTime                          epoch
	ItemCount, TableSizeBytes                 int
}

// describe returns the description of a table, which is ACTIVE at once.
func (t *table) describe() tableDescription {
	size := 0
	for _, it := range t.items {
		size += it.size()
	}
	return tableDescription{TableName: t.name, TableArn: tableARN(t.name), TableId: t.id, TableStatus: "ACTIVE", KeySchema: t.keys,
		AttributeDefinitions: t.kinds, CreationDateTime: epoch(t.created), ItemCount: len(t.items), TableSizeBytes: size}
}

type tableNamed struct{ TableName string }

func (s *Server) describeTable(_ *call, in *tableNamed) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.tables.find(in.TableName)
	if err != nil {
		return nil, err
	}
	return struct{ Table any }{t.describe()}, nil
}

func (s *Server) deleteTable(_ *call, in *tableNamed) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, err := s.tables.find(in.TableName)
	if err != nil {
		return nil, err
	}
	delete(s.tables.all, t.name)
	return struct{ TableDescription any }{t.describe()}, nil
}

func (s *Server) listTables(_ *call, in *struct {
	ExclusiveStartTableName string
	Limit                   int
}) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	out := struct {
		TableNames             []string
		LastEvaluatedTableName string `json:",omitzero"`
	}{TableNames: []string{}}
	most := in.Limit
	if most <= 0 || most > 100 {
		most = 100
	}
	for _, name := range sortedKeys(s.tables.all) {
		if name <= in.ExclusiveStartTableName {
			continue
		}
		if len(out.TableNames) == most {
			out.LastEvaluatedTableName = out.TableNames[most-1]
			break
		}
		out.TableNames = append(out.TableNames, name)
	}
	return out, nil
}

type backupsInput struct {
	TableName                        string
	PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
}

func (t *table) backups() any {
	status := "DISABLED"
	if t.recovery {
		status = "ENABLED"
	}
	type recovery struct{ PointInTimeRecoveryStatus string }
	type description struct {
		ContinuousBackupsStatus        string
		PointInTimeRecoveryDescription recovery
	}
	return struct{ ContinuousBackupsDescription description }{description{"ENABLED", recovery{status}}}
}

func (s *Server) describeBackups(_ *call, in *backupsInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, ok := s.tables.all[tableName(in.TableName)]
	if !ok {
		return nil, tableNotFound(in.TableName)
	}
	return t.backups(), nil
}

func (s *Server) updateBackups(_ *call, in *backupsInput) (any, error) {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	t, ok := s.tables.all[tableName(in.TableName)]
	if !ok {
		return nil, tableNotFound(in.TableName)
	}
	t.recovery = in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled
	return t.backups(), nil
}

// tableNotFound is the error of operations for backups and exports.
func tableNotFound(name string) error {
	return &Error{Status: http.StatusBadRequest, Code: "TableNotFoundException", Message: "Table not found: " + tableName(name)}
}
