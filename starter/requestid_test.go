package starter_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/starter"
)

// wire is a Temporal that takes every start and keeps the request ids that came.
type wire struct {
	workflowservice.UnimplementedWorkflowServiceServer
	requestIDs chan string
}

func (*wire) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (w *wire) StartWorkflowExecution(
	_ context.Context, request *workflowservice.StartWorkflowExecutionRequest,
) (*workflowservice.StartWorkflowExecutionResponse, error) {
	w.requestIDs <- request.GetRequestId()
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1"}, nil
}

// startOver starts request through a client with options, and returns the
// request id that went over the wire.
func startOver(t *testing.T, request patch.Request, options ...grpc.DialOption) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	service := &wire{requestIDs: make(chan string, 1)}
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	connection, err := client.DialContext(t.Context(), client.Options{
		HostPort:          listener.Addr().String(),
		Logger:            sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{DialOptions: options},
	})
	require.NoError(t, err)
	t.Cleanup(connection.Close)
	s, err := starter.New(starter.Options{Client: connection, AuditLog: emptyLog{}})
	require.NoError(t, err)
	_, err = s.Start(t.Context(), request)
	require.NoError(t, err)
	return <-service.requestIDs
}

// TestRequestID proves that a start carries its patch id as the request id by
// which Temporal knows it again, and that it does so by the dial options alone.
func TestRequestID(t *testing.T) {
	require.Equal(t, newID, startOver(t, request("1.4.3", false), starter.DialOptions()...))
	require.NotEqual(t, newID, startOver(t, request("1.4.3", false)))
	require.NotEmpty(t, startOver(t, patch.Request{GameID: gameID}, starter.DialOptions()...), "Temporal takes none that is empty")
}
