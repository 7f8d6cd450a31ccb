package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"galaxy/gamemaster/internal/domain/patch"
)

// recordVariable asks for the histories of TestCodes to be written into the
// replay corpus; see docs/testing.md for when that is right.
const recordVariable = "GAMEMASTER_RECORD_HISTORIES"

var corpus = filepath.Join("..", "..", "workflows", "testdata", "histories")

// recordHistory writes the history of the game's latest run into the corpus,
// when asked to.
func recordHistory(t *testing.T, r *rig, name, game string) {
	t.Helper()
	recordRun(t, r, name, patch.WorkflowID(game), "")
}

// recordRun is recordHistory of any run.
func recordRun(t *testing.T, r *rig, name, workflowID, runID string) {
	t.Helper()
	if os.Getenv(recordVariable) == "" {
		return
	}
	history := &historypb.History{}
	events := r.temporal.GetWorkflowHistory(t.Context(), workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	text, err := protojson.Marshal(history)
	require.NoError(t, err)
	var tree any
	require.NoError(t, json.Unmarshal(text, &tree))
	anonymise(tree)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", " ")
	require.NoError(t, encoder.Encode(tree))
	require.NoError(t, os.MkdirAll(corpus, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(corpus, name+".json"), out.Bytes(), 0o644))
	last := history.Events[len(history.Events)-1]
	t.Logf("manifest: %q: {Events: %d, Closes: %q}", name, len(history.Events), last.GetEventType())
}

// anonymise takes the recording machine's name out of a history: it is in the
// identities, and in the names of the workers' own queues.
func anonymise(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, identified := node["identity"]; identified {
			node["identity"] = "recorded"
		}
		if node["kind"] == "TASK_QUEUE_KIND_STICKY" {
			node["name"] = "recorded"
		}
		for _, value := range node {
			anonymise(value)
		}
	case []any:
		for _, value := range node {
			anonymise(value)
		}
	}
}
