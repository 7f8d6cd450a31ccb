package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Keys of what the handling of a request knows of it.
const (
	keyRequestID = "request_id"
	keyCaller    = "caller"
)

// unescape reads the path's parameters as paths are written: gin would read them
// as a query, where a plus sign, which versions may have, is a space.
func unescape(c *gin.Context) {
	for i, parameter := range c.Params {
		if plain, err := url.PathUnescape(parameter.Value); err == nil {
			c.Params[i].Value = plain
		}
	}
}

// requestIDRegexp is what is taken over from a client as a request id: enough
// for UUIDs and trace ids, nothing that a log or a header could trip over.
var requestIDRegexp = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identify gives the request its id, the caller's own if that is sane, and
// sets the headers that every answer has.
func (server *Server) identify(c *gin.Context) {
	id := c.Request.Header.Get("X-Request-Id")
	if !requestIDRegexp.MatchString(id) {
		id = uuid.NewString()
	}
	c.Set(keyRequestID, id)
	c.Header("X-Request-Id", id)
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
}

func requestID(c *gin.Context) string { return c.GetString(keyRequestID) }

// record logs the request when it is done: never its headers, its query or
// its body, and of its path only what was checked.
func (server *Server) record(c *gin.Context) {
	began := time.Now()
	withSubject(c)
	defer func() {
		level := slog.LevelInfo
		if probes(c.FullPath()) || gone(c) {
			level = slog.LevelDebug
		}
		attrs := []slog.Attr{
			slog.String("method", methodName(c.Request.Method)),
			slog.String("route", c.FullPath()),
			slog.Int("status", c.Writer.Status()),
			slog.Duration("duration", time.Since(began)),
			slog.String("request_id", requestID(c)),
		}
		server.metrics.Request(methodName(c.Request.Method), c.FullPath(), c.Writer.Status(), time.Since(began))
		if caller := c.GetString(keyCaller); caller != "" {
			attrs = append(attrs, slog.String("caller", caller))
		}
		ids := subjectIDs(c)
		attrs = append(attrs, ids...)
		markSpan(c, ids)
		server.logger.LogAttrs(c.Request.Context(), level, "request", attrs...)
	}()
	c.Next()
}

// gone reports whether the client went away, or at least closed its half of
// the connection.
func gone(c *gin.Context) bool { return c.Request.Context().Err() != nil }

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

func probes(route string) bool { return route == healthPath || route == readyPath }

// methodName keeps made-up methods out of the log.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// loggedGame returns the game that the path names, if it is a possible one.
func loggedGame(c *gin.Context) string {
	if gameID := c.Param("game_id"); runtime.ValidGameID(gameID) {
		return gameID
	}
	gameID, _ := patch.GameOf(c.Param("patch_id"))
	return gameID
}

// rescue turns a panic into a problem. When the answer has begun already, the
// connection is cut instead, so that the client does not take it for whole.
func (server *Server) rescue(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		detail := fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())
		if c.Writer.Written() {
			server.blame(c, *refusal(patch.CodeInternalError, detail))
			panic(http.ErrAbortHandler)
		}
		server.refuse(c, *refusal(patch.CodeInternalError, detail))
	}()
	c.Next()
}

// guardHost refuses, on a server for this machine only, requests that name
// another host: a web page that had its own name resolve to loopback (DNS
// rebinding) sends that name, and the token of a development server is no
// secret.
func (server *Server) guardHost(c *gin.Context) {
	if server.loopbackOnly && !loopbackHost(c.Request.Host) {
		server.refuse(c, *faulty(codeMisdirected, "Host",
			"this server is for development, and answers localhost and loopback addresses only"))
	}
}

// loopbackHost reports whether a Host header, with or without a port, is
// "localhost" or a loopback address.
func loopbackHost(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
