package export

import "strings"

// Kind is the type of a DynamoDB attribute, spelt as DynamoDB's own API spells
// its type descriptors.
type Kind string

// The kinds. The last six have values that are not a single text.
const (
	String    Kind = "S"
	Number    Kind = "N"
	Bool      Kind = "BOOL"
	Null      Kind = "NULL"
	Binary    Kind = "B"
	List      Kind = "L"
	Map       Kind = "M"
	StringSet Kind = "SS"
	NumberSet Kind = "NS"
	BinarySet Kind = "BS"
)

// Nested reports whether values of the kind have no text.
func (k Kind) Nested() bool {
	switch k {
	case String, Number, Bool, Null:
		return false
	}
	return true
}

// descriptors maps type descriptors to kinds. DynamoDB writes them in capitals;
// the EMR connector writes them as the Java SDK names its fields: the first
// letter small, and NULL as "nULL" or, on version 1 of that SDK, "nULLValue".
var descriptors = map[string]Kind{
	"S": String, "N": Number, "BOOL": Bool, "NULL": Null, "NULLVALUE": Null,
	"B": Binary, "L": List, "M": Map, "SS": StringSet, "NS": NumberSet, "BS": BinarySet,
	"s": String, "n": Number, // what nearly every attribute of a backup is
}

func kindOf(descriptor string) (Kind, bool) {
	if k, ok := descriptors[descriptor]; ok {
		return k, true
	}
	if len(descriptor) > len("nULLValue") {
		return "", false
	}
	k, ok := descriptors[strings.ToUpper(descriptor)]
	return k, ok
}

// Attribute is one attribute of an item.
type Attribute struct {
	Name string
	Kind Kind
	// Text is the string; the number, in digits as stored; or true or false.
	// It is empty for Null and for nested kinds.
	Text string
}

// Item is one line of an export: a customer, or a line that is not one.
type Item struct {
	File string // name in the file system that was opened
	Line int    // within the file's text, counted from 1
	// Attributes are in the order of the line, no name twice. The slice is
	// reused by the next call of Next; the strings in it are not.
	Attributes []Attribute
	// Err is the reason why the line is no item, or nil. It repeats no values.
	Err error
}

// Attribute finds an attribute by its exact name.
func (it *Item) Attribute(name string) (Attribute, bool) {
	for _, a := range it.Attributes {
		if a.Name == name {
			return a, true
		}
	}
	return Attribute{}, false
}
