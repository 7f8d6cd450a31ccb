package client

import (
	"context"
	"net/http"
)

// GetHealth tells that the process answers.
func (c *Client) GetHealth(ctx context.Context) (Health, error) {
	return ask[Health](ctx, c, getHealthCall())
}

// GetReadiness tells whether requests should be sent there, and which part is
// missing if not. That it is not ready is an answer and no error.
func (c *Client) GetReadiness(ctx context.Context) (Readiness, error) {
	asked := getReadinessCall()
	asked.alsoAnswers = http.StatusServiceUnavailable
	return ask[Readiness](ctx, c, asked)
}
