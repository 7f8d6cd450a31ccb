package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
)

// Traces send spans to a collector. The nil Traces send none: every method of it
// leaves what it is given as it is.
type Traces struct {
	provider *sdktrace.TracerProvider
	// propagator carries a trace from one process to the next; without baggage,
	// which would carry whatever a caller puts into it.
	propagator propagation.TextMapPropagator
}

// flushPatience bounds what a process that ends waits for its last spans: they
// are worth less than a swift restart.
const flushPatience = 3 * time.Second

// NewTraces returns what the OTEL_* variables in environ ask for, or nil, which
// is off, when none of them names a collector. service is the name that the
// spans go by unless OTEL_SERVICE_NAME says another. It connects when there is
// something to send, and a collector that is away costs nothing but the spans.
//
// The error names a variable; no value of it is repeated but that of a protocol
// or an exporter.
func NewTraces(ctx context.Context, environ map[string]string, service string) (*Traces, error) {
	exporter, err := newExporter(ctx, environ)
	if err != nil || exporter == nil {
		return nil, err
	}
	// What is later in the list wins.
	described, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &Traces{
		// OTEL_TRACES_SAMPLER and OTEL_BSP_… are read by the library.
		provider:   sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described)),
		propagator: propagation.TraceContext{},
	}, nil
}

// newExporter returns nil when no collector is named.
func newExporter(ctx context.Context, environ map[string]string) (sdktrace.SpanExporter, error) {
	either := func(name string) string {
		if value := environ["OTEL_EXPORTER_OTLP_TRACES_"+name]; value != "" {
			return value
		}
		return environ["OTEL_EXPORTER_OTLP_"+name]
	}
	switch wanted := environ["OTEL_TRACES_EXPORTER"]; {
	case strings.EqualFold(environ["OTEL_SDK_DISABLED"], "true"), wanted == "none", either("ENDPOINT") == "":
		return nil, nil
	case wanted != "" && wanted != "otlp":
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q, want otlp or none", wanted)
	}
	switch protocol := either("PROTOCOL"); protocol {
	case "", "http/protobuf":
		exporter, err := otlptracehttp.New(ctx)
		return exporter, notMade(err)
	case "grpc":
		exporter, err := otlptracegrpc.New(ctx)
		return exporter, notMade(err)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q, want http/protobuf or grpc", protocol)
	}
}

func notMade(err error) error {
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_…: %w", err)
	}
	return nil
}

// Close sends what is left, within [flushPatience].
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	// What did not arrive is told by OpenTelemetry's own error handler.
	_ = t.provider.Shutdown(ctx)
}

// Door begins a span for each request for which wanted says yes; nil when it is
// off. A caller's traceparent is taken over.
func (t *Traces) Door(wanted func(*http.Request) bool) gin.HandlerFunc {
	if t == nil {
		return nil
	}
	return otelgin.Middleware("gamemaster", otelgin.WithTracerProvider(t.provider), otelgin.WithPropagators(t.propagator),
		// Requests are measured by [HTTPMetrics].
		otelgin.WithMeterProvider(metricnoop.NewMeterProvider()), otelgin.WithFilter(wanted))
}

// Temporal are the interceptors of a client, which the workers on it use as
// well. A start carries its trace in a header of the run; a run without one, or
// with one that cannot be read, goes on without. Headers are no part of what a
// replay compares.
func (t *Traces) Temporal() ([]interceptor.ClientInterceptor, error) {
	if t == nil {
		return nil, nil
	}
	tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: t.provider.Tracer("temporal-sdk-go"), TextMapPropagator: t.propagator, DisableBaggage: true,
		AllowInvalidParentSpans: true,
		// Who waits for a patch asks it again and again.
		DisableQueryTracing: true,
	})
	if err != nil {
		return nil, fmt.Errorf("traces of Temporal: %w", err)
	}
	return []interceptor.ClientInterceptor{tracing}, nil
}

// Manager has transport send a span, and its trace, with each request.
func (t *Traces) Manager(transport http.RoundTripper) http.RoundTripper {
	if t == nil {
		return transport
	}
	return otelhttp.NewTransport(transport, otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(t.propagator),
		otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))
}

// Postgres begins a span for each statement; nil when it is off. The text of the
// statement is in it, which is ours; its arguments are not, nor where and as
// whom it was sent.
func (t *Traces) Postgres() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return statements{otelpgx.NewTracer(otelpgx.WithTracerProvider(t.provider), otelpgx.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelpgx.WithDisableConnectionDetailsInAttributes(), otelpgx.WithSpanNameFunc(statementName))}
}

// statements hides all of a tracer but its spans of statements: what the pool
// does is measured, and a statement is prepared once in the life of a
// connection.
type statements struct{ pgx.QueryTracer }

var (
	writes = regexp.MustCompile(`(?i)\b(insert|update|delete)\s+(?:into\s+|from\s+)?([a-z_]+)`)
	reads  = regexp.MustCompile(`(?i)\bfrom\s+([a-z_]+)`)
)

// statementName is what a statement does, and to which table: what it writes
// first, unless it only reads.
func statementName(sql string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	verb := strings.ToUpper(first)
	if found := writes.FindStringSubmatch(sql); found != nil && verb != "SELECT" {
		return strings.ToUpper(found[1]) + " " + found[2]
	}
	if found := reads.FindStringSubmatch(sql); found != nil {
		return "SELECT " + found[1]
	}
	return verb
}
