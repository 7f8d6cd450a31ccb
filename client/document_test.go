package client_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// stub is the API as its document has it: it refuses requests that the document
// does not allow, and answers the document's own examples.
type stub struct {
	*httptest.Server
	document *openapi3.T
	router   routers.Router

	mu sync.Mutex
	// asked are the operations that were asked for, in order.
	asked []string
}

func newStub() *stub {
	document, err := openapi3.NewLoader().LoadFromFile("../api/openapi.yaml")
	must(err)
	document.Servers = nil
	router, err := legacy.NewRouter(document)
	must(err)
	s := &stub{document: document, router: router}
	s.Server = httptest.NewServer(s)
	return s
}

// must is for what only a broken document or test can bring about; examples have
// no *testing.T.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *stub) operations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	must(err)
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, values, err := s.router.FindRoute(r)
	if err == nil {
		err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: values, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		})
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		must(json.NewEncoder(w).Encode(map[string]any{
			"code": "invalid_request", "detail": fmt.Sprintf("not in the document: %s %s: %s", r.Method, r.URL, err),
		}))
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, route.Operation.OperationID)
	s.mu.Unlock()
	s.answer(w, r, route.Operation, bytes.Contains(body, []byte(`"dry_run":true`)))
}

// answer gives the example of the first answer below 300.
func (s *stub) answer(w http.ResponseWriter, r *http.Request, operation *openapi3.Operation, plan bool) {
	for status := http.StatusOK; status < http.StatusMultipleChoices; status++ {
		response := operation.Responses.Value(strconv.Itoa(status))
		if response == nil {
			continue
		}
		media := response.Value.Content["application/json"]
		if media == nil {
			w.WriteHeader(status)
			return
		}
		example := exampleOf(media, plan)
		if page, ok := example.(map[string]any); ok && r.URL.Query().Has("cursor") {
			// The second page is the last one.
			delete(page, "next_cursor")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		must(json.NewEncoder(w).Encode(example))
		return
	}
	panic("no answer below 300 in the document")
}

func exampleOf(media *openapi3.MediaType, plan bool) any {
	for _, name := range []string{"dry_run", "done", "accepted"} {
		if example := media.Examples[name]; example != nil && (name != "dry_run" || plan) {
			return example.Value.Value
		}
	}
	return valueOf(media.Schema.Value)
}

// valueOf puts the examples of a schema's parts together.
func valueOf(schema *openapi3.Schema) any {
	switch {
	case schema.Example != nil || schema.Nullable:
		return schema.Example
	case len(schema.AllOf) > 0:
		return valueOf(schema.AllOf[0].Value)
	case schema.Type.Is("array"):
		return []any{valueOf(schema.Items.Value)}
	case schema.Type.Is("boolean"):
		return false
	}
	object := map[string]any{}
	for name, property := range schema.Properties {
		object[name] = valueOf(property.Value)
	}
	return object
}
