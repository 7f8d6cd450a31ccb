//go:build browser

package browser_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocs proves that the docs of the API load in a browser with nothing from
// outside, and that the page of each operation that looks at drift, at a patch and
// at its history opens.
func TestDocs(t *testing.T) {
	p := open(t, stack.api+"/docs/")
	p.await("the operations", "document.querySelectorAll('.opblock').length > 20")
	for _, operation := range []string{"listDrift", "reconcileRuntime", "getPatch", "listRuntimeOperations"} {
		block := `[id$="-` + operation + `"]`
		p.press(block + " .opblock-summary-control")
		p.await("the answers of "+operation, `!!find('`+block+` .responses-table')`)
	}
	p.await("the page of drift", `(e => (e.scrollIntoView(), true))(document.querySelector('[id$="-listDrift"]'))`)
	p.shot("docs_drift")
	require.Empty(t, p.foreign(stack.api), "loaded from elsewhere")
}
