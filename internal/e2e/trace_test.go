package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tracePage is where the trace of one patch is shown as text.
const tracePage = "../../docs/observability.md"

// traceBlock is the place on that page.
var traceBlock = regexp.MustCompile("(?s)(<!-- trace -->\n```\n)(.*?)(```\n)")

// TestTrace proves that the spans of a patch are one trace over both processes,
// from the caller's own span over the REST call, the run and its steps to SQL
// and Runtime Manager, each below the one that caused it; that the page shows
// these spans and no others; and that no secret and no argument is in any.
func TestTrace(t *testing.T) {
	t.Parallel()
	const caller, trace, reason = "00f067aa0ba902b7", "4bf92f3577b34da6a3ce929d0e0e4736", "hunter2-hunter2"
	c := newCollector(t)
	r := newRigWithoutAPI(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_EXPORTER_OTLP_HEADERS=api-key="+reason,
		"OTEL_BSP_SCHEDULE_DELAY=50")
	r.startAPI()
	r.startWorker()
	game := r.game()
	answer := r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", `{"version":"1.4.3","reason":"`+reason+`"}`,
		"Prefer: wait=60", "Traceparent: 00-"+trace+"-"+caller+"-01")
	require.Equal(t, http.StatusOK, answer.status, answer.body)

	var spans []span
	require.Eventually(t, func() bool {
		spans = c.of(trace)
		drawn := tree(spans)
		// The last ones to end, of either process.
		return strings.Contains(drawn, "RunWorkflow:PatchRuntime") && strings.Contains(drawn, "POST /api")
	}, patience, waitTick, "the trace never arrived")
	drawn := tree(spans)
	requireEdges(t, spans, caller, [][2]string{
		{"caller", "POST /api/v1/internal/runtimes/:game_id/patch"},
		{"POST /api/v1/internal/runtimes/:game_id/patch", "StartWorkflow:PatchRuntime"},
		{"StartWorkflow:PatchRuntime", "RunWorkflow:PatchRuntime"},
		{"RunWorkflow:PatchRuntime", "StartActivity:LoadRecord"},
		{"StartActivity:LoadRecord", "RunActivity:LoadRecord"},
		{"RunActivity:LoadRecord", "SELECT runtime_records"},
		{"RunWorkflow:PatchRuntime", "StartActivity:ValidateVersion"},
		{"RunActivity:ValidateVersion", "SELECT engine_versions"},
		{"RunActivity:TakeFence", "INSERT runtime_fences"},
		{"RunActivity:PatchContainer", "HTTP POST"},
		{"RunActivity:UpdateImage", "UPDATE runtime_records"},
		{"RunActivity:AppendOperationLog", "INSERT operation_log"},
	})
	for _, s := range spans {
		told := fmt.Sprint(s.String(), s.attributes())
		require.NotContains(t, told, token)
		require.NotContains(t, told, reason, "an argument of a statement")
		require.NotContains(t, told, "@127.0.0.1", "somebody's name before a host")
	}
	requireShown(t, strings.ReplaceAll(drawn, game, "demo-1"))
}

// requireEdges proves of each pair that a span of the second name hangs below one
// of the first, and that no span hangs in the air.
func requireEdges(t *testing.T, spans []span, caller string, edges [][2]string) {
	t.Helper()
	names := map[string]string{}
	for _, s := range spans {
		names[fmt.Sprintf("%x", s.GetSpanId())] = s.GetName()
	}
	names[caller] = "caller"
	seen := map[[2]string]bool{}
	for _, s := range spans {
		above, known := names[fmt.Sprintf("%x", s.GetParentSpanId())]
		require.True(t, known, "%s hangs in the air:\n%s", s.GetName(), tree(spans))
		seen[[2]string{above, s.GetName()}] = true
	}
	for _, edge := range edges {
		require.True(t, seen[edge], "%s is not below %s:\n%s", edge[1], edge[0], tree(spans))
	}
}

// requireShown proves that the page shows the same spans, whatever they took;
// GAMEMASTER_RECORD_TRACE writes them there.
func requireShown(t *testing.T, drawn string) {
	t.Helper()
	page, err := os.ReadFile(tracePage)
	require.NoError(t, err)
	found := traceBlock.FindSubmatch(page)
	require.NotNil(t, found, "the page has no place for the trace")
	if os.Getenv("GAMEMASTER_RECORD_TRACE") != "" {
		written := traceBlock.ReplaceAll(page, []byte("${1}"+drawn+"${3}"))
		require.NoError(t, os.WriteFile(tracePage, written, 0o644))
		return
	}
	require.ElementsMatch(t, spansIn(string(found[2])), spansIn(drawn),
		"record it anew: GAMEMASTER_RECORD_TRACE=1 go test -run TestTrace ./internal/e2e")
}

// spansIn are the spans of a drawing, each once, without what they took, and
// without the API's look at the audit row: where nothing can be heard of that in
// time, Temporal is waited for.
func spansIn(drawn string) []string {
	seen := map[string]bool{"SELECT operation_log gamemaster-api": true}
	var lines []string
	for line := range strings.Lines(drawn) {
		fields := strings.Fields(line)
		line = strings.Join(fields[:len(fields)-2], " ")
		if !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	return lines
}
