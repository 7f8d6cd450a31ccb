package cli

import (
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/telemetry"
	"galaxy/gamemaster/starter"
)

// observers hear of what a process does. A command that ends by itself has a
// logger only.
type observers struct {
	logger  *slog.Logger
	meters  *telemetry.Meters
	runs    *telemetry.RunMetrics
	exports *telemetry.ExportMetrics
	traces  *telemetry.Traces
}

// newObservers makes those of a process that runs as service. They are to be
// closed when everything that they hear of has ended.
func newObservers(p *process, service string, logger *slog.Logger) (observers, error) {
	meters, err := telemetry.NewMeters(logger)
	if err != nil {
		return observers{}, err
	}
	traces, err := telemetry.NewTraces(p.ctx, p.environ, service)
	if err != nil {
		return observers{}, refused(err)
	}
	// A collector that is away, for one.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("opentelemetry", "err", err.Error()) }))
	return observers{
		logger: logger, meters: meters, runs: telemetry.NewRunMetrics(), exports: telemetry.NewExportMetrics(), traces: traces,
	}, nil
}

func (o observers) close() { o.traces.Close() }

// watchClient has a client of Temporal, and the workers on it, be heard.
func (o observers) watchClient(options *client.Options) error {
	options.Logger = telemetry.ForTemporal(o.logger)
	if o.meters != nil {
		options.MetricsHandler = o.meters.ForTemporal()
	}
	interceptors, err := o.traces.Temporal()
	options.Interceptors = append(options.Interceptors, interceptors...)
	return err
}

// door begins the trace of each request but the probes, which come every few
// seconds.
func (o observers) door() gin.HandlerFunc {
	return o.traces.Door(func(r *http.Request) bool { return r.URL.Path != "/healthz" && r.URL.Path != "/readyz" })
}

// auditLog is the log whose new rows are counted.
func (o observers) auditLog(pool *pgxpool.Pool) *postgres.OperationLog {
	return postgres.NewOperationLog(pool).OnAppended(o.runs.Ended)
}

// histories is the store whose new rows are counted.
func (o observers) histories(pool *pgxpool.Pool) *postgres.Histories {
	return postgres.NewHistories(pool).OnTried(o.exports.Tried)
}

// collectors are the metrics of a process whose runs go to a task queue, but for
// those of HTTP.
func (o observers) collectors(pool *pgxpool.Pool, temporal temporalConnection, taskQueue string) ([]prometheus.Collector, error) {
	// Which task queue new runs would go to does not matter for a list.
	open, err := starter.New(starter.Options{Client: temporal, AuditLog: postgres.NewOperationLog(pool)})
	if err != nil {
		return nil, err
	}
	return []prometheus.Collector{
		o.meters, o.runs, o.exports,
		telemetry.DriftMetrics(postgres.NewDrift(pool), o.logger),
		telemetry.OpenMetrics(open, o.logger),
		telemetry.BacklogMetrics(postgres.NewHistories(pool), starter.ExportID(taskQueue), o.logger),
	}, nil
}

// httpMetrics are all metrics of a process with an API.
func (o observers) httpMetrics(pool *pgxpool.Pool, temporal temporalConnection, taskQueue string) (*telemetry.HTTPMetrics, error) {
	collectors, err := o.collectors(pool, temporal, taskQueue)
	if err != nil {
		return nil, err
	}
	metrics := telemetry.NewHTTPMetrics()
	metrics.Register(collectors...)
	return metrics, nil
}
