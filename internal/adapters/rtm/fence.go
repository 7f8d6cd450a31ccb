package rtm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"galaxy/gamemaster/internal/ports"
)

// Fence has Runtime Manager refuse, from its answer on, every call for the game
// whose fencing number is lower than input.Fence.
//
// It returns [ports.ErrFenceUnsupported] when Runtime Manager knows no fencing
// numbers: the game needs no container for it, so a 404 can mean nothing else.
// All other errors are as those of Patch: ErrFenced beside ErrRTMRejected when a
// higher number was seen, and ErrRTMUnavailable when the number may or may not
// be in force, as after a 200 that speaks of another game or another number. It
// may be sent again in every case.
func (c *Client) Fence(ctx context.Context, input ports.RTMFenceInput) error {
	if err := checkFence(input); err != nil {
		return refused(err)
	}
	body, err := json.Marshal(fenceRequest{Fence: input.Fence})
	if err != nil {
		return refused(err)
	}
	answer, err := c.exchange(ctx, call{
		method:  http.MethodPut,
		path:    runtimesPath + url.PathEscape(input.GameID) + "/fence",
		body:    body,
		timeout: c.fenceTimeout,
	})
	if err != nil {
		return err
	}
	switch answer.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return ports.ErrFenceUnsupported
	}
	if verdict(answer.status) != nil {
		return answer.fenceable()
	}
	if err := answer.fence(input); err != nil {
		return answer.unreadable(err)
	}
	return nil
}
