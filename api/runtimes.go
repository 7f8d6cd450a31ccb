package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// RuntimeList is the answer of GET /runtimes.
type RuntimeList struct {
	// Runtimes are newest first; never null.
	Runtimes []runtime.RuntimeRecord `json:"runtimes"`
}

// OperationList is the answer of GET /runtimes/{game_id}/operations.
type OperationList struct {
	// Operations are newest first; never null.
	Operations []operation.OperationEntry `json:"operations"`
}

// showRuntime answers 200 with the record, or 404 runtime_not_found.
func (server *Server) showRuntime(c *gin.Context) {
	gameID, problem := gameOf(c)
	if problem == nil {
		_, problem = query(c)
	}
	if problem != nil {
		server.refuse(c, *problem)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	record, err := server.runtimes.Get(ctx, gameID)
	switch {
	case err == nil:
		server.reply(c, http.StatusOK, record)
	case errors.Is(err, runtime.ErrNotFound):
		server.refuse(c, refusal(patch.CodeRuntimeNotFound, "no runtime record exists for this game"))
	default:
		server.unavailable(c, "read the runtime record", err)
	}
}

// listRuntimes answers 200 with all records, or those of ?status=.
func (server *Server) listRuntimes(c *gin.Context) {
	values, problem := query(c, "status")
	if problem != nil {
		server.refuse(c, *problem)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	var records []runtime.RuntimeRecord
	var err error
	if values.Has("status") {
		status := runtime.Status(values.Get("status"))
		if !status.IsKnown() {
			server.refuse(c, *mend("status", fmt.Sprintf("%q is not a status, want one of %s",
				patch.Truncate(string(status), 64), statusNames())))
			return
		}
		records, err = server.runtimes.ListByStatus(ctx, status)
	} else {
		records, err = server.runtimes.List(ctx)
	}
	if err != nil {
		server.unavailable(c, "list the runtime records", err)
		return
	}
	if records == nil {
		records = []runtime.RuntimeRecord{}
	}
	server.reply(c, http.StatusOK, RuntimeList{Runtimes: records})
}

func statusNames() string {
	statuses := runtime.Statuses()
	names := make([]string, len(statuses))
	for i, status := range statuses {
		names[i] = string(status)
	}
	return strings.Join(names, ", ")
}

// listOperations answers 200 with the audit rows of the game, at most ?limit=.
// A game without a record may have some: refused patches, or those before the
// record was deleted.
func (server *Server) listOperations(c *gin.Context) {
	gameID, problem := gameOf(c)
	if problem != nil {
		server.refuse(c, *problem)
		return
	}
	values, problem := query(c, "limit")
	if problem != nil {
		server.refuse(c, *problem)
		return
	}
	limit := defaultOperations
	if values.Has("limit") {
		var ok bool
		if limit, ok = limitOf(values.Get("limit")); !ok {
			server.refuse(c, *mend("limit", fmt.Sprintf("want a whole number from 1 to %d", MaxOperations)))
			return
		}
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	found, err := server.operations.ListByGame(ctx, gameID, limit)
	if err != nil {
		server.unavailable(c, "list the operations", err)
		return
	}
	entries := make([]operation.OperationEntry, len(found))
	for i, entry := range found {
		entry.ErrorMessage = shown(patch.Code(entry.ErrorCode), entry.ErrorMessage)
		entries[i] = entry
	}
	server.reply(c, http.StatusOK, OperationList{Operations: entries})
}

// limitOf reads a limit in plain digits: strconv alone would take a sign.
func limitOf(text string) (int, bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	limit, err := strconv.Atoi(text)
	return limit, err == nil && limit >= 1 && limit <= MaxOperations
}

// unavailable answers 503 for a read that failed, and logs why.
func (server *Server) unavailable(c *gin.Context, doing string, err error) {
	server.fault(c, doing, err)
	server.refuse(c, refusal(patch.CodeServiceUnavailable, "could not "+doing+"; try again later"))
}
