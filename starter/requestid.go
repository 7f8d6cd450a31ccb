package starter

import (
	"context"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// startingKey is where a context carries what its start is to say and to learn.
type startingKey struct{}

// starting is what goes past the SDK's options with a start.
type starting struct {
	// requestID is left to the SDK when it is empty: a run without a patch id is
	// refused by its first step, and Temporal takes no empty request id.
	requestID string
	// begun says that the answer told of a run that is open, and that this start
	// or an earlier try of it began.
	begun bool
}

func withStarting(ctx context.Context, requestID string) (context.Context, *starting) {
	s := &starting{requestID: requestID}
	return context.WithValue(ctx, startingKey{}, s), s
}

// asked puts the request id in.
func (s *starting) asked(request *workflowservice.StartWorkflowExecutionRequest) {
	if s.requestID != "" {
		request.RequestId = s.requestID
	}
}

// answered keeps what the answer tells: a repeat of a request id is told its run
// also when that has closed.
func (s *starting) answered(answer *workflowservice.StartWorkflowExecutionResponse) {
	s.begun = answer.GetStarted() && answer.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// identityKey is where a context carries who a cancellation is asked for by.
type identityKey struct{}

func withIdentity(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, identityKey{}, name)
}

// DialOptions are for client.ConnectionOptions.DialOptions of the client that a
// [Starter] is made with. They let each start carry its patch id as Temporal's
// request id and learn whether it began a run, and each cancellation carry its actor
// as Temporal's identity, for which the SDK has no options of its own; see
// [Starter.Start] and [Starter.Cancel]. Calls of anybody else pass unchanged.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, request, answer any,
		connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		if start, starts := request.(*workflowservice.StartWorkflowExecutionRequest); starts {
			if s, known := ctx.Value(startingKey{}).(*starting); known {
				s.asked(start)
				defer func() { s.answered(answer.(*workflowservice.StartWorkflowExecutionResponse)) }()
			}
		}
		cancel, cancels := request.(*workflowservice.RequestCancelWorkflowExecutionRequest)
		if name, known := ctx.Value(identityKey{}).(string); cancels && known {
			cancel.Identity = name
		}
		return invoke(ctx, method, request, answer, connection, options...)
	})}
}
