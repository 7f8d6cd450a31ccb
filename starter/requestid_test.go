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

// wire is a Temporal that takes every start and every cancellation, and keeps the
// request ids and the identities that came.
type wire struct {
	workflowservice.UnimplementedWorkflowServiceServer
	requestIDs, identities chan string
	started                *workflowservice.StartWorkflowExecutionResponse
	described              *workflowservice.DescribeWorkflowExecutionResponse
}

func (*wire) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (w *wire) StartWorkflowExecution(
	_ context.Context, request *workflowservice.StartWorkflowExecutionRequest,
) (*workflowservice.StartWorkflowExecutionResponse, error) {
	w.requestIDs <- request.GetRequestId()
	return w.started, nil
}

func (w *wire) DescribeWorkflowExecution(
	context.Context, *workflowservice.DescribeWorkflowExecutionRequest,
) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return w.described, nil
}

func (w *wire) RequestCancelWorkflowExecution(
	_ context.Context, request *workflowservice.RequestCancelWorkflowExecutionRequest,
) (*workflowservice.RequestCancelWorkflowExecutionResponse, error) {
	w.identities <- request.GetIdentity()
	return &workflowservice.RequestCancelWorkflowExecutionResponse{}, nil
}

// over is a starter whose client was made with options, and what is at the other
// end of its wire.
func over(t *testing.T, options ...grpc.DialOption) (*starter.Starter, *wire) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	service := &wire{
		requestIDs: make(chan string, 1), identities: make(chan string, 1), described: described(t, "1.4.3", false, running),
		started: &workflowservice.StartWorkflowExecutionResponse{RunId: "run-1"},
	}
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
	return s, service
}

// startOver starts request through a client with options, and returns the
// request id that went over the wire.
func startOver(t *testing.T, request patch.Request, options ...grpc.DialOption) string {
	t.Helper()
	s, service := over(t, options...)
	_, err := s.Start(t.Context(), request)
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

// TestCancelIdentity proves that a cancellation tells Temporal who it is asked for
// by, and not which process passed it on, and that it does so by the dial options
// alone.
func TestCancelIdentity(t *testing.T) {
	for name, row := range map[string]struct {
		options []grpc.DialOption
		same    bool
	}{"with the options": {starter.DialOptions(), true}, "without": {nil, false}} {
		s, service := over(t, row.options...)
		_, err := s.Cancel(t.Context(), openID, patch.Command{Actor: "ann", Reason: "wrong game"})
		require.NoError(t, err)
		require.Equal(t, row.same, <-service.identities == "ann", name)
	}
}
