package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

const (
	loopback = "127.0.0.1"
	// defaultRetention keeps closed workflows long enough for a demo or a debugging session to come back to them;
	// start-dev's own day is gone after a weekend.
	defaultRetention = 30 * 24 * time.Hour
	// uiPortOffset is start-dev's rule for the UI port when none is given.
	uiPortOffset = 1000
	// defaultDatabase is the name Temporal's own configuration has.
	defaultDatabase = "temporal"
	// defaultShards is what Temporal's own configuration for one machine with Postgres has: writes to workflows of
	// different shards do not wait for each other, and two cores do not finish more of them at once. More cost little:
	// 10 MB from 4 shards to 64.
	defaultShards = 4
	// maxShards is what one process still starts with in seconds; clusters with more divide them among many.
	maxShards = 512
)

// options are the flags of one start, checked and with their defaults filled in.
type options struct {
	ip           string
	port         int
	httpPort     int // 0 = no HTTP API
	metricsPort  int // 0 = no metrics
	headless     bool
	uiIP         string
	uiPort       int
	uiPublicPath string
	uiCodec      string

	dbFile        string   // "" = in memory, unless dbURL is set
	dbURLText     string   // not a flag that parses: its errors would repeat what may hold a password
	dbURL         *url.URL // Postgres; nil = SQLite
	shards        int      // 0 = what the database has, or the default
	pragmas       map[string]string
	namespaces    []string
	attributes    map[string]enumspb.IndexedValueType
	dynamicConfig map[string]any
	retention     time.Duration
	retentionSet  bool // given on the command line, so that it also holds for namespaces that exist already

	logLevel  string
	logFormat string
}

func (o *options) address() string   { return hostPort(o.ip, o.port) }
func (o *options) uiAddress() string { return hostPort(o.uiIP, o.uiPort) }

// dialAddress is where this process itself reaches the frontend: a wildcard bind address is no place to dial.
func (o *options) dialAddress() string {
	if ip := net.ParseIP(o.ip); ip != nil && ip.IsUnspecified() {
		return hostPort(loopback, o.port)
	}
	return o.address()
}

func hostPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// parseOptions understands "server start-dev --flag value …", with or without the two leading words.
func parseOptions(args []string) (*options, error) {
	args = dropCommandWords(args)
	o := &options{
		namespaces:    []string{"default"},
		attributes:    map[string]enumspb.IndexedValueType{},
		dynamicConfig: map[string]any{},
		pragmas:       map[string]string{},
	}
	set := o.flagSet()
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	set.Visit(func(f *flag.Flag) { o.retentionSet = o.retentionSet || f.Name == "retention" })
	return o, o.complete()
}

func dropCommandWords(args []string) []string {
	for _, word := range []string{"server", "start-dev"} {
		if len(args) > 0 && args[0] == word {
			args = args[1:]
		}
	}
	return args
}

func (o *options) flagSet() *flag.FlagSet {
	set := flag.NewFlagSet("temporald", flag.ContinueOnError)
	set.SetOutput(os.Stderr)
	set.StringVar(&o.ip, "ip", loopback, "IP address of the frontend")
	set.IntVar(&o.port, "port", 7233, "gRPC port of the frontend")
	set.IntVar(&o.port, "p", 7233, "short for --port")
	set.IntVar(&o.httpPort, "http-port", 0, "port of the frontend's HTTP API; 0 leaves it out")
	set.IntVar(&o.metricsPort, "metrics-port", 0, "port of /metrics; 0 leaves it out")
	set.BoolVar(&o.headless, "headless", false, "no web UI")
	set.StringVar(&o.uiIP, "ui-ip", "", "IP address of the web UI; --ip when not given")
	set.IntVar(&o.uiPort, "ui-port", 0, "port of the web UI; --port plus 1000 when not given")
	set.StringVar(&o.uiPublicPath, "ui-public-path", "", "base path of the web UI")
	set.StringVar(&o.uiCodec, "ui-codec-endpoint", "", "remote codec endpoint of the web UI")
	set.StringVar(&o.dbFile, "db-filename", "", "SQLite file; in memory when not given")
	set.StringVar(&o.dbFile, "f", "", "short for --db-filename")
	set.StringVar(&o.dbURLText, "db-url", "", "Postgres instead of SQLite: postgres://USER@HOST:PORT/DATABASE, with the "+
		"password in $PGPASSWORD; DATABASE and DATABASE"+visibilitySuffix+" are created when missing")
	set.IntVar(&o.shards, "shards", 0, "history shards of a new Postgres database, fixed for its life; "+
		strconv.Itoa(defaultShards)+" when not given")
	set.DurationVar(&o.retention, "retention", defaultRetention, "how long closed workflows are kept")
	set.StringVar(&o.logLevel, "log-level", "warn", "debug, info, warn, error or never")
	set.StringVar(&o.logFormat, "log-format", "text", "text, pretty or json")
	set.Func("namespace", "namespace to create beside \"default\"; repeatable", o.addNamespace)
	set.Func("n", "short for --namespace", o.addNamespace)
	set.Func("search-attribute", "NAME=Type, registered in every namespace; repeatable", o.addSearchAttribute)
	set.Func("dynamic-config-value", "KEY=JSON, or KEY=null for the default of a cluster; repeatable", o.addDynamicConfig)
	set.Func("sqlite-pragma", "NAME=VALUE; repeatable", o.addPragma)
	return set
}

// complete fills in what depends on other flags and refuses what no server could be started with.
func (o *options) complete() error {
	for _, ip := range []*string{&o.ip, &o.uiIP} {
		if *ip == "localhost" { // the server binds to addresses, not names
			*ip = loopback
		}
	}
	if o.uiIP == "" {
		o.uiIP = o.ip
	}
	if o.uiPort == 0 {
		o.uiPort = min(o.port+uiPortOffset, 65535)
	}
	if net.ParseIP(o.ip) == nil || net.ParseIP(o.uiIP) == nil {
		return fmt.Errorf("--ip %q, --ui-ip %q: want IP addresses", o.ip, o.uiIP)
	}
	for _, port := range []int{o.port, o.uiPort, o.httpPort, o.metricsPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("%d is not a port number", port)
		}
	}
	if o.port == 0 {
		return errors.New("--port 0: the frontend needs a port of its own")
	}
	if o.retention < time.Hour {
		return fmt.Errorf("--retention %v: want an hour or more", o.retention)
	}
	levels := []string{"debug", "info", "warn", "error", "never"}
	if !slices.Contains(levels, o.logLevel) {
		return fmt.Errorf("--log-level %q: want one of %s", o.logLevel, strings.Join(levels, ", "))
	}
	return o.checkStore()
}

// checkStore refuses flags that contradict each other, of which one would be ignored.
func (o *options) checkStore() (err error) {
	if o.dbURLText != "" {
		if o.dbURL, err = parsePostgresURL(o.dbURLText); err != nil {
			return err
		}
	}
	switch {
	case o.dbURL == nil && o.shards != 0:
		return errors.New("--shards goes with --db-url: SQLite has one")
	case o.dbURL != nil && (o.dbFile != "" || len(o.pragmas) > 0):
		return errors.New("--db-url is Postgres, --db-filename and --sqlite-pragma are SQLite: want one of them")
	case o.shards < 0 || o.shards > maxShards:
		return fmt.Errorf("--shards %d: want 1 to %d", o.shards, maxShards)
	}
	return nil
}

// inMemory tells that nothing outlives the process.
func (o *options) inMemory() bool { return o.dbFile == "" && o.dbURL == nil }

// database is the first of the two databases of --db-url.
func (o *options) database() string {
	return cmp.Or(strings.TrimPrefix(o.dbURL.Path, "/"), defaultDatabase)
}

func (o *options) addNamespace(name string) error {
	if name == "" {
		return errors.New("empty name")
	}
	if !slices.Contains(o.namespaces, name) {
		o.namespaces = append(o.namespaces, name)
	}
	return nil
}

func (o *options) addSearchAttribute(pair string) error {
	name, kind, err := cut(pair)
	if err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(enumspb.IndexedValueType_name)) {
		valueType := enumspb.IndexedValueType(number)
		if number != 0 && strings.EqualFold(kind, valueType.String()) {
			o.attributes[name] = valueType
			return nil
		}
	}
	return fmt.Errorf("unknown type %q: want Text, Keyword, Int, Double, Bool, Datetime or KeywordList", kind)
}

// addDynamicConfig takes JSON, and anything else as a plain string. Whole numbers become int, the only integer type
// the server's settings accept; null takes away what this program would set, so that the server's own default holds.
func (o *options) addDynamicConfig(pair string) error {
	key, text, err := cut(pair)
	if err != nil {
		return err
	}
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		value = text
	}
	if number, ok := value.(float64); ok && number == float64(int(number)) {
		value = int(number)
	}
	// Keys have no case; the last value of one holds.
	maps.DeleteFunc(o.dynamicConfig, func(earlier string, _ any) bool { return strings.EqualFold(earlier, key) })
	o.dynamicConfig[key] = value
	return nil
}

func (o *options) addPragma(pair string) error {
	name, value, err := cut(pair)
	if err == nil {
		o.pragmas[name] = value
	}
	return err
}

func cut(pair string) (name, value string, err error) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok || name == "" || value == "" {
		return "", "", fmt.Errorf("%q: want NAME=VALUE", pair)
	}
	return name, value, nil
}
