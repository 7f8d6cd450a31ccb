package api

import (
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// wanted says in words what a schema takes, for the mend of a problem. A schema
// may say it itself in x-want.
func wanted(schema *openapi3.Schema) string {
	if said, ok := schema.Extensions["x-want"].(string); ok {
		return said + atMost(schema)
	}
	if len(schema.AllOf) > 0 {
		// A reference that had to be given a description of its own.
		return wanted(schema.AllOf[0].Value)
	}
	switch {
	case len(schema.Enum) > 0:
		choices := make([]string, len(schema.Enum))
		for i, choice := range schema.Enum {
			choices[i] = fmt.Sprint(choice)
		}
		return "one of " + strings.Join(choices, ", ")
	case schema.Type.Is(openapi3.TypeInteger):
		return "a whole number" + between(schema)
	case schema.Type.Is(openapi3.TypeBoolean):
		return "true or false"
	case schema.Type.Is(openapi3.TypeString):
		return "a string" + atMost(schema)
	default:
		return "what the contract says"
	}
}

func atMost(schema *openapi3.Schema) string {
	if schema.MaxLength == nil {
		return ""
	}
	return fmt.Sprintf(" (at most %d characters)", *schema.MaxLength)
}

func between(schema *openapi3.Schema) string {
	switch {
	case schema.Min != nil && schema.Max != nil:
		return fmt.Sprintf(" from %.0f to %.0f", *schema.Min, *schema.Max)
	case schema.Min != nil:
		return fmt.Sprintf(" from %.0f", *schema.Min)
	default:
		return ""
	}
}

// kind names the JSON type of a decoded value.
func kind(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	default:
		return "a number"
	}
}
