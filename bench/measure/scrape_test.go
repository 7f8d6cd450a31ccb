package measure_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/measure"
)

// TestServerActions proves that the server's actions are summed over all their
// kinds, that heartbeats are told apart, and that no other metric is counted.
func TestServerActions(t *testing.T) {
	got, err := measure.ServerActions(strings.NewReader(`# TYPE action counter
action{action="grpc_StartWorkflowExecution",namespace="default",operation="StartWorkflowExecution"} 3
action{action="grpc_RecordActivityTaskHeartbeat",namespace="default",operation="RecordActivityTaskHeartbeat"} 4
action{action="command_ScheduleActivityTask",namespace="default",operation="RespondWorkflowTaskCompleted"} 5
# TYPE service_requests counter
service_requests{operation="RecordActivityTaskHeartbeat"} 100
`))
	require.NoError(t, err)
	require.Equal(t, measure.Counted{All: 12, Heartbeats: 4}, got)
	none, err := measure.ServerActions(strings.NewReader(""))
	require.NoError(t, err)
	require.Zero(t, none)
	_, err = measure.ServerActions(strings.NewReader("action{ 1"))
	require.Error(t, err)
}
