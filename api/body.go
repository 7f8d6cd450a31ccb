package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/gin-gonic/gin"
)

// readBody returns the body of a request that says it is JSON.
func readBody(c *gin.Context) ([]byte, *problem) {
	header := c.Request.Header
	if len(header.Values("Content-Encoding")) > 0 {
		c.Header("Accept-Encoding", "identity")
		return nil, faulty(codeUnsupportedMedia, "Content-Encoding", "is not taken, send the body as it is")
	}
	if !saysJSON(header.Values("Content-Type")) {
		c.Header("Accept", "application/json")
		return nil, faulty(codeUnsupportedMedia, "Content-Type", "want application/json")
	}
	// A length that is announced need not be waited for.
	if c.Request.ContentLength > MaxBody {
		return nil, tooLarge(c)
	}
	encoded, err := io.ReadAll(c.Request.Body)
	if err == nil {
		return encoded, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(c)
	}
	c.Header("Connection", "close")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, faulty(codeRequestTimeout, fieldBody, fmt.Sprintf("did not arrive within %s", requestTimeout))
	}
	return nil, mend(fieldBody, "broke off before its end")
}

func tooLarge(c *gin.Context) *problem {
	// The rest of the body is not read, so nothing can follow it.
	c.Header("Connection", "close")
	return faulty(codeBodyTooLarge, fieldBody, fmt.Sprintf("at most %d bytes are allowed", MaxBody))
}

// saysJSON reports whether there is one content type and it is JSON in UTF-8.
func saysJSON(values []string) bool {
	if len(values) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
