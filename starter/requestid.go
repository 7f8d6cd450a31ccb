package starter

import (
	"context"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// requestIDKey is where a context carries the request id of a start.
type requestIDKey struct{}

func withRequestID(ctx context.Context, id string) context.Context {
	if id == "" {
		// A run without a patch id is refused by its first step; Temporal takes no
		// empty request id.
		return ctx
	}
	return context.WithValue(ctx, requestIDKey{}, id)
}

// identityKey is where a context carries who a cancellation is asked for by.
type identityKey struct{}

func withIdentity(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, identityKey{}, name)
}

// DialOptions are for client.ConnectionOptions.DialOptions of the client that a
// [Starter] is made with. They let each start carry its patch id as Temporal's
// request id, and each cancellation its actor as Temporal's identity, for which the
// SDK has no options of its own; see [Starter.Start] and [Starter.Cancel]. Calls of
// anybody else pass unchanged.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, request, answer any,
		connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		start, starts := request.(*workflowservice.StartWorkflowExecutionRequest)
		id, known := ctx.Value(requestIDKey{}).(string)
		if starts && known {
			start.RequestId = id
		}
		cancel, cancels := request.(*workflowservice.RequestCancelWorkflowExecutionRequest)
		if name, known := ctx.Value(identityKey{}).(string); cancels && known {
			cancel.Identity = name
		}
		return invoke(ctx, method, request, answer, connection, options...)
	})}
}
