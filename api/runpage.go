package api

import (
	"net/url"
	"strings"

	"galaxy/gamemaster/api/contract"
)

// RunPages says where operators find the pages of runs.
type RunPages struct {
	// UI is the base URL of Temporal's UI; empty means that nobody knows, so that
	// no answer links to it.
	UI string
	// Namespace is where the runs are.
	Namespace string
}

// page is the address of a run's page; empty when nobody knows it. A workflow ID
// has a slash in it, which stays inside its part of the path.
func (pages RunPages) page(workflowID, runID string) string {
	if pages.UI == "" || workflowID == "" || runID == "" {
		return ""
	}
	return strings.TrimRight(pages.UI, "/") + "/namespaces/" + url.PathEscape(pages.Namespace) +
		"/workflows/" + url.PathEscape(workflowID) + "/" + url.PathEscape(runID) + "/history"
}

// linked adds the run's page.
func (server *Server) linked(told contract.Patch) contract.Patch {
	told.RunURL = server.runPages.page(told.WorkflowID, told.RunID)
	return told
}
