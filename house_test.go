package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "galaxy/gamemaster"

// room is a package and what it may import: of this module, and from outside
// the standard library. A trailing "/..." means the packages below as well.
type room struct {
	path    string
	inside  []string
	outside []string
	// std lists the standard packages that are forbidden, since any other may
	// be used.
	stdNever []string
}

const (
	sdk     = "go.temporal.io/sdk/"
	domain  = "internal/domain/..."
	pgx     = "github.com/jackc/pgx/v5/..."
	gin     = "github.com/gin-gonic/gin"
	codegen = "github.com/oapi-codegen/runtime"
	testify = "github.com/stretchr/testify/require"
)

// rooms is the table "Who may know whom" of the house. A package that is in no
// row fails the test: a new room is added here first.
func rooms() []room {
	return []room{
		{path: "", inside: []string{"internal/cli"}},
		{
			path: "internal/domain/engineversion", inside: []string{domain},
			outside: []string{"github.com/Masterminds/semver/v3", "github.com/distribution/reference"}, stdNever: noIO,
		},
		{path: domain, inside: []string{domain}, stdNever: noIO},
		{path: "internal/ports", inside: []string{domain}, stdNever: noIO},
		{path: "internal/adapters/mocks", inside: []string{"internal/ports", domain}, outside: []string{"go.uber.org/mock/gomock"}},
		{path: "internal/adapters/postgres", inside: []string{"internal/ports", domain}, outside: []string{pgx}},
		{path: "internal/adapters/rtm", inside: []string{"internal/ports", domain}},
		{
			path: "activities", inside: []string{"internal/ports", domain},
			outside: []string{sdk + "activity", sdk + "temporal"}, stdNever: noIO,
		},
		{
			path: "workflows", inside: []string{"activities", domain},
			outside:  []string{sdk + "workflow", sdk + "temporal", "go.temporal.io/api/enums/v1"},
			stdNever: append([]string{"log", "log/slog", "sync", "context", "math/rand", "math/rand/v2"}, noIO...),
		},
		{
			path: "starter", inside: []string{"workflows", domain},
			outside: []string{
				sdk + "client", sdk + "converter", sdk + "temporal", "go.temporal.io/api/...", "google.golang.org/grpc",
				"google.golang.org/protobuf/types/known/durationpb", "google.golang.org/protobuf/encoding/protojson",
				"google.golang.org/protobuf/proto",
			},
		},
		{path: "api/contract", outside: []string{gin, gin + "/...", codegen}},
		{
			path: "api", inside: []string{"api/contract", "internal/auth", "internal/ports", domain},
			outside: []string{
				gin, gin + "/...", "github.com/google/uuid", "golang.org/x/time/rate",
				"github.com/getkin/kin-openapi/...", "github.com/swaggest/swgui", "github.com/swaggest/swgui/...",
				// The API of traces, which does nothing by itself.
				"go.opentelemetry.io/otel/trace", "go.opentelemetry.io/otel/attribute",
			},
		},
		{path: "client"},
		{
			path: "internal/auth",
			outside: []string{
				"github.com/coreos/go-oidc/v3/oidc", "github.com/go-jose/go-jose/v4/...", "github.com/go-jose/go-jose/v4",
				"github.com/goccy/go-yaml/...", "github.com/goccy/go-yaml", "golang.org/x/time/rate",
			},
		},
		{
			path: "worker", inside: []string{"workflows", "activities", domain},
			outside: []string{sdk + "worker", sdk + "client", sdk + "workflow", sdk + "interceptor", sdk + "log", "go.temporal.io/api/history/v1"},
		},
		{path: "migrations", outside: []string{"github.com/pressly/goose/v3/...", "github.com/pressly/goose/v3", pgx}},
		{path: "internal/config", inside: []string{domain}, outside: []string{"github.com/caarlos0/env/v11"}},
		{
			path: "internal/telemetry", inside: []string{domain},
			outside: []string{
				sdk + "log", sdk + "client", sdk + "contrib/opentelemetry", "github.com/prometheus/client_golang/...",
				"github.com/prometheus/otlptranslator", "go.opentelemetry.io/otel/...", "github.com/exaring/otelpgx", pgx,
				sdk + "interceptor", gin, "go.opentelemetry.io/contrib/instrumentation/...",
			},
		},
		{path: "internal/devstack/rtmsim"},
		{
			path: "internal/devstack", inside: []string{"internal/devstack/rtmsim"},
			outside: []string{
				sdk + "client", sdk + "log", "go.temporal.io/api/...", "google.golang.org/grpc/...", "google.golang.org/grpc",
				"github.com/gofrs/flock", "github.com/mattn/go-isatty", "github.com/schollz/progressbar/v3",
				"github.com/fergusstrange/embedded-postgres", pgx, "golang.org/x/sys/unix",
			},
		},
		{path: "internal/devstack/stacktest", inside: []string{"internal/devstack", "internal/devstack/...", "migrations"}, outside: []string{pgx, testify}},
		{path: "internal/devstack/pgfault", outside: []string{pgx}},
		{
			path:    "internal/devstack/workerfault",
			outside: []string{sdk + "interceptor", sdk + "activity", sdk + "temporal", sdk + "workflow"},
		},
		// The drill breaks the whole product from outside, and looks into all of it.
		{path: "internal/drill", inside: []string{"internal/...", "client", "workflows", "migrations", "starter"}, outside: []string{"..."}},
		{
			path: "internal/drill/drilltest", inside: []string{"internal/drill", "internal/devstack/stacktest"},
			outside: []string{"go.uber.org/goleak"},
		},
		{path: "internal/drill/matrix"},
		{path: "internal/drill/planted"},
		{path: "internal/e2e"},
		{path: "internal/browser"},
		{path: "internal/promtool"},
		{path: "internal/cli", inside: []string{"..."}, outside: []string{"..."}},
	}
}

// noIO are the standard packages of rooms that do no I/O of their own.
var noIO = []string{"os", "os/exec", "net", "net/http", "database/sql", "syscall"}

// TestHouse proves that every package imports only what its room may know, and
// that nobody imports the command line.
func TestHouse(t *testing.T) {
	for _, pkg := range packages(t) {
		path := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, module), "/")
		room, known := roomOf(path)
		if !known {
			t.Errorf("package %q has no row in the table of rooms", path)
			continue
		}
		for _, imported := range pkg.Imports {
			if !room.allows(imported) {
				t.Errorf("%s must not import %s", pkg.ImportPath, imported)
			}
		}
	}
}

func roomOf(path string) (room, bool) {
	for _, room := range rooms() {
		if matches(path, room.path) {
			return room, true
		}
	}
	return room{}, false
}

func (r room) allows(imported string) bool {
	if inner, ok := strings.CutPrefix(imported, module+"/"); ok {
		return matchesAny(inner, r.inside)
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return !matchesAny(imported, r.stdNever)
	}
	return matchesAny(imported, r.outside)
}

func matchesAny(path string, patterns []string) bool {
	for _, pattern := range patterns {
		if matches(path, pattern) {
			return true
		}
	}
	return false
}

func matches(path, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(path+"/", prefix)
	}
	return path == pattern
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())
	var list []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg goPackage
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		list = append(list, pkg)
	}
	require.NotEmpty(t, list)
	return list
}

// TestHouseRulesBite proves that the rules refuse what they are there to
// refuse: a rule that allows everything would pass the test above.
func TestHouseRulesBite(t *testing.T) {
	for _, broken := range []struct{ path, imported string }{
		{"workflows", module + "/internal/adapters/postgres"},
		{"workflows", "net/http"},
		{"workflows", "github.com/jackc/pgx/v5"},
		{"activities", module + "/workflows"},
		{"activities", "net/http"},
		{"api", sdk + "client"},
		{"api", module + "/starter"},
		{"api", "github.com/jackc/pgx/v5"},
		{"api", module + "/client"},
		{"api/contract", module + "/internal/domain/patch"},
		{"client", module + "/internal/domain/patch"},
		{"client", gin},
		{"internal/auth", gin},
		{"internal/domain/patch", sdk + "temporal"},
		{"internal/ports", module + "/internal/adapters/rtm"},
		{"internal/adapters/rtm", module + "/internal/adapters/postgres"},
		{"starter", module + "/internal/adapters/postgres"},
		{"worker", module + "/internal/cli"},
	} {
		room, known := roomOf(broken.path)
		require.True(t, known, broken.path)
		require.False(t, room.allows(broken.imported), "%s may import %s", broken.path, broken.imported)
	}
}
