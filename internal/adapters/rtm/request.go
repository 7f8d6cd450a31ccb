package rtm

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"galaxy/gamemaster/internal/ports"
)

// maxKey is the port's bound on an idempotency key, in bytes.
const maxKey = 255

// fenceRequest is the body of a fence.
type fenceRequest struct {
	Fence int64 `json:"fence"`
}

// patchRequest is the body of a patch.
type patchRequest struct {
	ImageRef string `json:"image_ref"`
}

// parseBaseURL returns raw without its trailing slashes. Its errors hold
// nothing of raw, not even what the parser has to say: of a URL whose password
// confuses the parser, that is the password.
func parseBaseURL(raw string) (string, error) {
	base, err := url.Parse(raw)
	switch {
	case raw == "":
		return "", errors.New("must not be empty")
	case err != nil:
		return "", errors.New("is not a URL")
	case base.Scheme != "http" && base.Scheme != "https":
		return "", errors.New("must be an absolute http or https URL")
	case base.User != nil:
		return "", errors.New("must not hold a user or a password")
	case base.Hostname() == "":
		return "", errors.New("must name a host")
	case !validPort(base):
		return "", errors.New("must have a port between 1 and 65535, or none")
	case strings.ContainsAny(raw, "?"):
		return "", errors.New("must not have a query")
	case strings.ContainsAny(raw, "#"):
		return "", errors.New("must not have a fragment")
	}
	return base.Scheme + "://" + base.Host + strings.TrimRight(base.EscapedPath(), "/"), nil
}

func validPort(base *url.URL) bool {
	if base.Port() == "" {
		return !strings.HasSuffix(base.Host, ":")
	}
	port, err := strconv.ParseUint(base.Port(), 10, 16)
	return err == nil && port > 0
}

// checkPatch finds what would fail on every attempt, so that it is refused
// once and not retried as a fault of the network.
func checkPatch(input ports.RTMPatchInput) error {
	if err := input.Validate(); err != nil {
		return err
	}
	if err := checkGameID(input.GameID); err != nil {
		return err
	}
	if len(input.ImageRef) > maxImageRef || !utf8.ValidString(input.ImageRef) {
		// JSON would carry another string, and the answer would then
		// contradict the question for ever.
		return fmt.Errorf("image ref must be UTF-8 of at most %d bytes", maxImageRef)
	}
	if len(input.IdempotencyKey) > maxKey || strings.ContainsFunc(input.IdempotencyKey, invisible) {
		return fmt.Errorf("idempotency key must be at most %d bytes of visible ASCII", maxKey)
	}
	return nil
}

// checkFence is checkPatch for a fence.
func checkFence(input ports.RTMFenceInput) error {
	if err := input.Validate(); err != nil {
		return err
	}
	return checkGameID(input.GameID)
}

// checkGameID refuses what no path segment can carry. All else is escaped; the
// shape of a game id is the domain's business.
func checkGameID(gameID string) error {
	switch strings.TrimSpace(gameID) {
	case "", ".", "..":
		return errors.New("game id must not be empty or a dot segment")
	}
	return nil
}

func invisible(char rune) bool { return char <= ' ' || char > '~' }
