//go:build browser

package browser_test

import (
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocs proves that the docs of the API load in a browser with nothing from
// outside, and that the page of each operation on patches, their history and
// drift opens.
func TestDocs(t *testing.T) {
	operations := operationsOf(t, stack.api+"/openapi.yaml")
	require.Contains(t, operations, "listDrift")
	require.Contains(t, operations, "getPatchHistory")
	p := open(t, stack.api+"/docs/")
	for _, operation := range operations {
		block := `[id$="-` + operation + `"]`
		p.press(block + " .opblock-summary-control")
		p.await("the answers of "+operation, `!!find('`+block+` .responses-table')`)
	}
	p.await("the page of drift", `(e => (e.scrollIntoView(), true))(document.querySelector('[id$="-listDrift"]'))`)
	p.shot("docs_drift")
	p.await("the page of histories", `(e => (e.scrollIntoView(), true))(document.querySelector('[id$="-getPatchHistory"]'))`)
	p.shot("docs_history")
	require.Empty(t, p.foreign(stack.api), "loaded from elsewhere")
}

// operationsOf returns the operations of the contract that have to do with
// patches, histories and drift.
func operationsOf(t *testing.T, address string) []string {
	t.Helper()
	response, err := http.Get(address)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	contract, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var operations []string
	for _, match := range regexp.MustCompile(`operationId: (\w*(?:[Pp]atch|History|Drift)\w*)`).FindAllSubmatch(contract, -1) {
		operations = append(operations, string(match[1]))
	}
	return operations
}
