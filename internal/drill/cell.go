package drill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/devstack/pgfault"
)

// CellOptions say what a cell is made of.
type CellOptions struct {
	// Workers and APIs are how many of each run; zero is one.
	Workers, APIs int
	// Links puts a link into every connection between the cell and the servers.
	Links bool
	// Environ is given to every process besides, after [ShortBudgets].
	Environ []string
	// Binary is the path of another gamemaster than the stack's; empty is that
	// one.
	Binary string
}

// The budgets of a drill: each outlasts the faults that are meant to heal, and is
// over soon for those that are not.
//
//   - StoreBudget holds three attempts whose answer never comes.
//   - ManagerBudget and UndoBudget hold a worker that dies in the middle of a call:
//     its heartbeats are missed for ten seconds before another tries again.
//   - SettleTime only counts where Runtime Manager knows no fencing numbers.
const (
	StoreBudget   = 15 * time.Second
	ManagerBudget = 25 * time.Second
	UndoBudget    = 25 * time.Second
	SettleTime    = 3 * time.Second
)

// ShortBudgets are the budgets as a process's environment has them.
func ShortBudgets() []string {
	var environ []string
	for _, budget := range []struct {
		name  string
		value time.Duration
	}{{"STORE_BUDGET", StoreBudget}, {"MANAGER_BUDGET", ManagerBudget}, {"UNDO_BUDGET", UndoBudget}, {"SETTLE_TIME", SettleTime}} {
		environ = append(environ, fmt.Sprintf("GAMEMASTER_%s=%s", budget.name, budget.value))
	}
	return environ
}

// Cell is the product: workers and APIs with a database and a task queue of
// their own, and proxies between them and the servers of the stack. Cells do not
// disturb each other.
type Cell struct {
	Stack   *Stack
	Workers []*Process
	APIs    []*Process
	// WorkerDB and APIDB stand between the cell and its database.
	WorkerDB, APIDB *pgfault.Proxy
	// The links are nil in a cell without them.
	WorkerToManager, WorkerToTemporal, WorkerToPostgres *Link
	APIToTemporal, APIToPostgres                        *Link

	name, taskQueue, binary string
	pool                    *pgxpool.Pool
	clients                 []*client.Client
	transport               *http.Transport
	faults                  *workerFaults
	closers                 []func() error
}

// NewCell starts a cell and returns when its APIs answer. It is closed with the
// stack at the latest.
func (s *Stack) NewCell(ctx context.Context, options CellOptions) (_ *Cell, err error) {
	name := fmt.Sprintf("cell-%d", s.cells.Add(1))
	c := &Cell{
		Stack: s, name: name, taskQueue: name, binary: cmp.Or(options.Binary, s.options.Binary),
		transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}
	s.onClose(c.Close)
	c.onClose(func() error { c.transport.CloseIdleConnections(); return nil })
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", name, err), c.Close())
		}
	}()
	database := strings.ReplaceAll(name, "-", "_")
	if err := s.administer(ctx, "CREATE DATABASE "+database+" TEMPLATE "+template); err != nil {
		return nil, err
	}
	if c.pool, err = pgxpool.New(ctx, s.databaseURL(database)); err != nil {
		return nil, err
	}
	c.onClose(func() error { c.pool.Close(); return nil })
	environs, err := c.openLinks(database, options)
	if err != nil {
		return nil, err
	}
	if err := c.startWorkers(environs.worker, max(options.Workers, 1)); err != nil {
		return nil, err
	}
	return c, c.startAPIs(ctx, environs.api, max(options.APIs, 1))
}

// environs are the environments of the cell's processes.
type environs struct{ worker, api []string }

// openLinks opens the proxies, and returns the environments that lead through
// them.
func (c *Cell) openLinks(database string, options CellOptions) (made environs, err error) {
	s := c.Stack
	server, err := url.Parse(s.databaseURL(database))
	if err != nil {
		return made, errors.New("the URL of the database cannot be read")
	}
	workerURL, err := c.openDatabase(&c.WorkerDB, *server)
	if err != nil {
		return made, err
	}
	apiURL, err := c.openDatabase(&c.APIDB, *server)
	if err != nil {
		return made, err
	}
	manager, workerTemporal, apiTemporal := s.Simulator.address, s.temporalAddress, s.temporalAddress
	if options.Links {
		for _, link := range []struct {
			name string
			link **Link
			host *string
		}{
			{"worker-manager", &c.WorkerToManager, &manager},
			{"worker-temporal", &c.WorkerToTemporal, &workerTemporal},
			{"worker-postgres", &c.WorkerToPostgres, &workerURL.Host},
			{"api-temporal", &c.APIToTemporal, &apiTemporal},
			{"api-postgres", &c.APIToPostgres, &apiURL.Host},
		} {
			opened, err := s.links.open(c.name+"-"+link.name, *link.host)
			if err != nil {
				return made, err
			}
			c.onClose(opened.close)
			*link.link, *link.host = opened, opened.Address()
		}
	}
	common := append(append(ShortBudgets(), "GAMEMASTER_TASK_QUEUE="+c.taskQueue,
		// A pass of the watch or of the export that nobody asked for would come when
		// it likes.
		"GAMEMASTER_WATCH_INTERVAL=0s", "GAMEMASTER_EXPORT_INTERVAL=0s"), options.Environ...)
	made.worker = environ(append([]string{
		"DATABASE_URL=" + workerURL.String(), "RTM_URL=http://" + manager, "TEMPORAL_ADDRESS=" + workerTemporal,
	}, common...)...)
	authFile, err := c.writePolicy()
	if err != nil {
		return made, err
	}
	made.api = environ(append([]string{
		"DATABASE_URL=" + apiURL.String(), "TEMPORAL_ADDRESS=" + apiTemporal, "GAMEMASTER_AUTH_FILE=" + authFile,
		// The drill is one caller, and asks as often as it likes.
		"GAMEMASTER_RATE=100000", "GAMEMASTER_BURST=100000",
	}, common...)...)
	return made, nil
}

func (c *Cell) openDatabase(proxy **pgfault.Proxy, server url.URL) (*url.URL, error) {
	opened, err := pgfault.Start(server.Host)
	if err != nil {
		return nil, err
	}
	c.onClose(opened.Close)
	*proxy = opened
	server.Host = opened.Address()
	return &server, nil
}

// writePolicy lets the drill pass at the cell's APIs.
func (c *Cell) writePolicy() (string, error) {
	entry, err := auth.Entry("drill", auth.Scopes(), nil, c.Stack.token)
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.Stack.dir, c.name+"-auth.yaml")
	return file, os.WriteFile(file, []byte("tokens:\n"+entry), 0o600)
}

func (c *Cell) startWorkers(environ []string, n int) (err error) {
	if c.faults, err = newWorkerFaults(c.Stack.dir, c.name); err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("%s-worker-%d", c.name, i+1)
		worker := newProcess(processOptions{
			Name: name, Binary: c.binary, Args: c.faults.arguments, Environ: environ,
			Supervised: true, Log: c.Stack.logBook(name),
		})
		c.Workers = append(c.Workers, worker)
		c.onClose(worker.close)
		if err := worker.Start(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cell) startAPIs(ctx context.Context, environ []string, n int) error {
	// An API comes back at the address that it was given first.
	addresses := make([]atomic.Pointer[string], n)
	for i := range n {
		name := fmt.Sprintf("%s-api-%d", c.name, i+1)
		addresses[i].Store(new("127.0.0.1:0"))
		api := newProcess(processOptions{
			Name: name, Binary: c.binary, Environ: environ,
			Args:       func() []string { return []string{"api", "--addr", *addresses[i].Load()} },
			Supervised: true, Log: c.Stack.logBook(name),
		})
		c.APIs = append(c.APIs, api)
		c.onClose(api.close)
		if err := api.Start(); err != nil {
			return err
		}
	}
	for i, api := range c.APIs {
		line, err := api.awaitLog(ctx, 0, func(line string) bool { return logged(line, "api is listening") != nil })
		if err != nil {
			return err
		}
		address := fmt.Sprint(logged(line, "api is listening")["addr"])
		addresses[i].Store(&address)
		if err := c.addClient(address); err != nil {
			return err
		}
	}
	return nil
}

// logged reads a line of a log; nil when it has another message.
func logged(line, message string) map[string]any {
	var entry map[string]any
	if json.Unmarshal([]byte(line), &entry) != nil || entry["msg"] != message {
		return nil
	}
	return entry
}

// askTimeout bounds one request of the drill: the longest wait that it asks for,
// and what a busy machine adds to it.
const askTimeout = askWait + 15*time.Second

func (c *Cell) addClient(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return err
	}
	made, err := client.New("http://"+address,
		client.WithToken(c.Stack.token), client.WithRetries(0), client.WithUserAgent("gamemaster-drill"),
		client.WithHTTPClient(&http.Client{Transport: c.transport, Timeout: askTimeout}))
	if err != nil {
		return err
	}
	c.clients = append(c.clients, made)
	return nil
}

func (c *Cell) onClose(f func() error) { c.closers = append(c.closers, f) }

// Close ends the cell's processes and proxies. Safe to call again.
func (c *Cell) Close() error {
	closers := c.closers
	c.closers = nil
	var faults []error
	for i := len(closers) - 1; i >= 0; i-- {
		faults = append(faults, closers[i]())
	}
	return errors.Join(faults...)
}
