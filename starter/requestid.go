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

// DialOptions are for client.ConnectionOptions.DialOptions of the client that a
// [Starter] is made with. They let each start carry its patch id as Temporal's
// request id, for which the SDK has no option of its own; see [Starter.Start].
// Calls of anybody else pass unchanged.
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
		return invoke(ctx, method, request, answer, connection, options...)
	})}
}
