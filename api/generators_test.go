package api_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// generatedKeywords are the schema keywords that the document may use: those
// that oapi-codegen and openapi-typescript have generated code from.
var generatedKeywords = []string{"$ref", "additionalProperties", "allOf", "anyOf", "const", "default", "description", "enum", "format", "items",
	"maxItems", "maxLength", "maximum", "minItems", "minLength", "minProperties", "minimum", "oneOf", "pattern", "properties", "required", "type", "x-go-name"}

// TestGeneratorsTakeTheDocument holds the document to the keywords that
// generators of types and clients support.
func TestGeneratorsTakeTheDocument(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	faults, seen, err := generatorFaults(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	if seen < 200 {
		t.Errorf("%d schemas were found, want all of them", seen)
	}
}

// TestGeneratorFaultsAreFound shows that the test above can fail.
func TestGeneratorFaultsAreFound(t *testing.T) {
	for schema, want := range map[string]string{
		`{type: object, properties: {a: {type: boolean, default: false}}}`: "components/schemas/X/properties/a: a default makes the member required",
		`{type: array, prefixItems: [{type: string}]}`:                     "components/schemas/X: prefixItems",
		`{type: array, items: {type: [string, number]}}`:                   "components/schemas/X/items: several types",
		`{anyOf: [{not: {type: string}}]}`:                                 "components/schemas/X/anyOf/0: not",
		`{type: object, additionalProperties: {if: {}}}`:                   "components/schemas/X/additionalProperties: if",
		`{type: [string, "null"]}`:                                         "",
		`{type: object, required: [a], properties: {a: {default: 1}}}`:     "",
		`{type: object, properties: {not: {type: string}}}`:                "",
	} {
		faults, _, err := generatorFaults([]byte("components: {schemas: {X: " + schema + "}}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(faults, "\n"); (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", schema, got, want)
		}
	}
}

// generatorFaults finds what generators do not take in the schemas of a
// document, and counts the schemas.
func generatorFaults(text []byte) (faults []string, schemas int, err error) {
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, 0, err
	}
	fault := func(path, what string) { faults = append(faults, path+": "+what) }
	var schema func(path string, value any)
	schema = func(path string, value any) {
		s, ok := value.(map[string]any)
		if !ok {
			return // a boolean
		}
		schemas++
		for _, keyword := range slices.Sorted(maps.Keys(s)) {
			if !slices.Contains(generatedKeywords, keyword) {
				fault(path, keyword+" is not among the keywords that generators take")
			}
		}
		if types, ok := s["type"].([]any); ok && len(slices.DeleteFunc(slices.Clone(types), func(t any) bool { return t == "null" })) != 1 {
			fault(path, "several types beside null")
		}
		required, _ := s["required"].([]any)
		properties, _ := s["properties"].(map[string]any)
		for name, property := range properties {
			if p, ok := property.(map[string]any); ok && p["default"] != nil && !slices.Contains(required, any(name)) {
				fault(path+"/properties/"+name, "a default makes the member required in TypeScript")
			}
			schema(path+"/properties/"+name, property)
		}
		schema(path+"/items", s["items"])
		schema(path+"/additionalProperties", s["additionalProperties"])
		for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
			parts, _ := s[keyword].([]any)
			for i, part := range parts {
				schema(path+"/"+keyword+"/"+string(rune('0'+i)), part)
			}
		}
	}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			for name, value := range node {
				switch below := strings.TrimPrefix(path+"/"+name, "/"); {
				case name == "example" || name == "examples":
				case name == "schema":
					schema(below, value)
				case below == "components/schemas":
					all, _ := value.(map[string]any)
					for name, value := range all {
						schema(below+"/"+name, value)
					}
				default:
					walk(below, value)
				}
			}
		case []any:
			for _, value := range node {
				walk(path, value)
			}
		}
	}
	walk("", doc)
	return faults, schemas, nil
}
