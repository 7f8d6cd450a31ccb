// Package telemetry makes what the processes are watched by: loggers, metrics
// and traces.
package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	sdklog "go.temporal.io/sdk/log"

	"galaxy/gamemaster/internal/domain/patch"
)

// Keys of what a line is about. They are the same on every line of every process.
const (
	keyGame     = "game_id"
	keyWorkflow = "workflow_id"
	keyTrace    = "trace_id"
	keySpan     = "span_id"
)

// NewLogger returns a logger that writes lines of the given format, "json" or
// "text", from level up. A line that is logged under a span says so.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(traced{slog.NewTextHandler(w, options)})
	}
	return slog.New(traced{slog.NewJSONHandler(w, options)})
}

// traced adds the ids of the context's span to each line.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String(keyTrace, span.TraceID().String()), slog.String(keySpan, span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }

// ForTemporal lets the SDK, and the steps through it, log to logger. What the SDK
// calls WorkflowID, ActivityType and so on is called here as everywhere else, and
// a line about a game's run names the game.
func ForTemporal(logger *slog.Logger) sdklog.Logger { return sdkLogger{logger: logger} }

// sdkKeys are the SDK's keys of what our lines are about, and ours for them. A
// step within a workflow task is a step like any other.
var sdkKeys = map[string]string{
	"Namespace": "namespace", "TaskQueue": "task_queue", "WorkerID": "worker_id", "WorkerType": "worker_type", "BuildID": "build_id",
	"WorkflowType": "workflow", "WorkflowID": keyWorkflow, "RunID": "run_id",
	"ActivityType": "activity", "LocalActivityType": "activity", "ActivityID": "activity_id", "Attempt": "attempt",
	"TraceID": keyTrace, "SpanID": keySpan, "Error": "err",
	"QueryType": "query", "UpdateName": "update", "UpdateID": "update_id", "EventID": "event_id", "EventType": "event",
	"PanicError": "panic", "PanicStack": "stack", "StackTrace": "stack", "Result": "result", "TimerID": "timer_id",
}

// sdkLogger translates keys. It keeps what it was given until a line is written,
// since a step may say itself what is known of it already, and no key should be
// on a line twice.
type sdkLogger struct {
	logger *slog.Logger
	attrs  []slog.Attr
}

var _ sdklog.WithLogger = sdkLogger{}

// With returns a logger with more on each line.
func (l sdkLogger) With(keyvals ...any) sdklog.Logger {
	return sdkLogger{logger: l.logger, attrs: l.joined(keyvals)}
}

// Debug and the others write a line.
func (l sdkLogger) Debug(msg string, keyvals ...any) { l.write(slog.LevelDebug, msg, keyvals) }

// Info writes a line.
func (l sdkLogger) Info(msg string, keyvals ...any) { l.write(slog.LevelInfo, msg, keyvals) }

// Warn writes a line.
func (l sdkLogger) Warn(msg string, keyvals ...any) { l.write(slog.LevelWarn, msg, keyvals) }

// Error writes a line.
func (l sdkLogger) Error(msg string, keyvals ...any) { l.write(slog.LevelError, msg, keyvals) }

func (l sdkLogger) write(level slog.Level, msg string, keyvals []any) {
	ctx := context.Background()
	if l.logger.Enabled(ctx, level) {
		l.logger.LogAttrs(ctx, level, msg, l.joined(keyvals)...)
	}
}

// joined returns the attributes so far with those of keyvals, the later of two
// with the same key in the place of the first.
func (l sdkLogger) joined(keyvals []any) []slog.Attr {
	joined := append([]slog.Attr(nil), l.attrs...)
	var record slog.Record
	record.Add(keyvals...)
	record.Attrs(func(attr slog.Attr) bool {
		if ours, known := sdkKeys[attr.Key]; known {
			attr.Key = ours
		}
		joined = put(joined, attr)
		if gameID, ok := patch.GameOfWorkflow(attr.Value.String()); ok && attr.Key == keyWorkflow {
			joined = put(joined, slog.String(keyGame, gameID))
		}
		return true
	})
	return joined
}

func put(attrs []slog.Attr, attr slog.Attr) []slog.Attr {
	for i := range attrs {
		if attrs[i].Key == attr.Key {
			attrs[i] = attr
			return attrs
		}
	}
	return append(attrs, attr)
}
