// Package api is the REST door of Game Master: it authenticates, bounds and
// decodes what comes in, hands it to a [Patcher] or reads a store, and tells the
// outcome as JSON or as an RFC 9457 problem with a stable code.
//
// Nothing malformed gets past it: a request that is refused here never reaches
// a [Patcher] or a store. What is merely not possible (a version that is no
// semver, a game that is stopped) is for the patch itself to say, because that
// leaves an audit row.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Patcher starts, joins, awaits and looks at patches; package starter
// implements it.
type Patcher interface {
	// Start starts the patch or joins the open one of the same version; the
	// handle names the run that carries it out, so a joined request gets the
	// patch id of the run that it joined. It returns a [*patch.Refusal] with
	// [patch.CodePatchInProgress] (PatchID is the open patch) or
	// [patch.CodeServiceUnavailable] when it cannot.
	Start(ctx context.Context, request patch.Request) (patch.Handle, error)

	// Await waits for the end of the run. It returns [patch.ErrStillOpen] when
	// ctx ends first; the run goes on.
	Await(ctx context.Context, handle patch.Handle) (patch.Result, error)

	// Look returns what is known of the patch, or [patch.ErrNotFound] when no
	// patch has the id.
	Look(ctx context.Context, patchID string) (patch.View, error)
}

// Runtimes is what is read of the runtime records;
// [galaxy/gamemaster/internal/ports.RuntimeRecordStore] has it.
type Runtimes interface {
	Get(ctx context.Context, gameID string) (runtime.RuntimeRecord, error)
	List(ctx context.Context) ([]runtime.RuntimeRecord, error)
	ListByStatus(ctx context.Context, status runtime.Status) ([]runtime.RuntimeRecord, error)
}

// Operations is what is read of the audit log;
// [galaxy/gamemaster/internal/ports.OperationLogStore] has it.
type Operations interface {
	ListByGame(ctx context.Context, gameID string, limit int) ([]operation.OperationEntry, error)
}

// Check is one part that has to work before requests can be served.
type Check struct {
	// Name is the part's name in the answer of /readyz, such as "postgres".
	Name string
	// Check returns nil when the part works. Its error is shown to whoever
	// asks, without a token. It must return when ctx ends.
	Check func(ctx context.Context) error
}

// Options are what a [Server] needs.
type Options struct {
	// Patcher, Runtimes and Operations are required.
	Patcher    Patcher
	Runtimes   Runtimes
	Operations Operations

	// Checks are what /readyz asks; names must differ.
	Checks []Check

	// Tokens say who may pass. Without any, New refuses unless AllowAnonymous
	// is set.
	Tokens Tokens

	// AllowAnonymous lets everybody pass as [Anonymous]. It is for
	// development: the server then serves only on a loopback address and only
	// requests that name a loopback host. It excludes Tokens.
	AllowAnonymous bool

	// LameDuck is how long the server keeps accepting after it was told to
	// stop while /readyz says "draining" already, so that load balancers
	// notice first. Zero, the default, is right where the platform takes the
	// address out of service before it signals the process.
	LameDuck time.Duration

	// Logger defaults to [slog.Default].
	Logger *slog.Logger
}

// validate reports the first fault of the options.
func (options Options) validate() error {
	switch {
	case options.Patcher == nil:
		return errors.New("nil patcher")
	case options.Runtimes == nil:
		return errors.New("nil runtimes")
	case options.Operations == nil:
		return errors.New("nil operations")
	case options.AllowAnonymous && len(options.Tokens) > 0:
		return errors.New("tokens and anonymous access exclude each other")
	case !options.AllowAnonymous && len(options.Tokens) == 0:
		return errors.New("no tokens: without them nobody may pass; give tokens, or allow anonymous access on loopback")
	case options.LameDuck < 0:
		return fmt.Errorf("lame duck time %s is negative", options.LameDuck)
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
	patcher    Patcher
	runtimes   Runtimes
	operations Operations
	tokens     Tokens
	anonymous  bool
	lameDuck   time.Duration
	logger     *slog.Logger
	readiness  *readiness
	handler    http.Handler

	// stopping ends when the server begins to drain, and never starts anew: a
	// Server serves once.
	stopping context.Context
	stop     context.CancelFunc
}

var _ http.Handler = (*Server)(nil)

// New returns a server over options, or an error that names what is missing or
// contradictory. It fails closed: without tokens there is no server, unless
// anonymous access is asked for by name.
func New(options Options) (*Server, error) {
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("new api: %w", err)
	}
	logger := options.Logger
	if logger == nil {
		logger = slog.Default()
	}
	stopping, stop := context.WithCancel(context.Background())
	server := &Server{
		patcher:    options.Patcher,
		runtimes:   options.Runtimes,
		operations: options.Operations,
		tokens:     options.Tokens,
		anonymous:  options.AllowAnonymous,
		lameDuck:   options.LameDuck,
		logger:     logger,
		readiness:  newReadiness(options.Checks),
		stopping:   stopping,
		stop:       stop,
	}
	// The bound on bodies stands outside the router, where it sees the
	// connection itself and can close it on a body that never ends.
	server.handler = http.MaxBytesHandler(server.router(), MaxBody)
	return server, nil
}

// ServeHTTP answers one request.
func (server *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	server.handler.ServeHTTP(w, r)
}

// draining reports whether the server was told to stop.
func (server *Server) draining() bool { return server.stopping.Err() != nil }

// router lays the routes.
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
	engine.UnescapePathValues = true
	// No header may tell us the client's address. Without proxies the call
	// parses nothing, so there is no error to come.
	_ = engine.SetTrustedProxies(nil)

	engine.Use(server.identify, server.record, server.rescue, server.guardHost)
	engine.NoRoute(server.noRoute)
	engine.NoMethod(server.noMethod)

	read(engine, "/healthz", server.healthz)
	read(engine, "/readyz", server.readyz)

	internal := engine.Group("/api/v1/internal", server.authenticate)
	internal.POST("/runtimes/:game_id/patch", server.patchRuntime)
	read(internal, "/patches/:patch_id", server.showPatch)
	read(internal, "/runtimes", server.listRuntimes)
	read(internal, "/runtimes/:game_id", server.showRuntime)
	read(internal, "/runtimes/:game_id/operations", server.listOperations)
	return engine
}

// read routes GET, and HEAD with it, as RFC 9110 wants of every server.
func read(routes gin.IRoutes, path string, handler gin.HandlerFunc) {
	routes.GET(path, handler)
	routes.HEAD(path, handler)
}

func (server *Server) noRoute(c *gin.Context) {
	server.refuse(c, refusal(codeNotFound, "there is nothing at this path"))
}

func (server *Server) noMethod(c *gin.Context) {
	server.refuse(c, refusal(codeMethodNotAllowed, "this path takes "+c.Writer.Header().Get("Allow")))
}
