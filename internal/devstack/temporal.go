package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	// temporalStarts is how often a start is tried when a port the kernel
	// called free is taken by someone else before the server gets to it. Two
	// such losses in a row are rare even among many parallel tests.
	temporalStarts = 4

	// temporalGrace bounds a graceful stop. The server gives itself ten
	// seconds and then exits; the rest is for a busy machine.
	temporalGrace = 15 * time.Second

	// temporalLoopback is the only place this server listens at unless told
	// otherwise: it has no authentication.
	temporalLoopback = "127.0.0.1"

	temporalNamespace = "default"
)

// errTemporalPortLost is a start that failed because a free port was gone when
// the server came for it.
var errTemporalPortLost = errors.New("a port that was free has been taken")

// TemporalOptions describes a Temporal server. The zero value is a throw-away
// server: in memory, with its UI, on free loopback ports.
type TemporalOptions struct {
	// Dir keeps everything in the file temporal.sqlite there, and what lists
	// need in temporal.sqlite_visibility, unless the first one was begun without
	// it; created when missing. One that is there without the first is an error.
	// Empty keeps all in memory.
	Dir string
	// Database keeps everything in Postgres instead: the URL of a database of
	// its own, and beside it one with "_visibility" after its name. Both are
	// created when missing. The URL may carry the password, which is not shown
	// to other users of the machine.
	Database string
	// Shards is the number of history shards of a new Database. It is fixed for
	// the database's life: another one is an error. 0 means what the database
	// has, or the server's own choice.
	Shards int
	// DynamicConfig has settings of the server by key, such as
	// "history.transferProcessorMaxPollRPS". They go before those that the dev
	// stack has for itself; nil leaves one to the server's own default.
	DynamicConfig map[string]any
	// Address is the host:port of the gRPC frontend; the host must be an IP
	// address or localhost. Empty means a free loopback port.
	Address string
	// UIAddress is the host:port of the web UI, as for Address.
	UIAddress string
	// Headless leaves the web UI out.
	Headless bool
	// Namespace is created when missing, beside "default". Empty means
	// "default".
	Namespace string
	// SearchAttributes maps names to types: Keyword, KeywordList, Text, Int,
	// Double, Bool or Datetime. They are usable as soon as the server is
	// ready. On an existing database missing ones are added; a changed type is
	// an error.
	SearchAttributes map[string]string
	// Metrics has the server serve its Prometheus metrics on a free port of the
	// host of Address; it takes our own server.
	Metrics bool
	// Progress gets notes on the building of the server and a bar when it is a
	// terminal; nil means standard error.
	Progress io.Writer
	// Log gets what the server logs, warnings and worse; nil means none. The
	// end of the log is part of every error, either way.
	Log io.Writer
}

// Temporal is a running server, owned by this process: it ends with it, on
// Linux also when this process is killed.
type Temporal struct {
	process   *process
	address   string
	uiAddress string // "" = headless
	metrics   string // "" = none
}

// StartTemporal starts a server and returns once workflows can be started on it,
// in about a second. The first start ever on a machine builds the server, which
// takes minutes, unless $GAMEMASTER_TEMPORALD names a ready one. The context
// bounds the start, not the server's life.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	if o.Namespace == "" {
		o.Namespace = temporalNamespace
	}
	binary, err := temporaldBinary(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("temporal: create data directory: %w", err)
		}
		if err := temporalAwaitOrphan(ctx, o.Dir); err != nil {
			return nil, err
		}
	}
	for range temporalStarts {
		var t *Temporal
		t, err = startTemporalOnce(ctx, binary, o)
		if !errors.Is(err, errTemporalPortLost) {
			return t, err
		}
	}
	return nil, err
}

// Address returns the host:port of the gRPC frontend.
func (t *Temporal) Address() string { return t.address }

// UIURL returns the address of the web UI for a browser; empty when headless.
func (t *Temporal) UIURL() string {
	if t.uiAddress == "" {
		return ""
	}
	return "http://" + t.uiAddress
}

// MetricsURL returns where the server's metrics are; empty when it serves none.
func (t *Temporal) MetricsURL() string {
	if t.metrics == "" {
		return ""
	}
	return "http://" + t.metrics + "/metrics"
}

// PID returns the server's process id, also after it has ended.
func (t *Temporal) PID() int { return t.process.PID() }

// Done is closed when the server's process has ended, for whatever reason.
func (t *Temporal) Done() <-chan struct{} { return t.process.Done() }

// Err returns nil while the server runs and after it was stopped; otherwise
// how it ended, with the last of its log.
func (t *Temporal) Err() error { return t.process.Err() }

// Close stops the server and waits for its end, at most about twenty seconds. It
// returns nil when the server has ended by itself, now or earlier; an error says
// that it had to be killed, which costs a file-backed server nothing. Safe to
// call again.
func (t *Temporal) Close() error { return t.process.Stop(syscall.SIGTERM, temporalGrace) }

// Kill ends the server as a crash would and waits for its end: for tests of
// what survives one. Safe to call again.
func (t *Temporal) Kill() error { return t.process.Kill() }

func temporalFile(dir string) string { return filepath.Join(dir, "temporal.sqlite") }

// temporalOrphanTimeout is a little more than a server takes to stop after its
// parent was killed.
const temporalOrphanTimeout = 12 * time.Second

// temporalAwaitOrphan waits until no server holds the database file: one whose
// parent was killed a moment ago is still on its way out, with its ports.
func temporalAwaitOrphan(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, temporalOrphanTimeout)
	defer cancel()
	lock := flock.New(temporalFile(dir) + ".lock")
	if _, err := lock.TryLockContext(ctx, temporalProbeEvery); err != nil {
		return fmt.Errorf("temporal: database file %s is in use by another server: %w", temporalFile(dir), err)
	}
	return lock.Unlock()
}

// startTemporalOnce is one try: choose the addresses, start, wait. Nothing is
// left running when it fails.
func startTemporalOnce(ctx context.Context, binary string, o TemporalOptions) (*Temporal, error) {
	address, err := temporalAddress("temporal", o.Address)
	if err != nil {
		return nil, err
	}
	t := &Temporal{address: address}
	if !o.Headless {
		if t.uiAddress, err = temporalAddress("temporal ui", o.UIAddress); err != nil {
			return nil, err
		}
	}
	if o.Metrics {
		if t.metrics, err = temporalAddress("temporal metrics", ""); err != nil {
			return nil, err
		}
	}
	args, err := temporalArgs(t, o)
	if err != nil {
		return nil, err
	}
	database, secret, err := temporalDatabase(o)
	if err != nil {
		return nil, err
	}
	t.process, err = startProcess(processOptions{
		Name: "temporal",
		Path: binary,
		Args: append(args, database...),
		// Where the kernel has no death signal, the server watches for its
		// parent's end itself.
		Env:    slices.Concat(os.Environ(), secret, []string{"TEMPORALD_PARENT=" + strconv.Itoa(os.Getpid())}),
		Output: o.Log,
	})
	if err != nil {
		return nil, err
	}
	if err := t.awaitReady(ctx, o.Namespace); err != nil {
		_ = t.process.Kill()
		return nil, err
	}
	return t, nil
}

// temporalArgs is the command line. It keeps to the flags of the official
// "temporal server start-dev", which may stand in for our own server, and spells
// out the settings that ours has as defaults.
func temporalArgs(t *Temporal, o TemporalOptions) ([]string, error) {
	ip, port, err := temporalSplit(t.address)
	if err != nil {
		return nil, err
	}
	args := []string{
		"server", "start-dev", "--ip", ip, "--port", port, "--namespace", o.Namespace, "--log-level", "warn",
		// One shard polls its queues 20 times a second by default: every
		// hand-over of a task would take up to 50 ms.
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000",
		"--dynamic-config-value", "frontend.WorkflowPauseEnabled=true",
		// No calls outside.
		"--dynamic-config-value", "frontend.enableServerVersionCheck=false",
	}
	if t.uiAddress == "" {
		args = append(args, "--headless")
	} else {
		uiIP, uiPort, err := temporalSplit(t.uiAddress)
		if err != nil {
			return nil, err
		}
		args = append(args, "--ui-ip", uiIP, "--ui-port", uiPort)
	}
	if t.metrics != "" {
		_, port, err := temporalSplit(t.metrics)
		if err != nil {
			return nil, err
		}
		args = append(args, "--metrics-port", port)
	}
	if o.Dir != "" {
		args = append(args, "--db-filename", temporalFile(o.Dir),
			"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal")
	}
	for _, name := range slices.Sorted(maps.Keys(o.SearchAttributes)) {
		args = append(args, "--search-attribute", name+"="+o.SearchAttributes[name])
	}
	for _, key := range slices.Sorted(maps.Keys(o.DynamicConfig)) {
		value, err := json.Marshal(o.DynamicConfig[key])
		if err != nil {
			return nil, fmt.Errorf("temporal: setting %s: %w", key, err)
		}
		args = append(args, "--dynamic-config-value", key+"="+string(value))
	}
	return args, nil
}

// temporalDatabase returns the flags of a server on Postgres, which the official
// CLI refuses, and the password as part of the environment: everybody on the
// machine can read a process's arguments.
func temporalDatabase(o TemporalOptions) (args, secret []string, err error) {
	if o.Shards != 0 {
		args = append(args, "--shards", strconv.Itoa(o.Shards))
	}
	if o.Database == "" {
		return args, nil, nil
	}
	location, err := url.Parse(o.Database)
	if err != nil { // it would repeat the URL
		return nil, nil, errors.New("temporal: the database's URL cannot be read")
	}
	if password, given := location.User.Password(); given {
		secret = append(secret, "PGPASSWORD="+password)
		location.User = url.User(location.User.Username())
	}
	return append(args, "--db-url", location.String()), secret, nil
}

// temporalEnded explains a server that ended before it was ready. A taken port is
// told apart, because on a free port another try can succeed.
func (t *Temporal) temporalEnded() error {
	err := t.process.Err()
	if err == nil {
		err = fmt.Errorf("temporal ended before it was ready; it wrote:\n%s", t.process.Tail())
	}
	if binary := os.Getenv(temporaldVar); binary != "" {
		err = fmt.Errorf("%w\n($%s is %s)", err, temporaldVar, binary)
	}
	if strings.Contains(err.Error(), "already in use") {
		return fmt.Errorf("%w: %w", errTemporalPortLost, err)
	}
	return err
}
