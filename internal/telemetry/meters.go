package telemetry

import (
	"fmt"
	"log/slog"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// Meters are what the libraries measure by themselves: Temporal's SDK
// (temporal_*) and the pool of connections to Postgres (pgxpool_*).
type Meters struct {
	*prometheus.Registry
	provider *sdkmetric.MeterProvider
	logger   *slog.Logger
}

// meterBuckets, in seconds, hold a statement in a task (milliseconds), a recreate
// (seconds) and the undo's budget (minutes). There are few: the SDK has a
// histogram for every kind of its own requests.
var meterBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900}

// NewMeters returns meters with nothing to measure yet.
func NewMeters(logger *slog.Logger) (*Meters, error) {
	m := &Meters{Registry: prometheus.NewRegistry(), logger: logger}
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(m.Registry),
		// The names that dashboards and alerts are made of; without a word the
		// library chooses, and not always the same.
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		// A label and a metric that say which library it was: the names do.
		otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, fmt.Errorf("metrics of the libraries: %w", err)
	}
	m.provider = sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(exporter), sdkmetric.WithResource(resource.Empty()),
		sdkmetric.WithView(sdkmetric.NewView(
			sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: meterBuckets}},
		)),
	)
	return m, nil
}

// ForTemporal is for client.Options.MetricsHandler.
func (m *Meters) ForTemporal() client.MetricsHandler {
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: m.provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
		// The default is a panic, which a metric is not worth.
		OnError: func(err error) { m.logger.Error("metric of the Temporal SDK", "err", err.Error()) },
	})
}

// Watch measures pool, under a name of its own.
func (m *Meters) Watch(pool *pgxpool.Pool, name string) error {
	err := otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(m.provider), otelpgx.WithStatsAttributes(
		// Instead of host, port and database.
		attribute.String("db.client.connection.pool.name", name),
	))
	if err != nil {
		return fmt.Errorf("metrics of the pool %s: %w", name, err)
	}
	return nil
}
