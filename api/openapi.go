package api

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"galaxy/gamemaster/internal/auth"
)

// Document is the contract: the OpenAPI document from which the server's and the
// client's types are generated, and against which every request is checked.
//
//go:embed openapi.yaml
var Document []byte

// endpoint is one operation of the document, with what the door needs of it.
type endpoint struct {
	*openapi3.Operation
	document *openapi3.T
	// path is as the document has it, with {braces}.
	path   string
	method string
	item   *openapi3.PathItem
	// parameters are the operation's own and those of its path.
	parameters openapi3.Parameters
	// public operations take no credentials.
	public bool
	// scope is what a caller needs; empty on an operation that names none,
	// which nobody may use.
	scope auth.Scope
}

// route is how gin names an operation: method, space, path with :colons.
type route string

// contractDocument is the document as the door uses it.
type contractDocument struct {
	document  *openapi3.T
	endpoints map[route]endpoint
}

// ours is [Document], read once: it takes some ten milliseconds, and nothing
// changes it afterwards.
var ours = sync.OnceValues(func() (*contractDocument, error) { return loadContract(Document) })

// loadContract reads the document. An error means that the program was built
// from a broken one.
func loadContract(text []byte) (*contractDocument, error) {
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	if err := document.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("check openapi.yaml: %w", err)
	}
	c := &contractDocument{document: document, endpoints: map[route]endpoint{}}
	for path, item := range document.Paths.Map() {
		for method, described := range item.Operations() {
			op, err := c.endpoint(path, method, item, described)
			if err != nil {
				return nil, fmt.Errorf("openapi.yaml: %s %s: %w", method, path, err)
			}
			c.endpoints[routeOf(method, path)] = op
		}
	}
	return c, nil
}

func (c *contractDocument) endpoint(path, method string, item *openapi3.PathItem, described *openapi3.Operation) (endpoint, error) {
	op := endpoint{
		Operation: described, document: c.document, path: path, method: method, item: item,
		parameters: slices.Concat(item.Parameters, described.Parameters),
		public:     described.Security != nil && len(*described.Security) == 0,
	}
	if named, given := described.Extensions["x-scope"]; given {
		text, _ := named.(string)
		op.scope = auth.Scope(text)
		if !slices.Contains(auth.Scopes(), op.scope) {
			return op, fmt.Errorf("x-scope is %v, want one of %v", named, auth.Scopes())
		}
	}
	if op.public && op.scope != "" {
		return op, errors.New("is open to everybody and names a scope, want one of both")
	}
	return op, nil
}

// routeOf turns /a/{b} into gin's /a/:b.
func routeOf(method, path string) route {
	return route(method + " " + strings.NewReplacer("{", ":", "}", "").Replace(path))
}

// find returns the operation of a route.
func (c *contractDocument) find(method, fullPath string) (endpoint, bool) {
	op, known := c.endpoints[route(method+" "+fullPath)]
	return op, known
}

// queryKeys are the keys that the operation's query may have, sorted.
func (op endpoint) queryKeys() []string {
	var keys []string
	for _, parameter := range op.parameters {
		if parameter.Value.In == openapi3.ParameterInQuery {
			keys = append(keys, parameter.Value.Name)
		}
	}
	slices.Sort(keys)
	return keys
}

// body returns the schema of the operation's body; nil when it takes none.
func (op endpoint) body() *openapi3.Schema {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Value.GetMediaType("application/json").Schema.Value
}

// sortedKeys returns the names of an object's properties.
func sortedKeys(schema *openapi3.Schema) []string { return slices.Sorted(maps.Keys(schema.Properties)) }
