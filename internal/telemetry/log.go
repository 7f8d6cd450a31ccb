// Package telemetry makes the loggers of the processes.
package telemetry

import (
	"io"
	"log/slog"

	sdklog "go.temporal.io/sdk/log"
)

// NewLogger returns a logger that writes lines of the given format, "json" or
// "text", from level up.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// ForTemporal lets the SDK, and the steps through it, log to logger.
func ForTemporal(logger *slog.Logger) sdklog.Logger { return sdklog.NewStructuredLogger(logger) }
