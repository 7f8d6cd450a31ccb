// Package api is the REST door of Game Master: it authenticates, bounds, checks
// and decodes what comes in, hands it to a [Patcher] or a store, and tells the
// outcome as JSON or as an RFC 9457 problem with a stable code. Its contract is
// [Document]: package contract is generated from it, and every request is
// checked against it before it is decoded.
//
// Nothing malformed gets past it: a request that is refused here never reaches
// a [Patcher] or a store. What is merely not possible (a version that is no
// semver, a game that is stopped) is for the patch itself to say, because that
// leaves an audit row.
package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// Runtimes reads and changes single runtime records;
// [ports.RuntimeRecordStore] has it.
type Runtimes interface {
	Get(ctx context.Context, gameID string) (runtime.RuntimeRecord, error)
	UpdateStatus(ctx context.Context, input ports.UpdateStatusInput) error
	UpdateScheduling(ctx context.Context, input ports.UpdateSchedulingInput) error
	UpdateEngineHealth(ctx context.Context, input ports.UpdateEngineHealthInput) error
	Delete(ctx context.Context, gameID string) error
}

// Drift reads what the watch found; [ports.DriftPager] has it.
type Drift interface {
	PageDrift(ctx context.Context, input ports.DriftPageInput) ([]drift.Finding, error)
	LastPass(ctx context.Context) (drift.Pass, error)
}

// Histories reads what was exported of closed runs; [ports.HistoryStore] has it.
type Histories interface {
	ListHistories(ctx context.Context, patchID string, limit int) ([]history.Run, error)
	ListInterventions(ctx context.Context, patchID string, limit int) ([]history.Intervention, error)
	ReadHistory(ctx context.Context, patchID, runID string, most int) ([]byte, error)
}

// Metrics hears of every request that was answered.
type Metrics interface {
	// Request is called once for each: route is the pattern that matched, empty
	// when none did.
	Request(method, route string, status int, took time.Duration)
}

// silent is the Metrics of a server without any.
type silent struct{}

func (silent) Request(string, string, int, time.Duration) {}

// Check is one part that has to work before requests can be served.
type Check struct {
	// Name is the part's name in the answer of /readyz, such as "postgres".
	Name string
	// Check returns nil when the part works. Its error is logged, and told by
	// [Probes]; /readyz of a [Server] only says that there is one. It must return
	// when ctx ends.
	Check func(ctx context.Context) error
}

// Stores are where the server reads and writes; all are required. The adapters of
// package postgres implement them.
type Stores struct {
	Runtimes     Runtimes
	RuntimePages ports.RuntimePager
	Registrar    ports.RuntimeRegistrar
	Versions     ports.EngineVersionStore
	Operations   ports.OperationPager
	Keys         ports.IdempotencyKeyStore
	Drift        Drift
	Histories    Histories
}

// Options are what a [Server] needs.
type Options struct {
	// Patcher and Stores are required.
	Patcher Patcher
	Stores  Stores

	// Gate says who may pass; required, so that no server is open by mistake.
	Gate Gate

	// LoopbackOnly is for development, with a token that is no secret: the
	// server then serves only on a loopback address and only requests that name
	// a loopback host.
	LoopbackOnly bool

	// TLS, if it is set, is what connections are encrypted with.
	TLS *tls.Config

	// Rate and Burst bound the requests of each caller, per second and at once;
	// zero means [DefaultRate] and [DefaultBurst].
	Rate  float64
	Burst int

	// MaxWaiting bounds the callers that wait for a patch at once; beyond it the
	// answer is 202 without a wait. Zero means [DefaultMaxWaiting].
	MaxWaiting int

	// Checks are what /readyz asks; names must differ.
	Checks []Check

	// LameDuck is how long the server keeps accepting after it was told to
	// stop while /readyz says "draining" already, so that load balancers
	// notice first. Zero, the default, is right where the platform takes the
	// address out of service before it signals the process.
	LameDuck time.Duration

	// RunPages may be empty.
	RunPages RunPages

	// Metrics may be nil.
	Metrics Metrics

	// Trace, if it is set, meets every request first, and puts a span into its
	// context, which gets the ids of the request and of its patch.
	Trace gin.HandlerFunc

	// Logger defaults to [slog.Default].
	Logger *slog.Logger
}

// validate reports the first fault of the options.
func (options Options) validate() error {
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"patcher", options.Patcher == nil},
		{"runtimes", options.Stores.Runtimes == nil},
		{"runtime pages", options.Stores.RuntimePages == nil},
		{"registrar", options.Stores.Registrar == nil},
		{"engine versions", options.Stores.Versions == nil},
		{"operations", options.Stores.Operations == nil},
		{"idempotency keys", options.Stores.Keys == nil},
		{"drift", options.Stores.Drift == nil},
		{"histories", options.Stores.Histories == nil},
	} {
		if part.missing {
			return errors.New("nil " + part.name)
		}
	}
	switch {
	case options.Gate == nil:
		return errors.New("nil gate: nobody would say who may pass")
	case options.LameDuck < 0:
		return fmt.Errorf("lame duck time %s is negative", options.LameDuck)
	case options.Rate < 0 || options.Burst < 0 || options.MaxWaiting < 0:
		return errors.New("rate, burst and the number of waiting callers must not be negative")
	}
	seen := map[string]bool{}
	for _, check := range options.Checks {
		if check.Name == "" || check.Check == nil {
			return fmt.Errorf("readiness check %q needs a name and a function", check.Name)
		}
		if seen[check.Name] {
			return fmt.Errorf("two readiness checks are named %q", check.Name)
		}
		seen[check.Name] = true
	}
	return nil
}

// Server answers the REST requests. It is a [http.Handler] for tests and
// embedding; [Server.Serve] is how it runs for real, because only that bounds
// the times of a connection.
type Server struct {
	patcher      Patcher
	runtimes     Runtimes
	runtimePages ports.RuntimePager
	registrar    ports.RuntimeRegistrar
	versions     ports.EngineVersionStore
	operations   ports.OperationPager
	keys         ports.IdempotencyKeyStore
	drift        Drift
	histories    Histories

	contract     *contractDocument
	gate         Gate
	limits       *rateLimits
	loopbackOnly bool
	tls          *tls.Config
	// waiting holds one for each caller that waits for a patch.
	waiting   chan struct{}
	lameDuck  time.Duration
	runPages  RunPages
	metrics   Metrics
	trace     gin.HandlerFunc
	logger    *slog.Logger
	readiness *readiness
	handler   http.Handler

	// stopping ends when the server begins to drain, and never starts anew: a
	// Server serves once.
	stopping context.Context
	stop     context.CancelFunc
}

var (
	_ http.Handler                   = (*Server)(nil)
	_ contract.StrictServerInterface = (*Server)(nil)
)

// New returns a server over options, or an error that names what is missing or
// contradictory. It fails closed: without a gate there is no server.
func New(options Options) (*Server, error) {
	loaded, err := ours()
	if err != nil {
		return nil, fmt.Errorf("new api: %w", err)
	}
	return newServer(options, loaded)
}

func newServer(options Options, loaded *contractDocument) (*Server, error) {
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("new api: %w", err)
	}
	stores := options.Stores
	stopping, stop := context.WithCancel(context.Background())
	server := &Server{
		patcher: options.Patcher, runtimes: stores.Runtimes, runtimePages: stores.RuntimePages,
		registrar: stores.Registrar, versions: stores.Versions, operations: stores.Operations, keys: stores.Keys, drift: stores.Drift,
		histories: stores.Histories,
		contract:  loaded, gate: options.Gate, loopbackOnly: options.LoopbackOnly, tls: options.TLS,
		limits:   newRateLimits(rate.Limit(cmp.Or(options.Rate, DefaultRate)), cmp.Or(options.Burst, DefaultBurst)),
		waiting:  make(chan struct{}, cmp.Or(options.MaxWaiting, DefaultMaxWaiting)),
		lameDuck: options.LameDuck, runPages: options.RunPages, metrics: options.Metrics, trace: options.Trace, logger: options.Logger,
		readiness: newReadiness(options.Checks), stopping: stopping, stop: stop,
	}
	if server.metrics == nil {
		server.metrics = silent{}
	}
	if server.logger == nil {
		server.logger = slog.Default()
	}
	// The bound on bodies stands outside the router, where it sees the
	// connection itself and can close it on a body that never ends.
	server.handler = http.MaxBytesHandler(inTime(asGet(server.router())), MaxBody)
	return server, nil
}

// ServeHTTP answers one request.
func (server *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	server.handler.ServeHTTP(w, r)
}

// draining reports whether the server was told to stop.
func (server *Server) draining() bool { return server.stopping.Err() != nil }

// router lays the routes: the contract's by the generated code, behind
// everything that has to be true before a request is decoded.
func (server *Server) router() *gin.Engine {
	// Process-wide, and the only mode in which gin prints nothing.
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	// Routes are matched on the path as it was sent, so that %2F in an id
	// stays inside the id, where the check of its shape meets it.
	engine.UseEscapedPath = true
	engine.UnescapePathValues = false
	// No header may tell us the client's address. Without proxies the call
	// parses nothing, so there is no error to come.
	_ = engine.SetTrustedProxies(nil)

	if server.trace != nil {
		engine.Use(server.trace)
	}
	engine.Use(unescape, server.identify, server.record, server.rescue, server.guardHost)
	engine.NoRoute(server.noRoute)
	engine.NoMethod(server.noMethod)
	server.layDocuments(engine)

	handlers := contract.NewStrictHandlerWithOptions(server, nil, contract.StrictGinServerOptions{
		RequestErrorHandlerFunc:  server.undecoded,
		HandlerErrorFunc:         server.fail,
		ResponseErrorHandlerFunc: server.untold,
	})
	contract.RegisterHandlersWithOptions(engine.Group("", server.admit, server.validate), handlers, contract.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { server.undecoded(c, err) },
	})
	return engine
}

// inTime gives the client a bounded time to take the answer, once there is one:
// until then it is held here.
func inTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(&timedWriter{ResponseWriter: w}, r) })
}

// timedWriter sets the deadline when the answer begins.
type timedWriter struct {
	http.ResponseWriter
	begun bool
}

func (w *timedWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	// A writer that knows no deadlines is a test's.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTimeout))
}

// WriteHeader begins the answer.
func (w *timedWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer, if nothing has.
func (w *timedWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets response controllers through.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// asGet has HEAD answered as GET, as RFC 9110 wants of every server; net/http
// leaves the body out by itself.
func asGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.Clone(r.Context())
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// undecoded answers what the generated code could not read although the
// contract has let it pass: a whole number that is written as 1e2. The decoder's
// words name our own types, so that they are not told; where no member can be
// named, they are logged.
func (server *Server) undecoded(c *gin.Context, err error) {
	op, _ := server.contract.find(c.Request.Method, c.FullPath())
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && op.Operation != nil && op.body() != nil {
		if member := op.body().Properties[mistyped.Field]; member != nil {
			server.refuse(c, *mend(mistyped.Field, "want "+wanted(member.Value)+", in digits"))
			return
		}
	}
	p := refusal(patch.CodeInvalidRequest, "the request cannot be read")
	p.cause = fmt.Errorf("decode: %w", err)
	server.refuse(c, *p)
}

// untold is called when an answer could not be encoded, or not be written: then
// the client went away or was too slow, which is no news.
func (server *Server) untold(c *gin.Context, err error) {
	if !c.Writer.Written() && !gone(c) {
		server.fail(c, err)
		return
	}
	server.logger.LogAttrs(c.Request.Context(), slog.LevelDebug, "answer was not taken",
		slog.String("request_id", requestID(c)), slog.String("err", err.Error()))
}

func (server *Server) noRoute(c *gin.Context) {
	server.refuse(c, *refusal(codeNotFound, "there is nothing at this path"))
}

func (server *Server) noMethod(c *gin.Context) {
	allow := c.Writer.Header().Get("Allow")
	if slices.Contains(strings.Split(allow, ", "), http.MethodGet) {
		allow += ", " + http.MethodHead
		c.Header("Allow", allow)
	}
	server.refuse(c, *refusal(codeMethodNotAllowed, "this path takes "+allow))
}
