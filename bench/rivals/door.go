// Package rivals holds what else one could write for the same patch: the
// synchronous service of the specification, a saga as the samples of Temporal have
// it, and a queue on Postgres. Each stands behind the same door, over the same
// stores and the same client of Runtime Manager as the product. What they leave
// out is in their own comments.
package rivals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Answer is what the caller of a patch is told.
type Answer struct {
	Outcome     string `json:"outcome"`
	FromVersion string `json:"from_version"`
	ToVersion   string `json:"to_version"`
}

// success is the outcome of a patch that was done.
const success = "success"

// patcher does one patch, and returns when its end is known.
type patcher interface {
	patch(ctx context.Context, gameID, version string) (Answer, error)
}

const (
	// maxBody is the product's own bound.
	maxBody = 4 << 10
	// headerTimeout keeps a connection without a request from staying.
	headerTimeout = 5 * time.Second
	// drain is what open requests get at the end; nobody measures them any more.
	drain = 2 * time.Second
)

// serveDoor answers patches until ctx ends. The address goes to out, which tells
// whoever started it that it is ready.
func serveDoor(ctx context.Context, out io.Writer, p patcher) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/internal/runtimes/{game_id}/patch", func(w http.ResponseWriter, r *http.Request) { answer(w, r, p) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// answer serves one request. Refusals are told apart by nothing but their text:
// what is measured is the patch that succeeds.
func answer(w http.ResponseWriter, r *http.Request, p patcher) {
	var body struct {
		Version string `json:"version"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	done, err := p.patch(r.Context(), r.PathValue("game_id"), body.Version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(done) // a caller that went away is no fault
}
