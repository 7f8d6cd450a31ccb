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
	if answer.withoutFences() {
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

// KnowsFences reports whether Runtime Manager knows fencing numbers. It asks for
// one that cannot be, for an id that no game can have, so that nothing is
// changed whatever the answer: a manager that knows the path refuses the number,
// one that does not answers as to any unknown path. Errors are those of
// Recognize.
func (c *Client) KnowsFences(ctx context.Context) (bool, error) {
	body, err := json.Marshal(fenceRequest{})
	if err != nil {
		return false, refused(err)
	}
	answer, err := c.exchange(ctx, call{
		method:  http.MethodPut,
		path:    runtimesPath + probeID + "/fence",
		body:    body,
		timeout: c.fenceTimeout,
	})
	switch {
	case err != nil:
		return false, err
	case answer.withoutFences():
		return false, nil
	case answer.fence(ports.RTMFenceInput{GameID: probeID}) == nil:
		// It minds no numbers that cannot be, and yet knows the path.
		return true, nil
	}
	if err := answer.recognized(); err != nil {
		return false, err
	}
	return true, nil
}

// withoutFences reports whether the answer to a fence is that of a manager which
// knows no such path.
func (a answer) withoutFences() bool {
	return a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented
}
