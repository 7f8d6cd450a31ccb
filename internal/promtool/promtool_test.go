//go:build promtool

package promtool_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// promtool runs the command, and returns what it says with the error of a verdict
// against what it was given.
func promtool(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "promtool", arguments...).CombinedOutput()
	return string(said), err
}

// TestRules proves that Prometheus takes the rules, and that each alert fires when
// it should and not when it should not.
func TestRules(t *testing.T) {
	for _, arguments := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", casesFile}} {
		said, err := promtool(t, arguments...)
		require.NoError(t, err, said)
	}
}

// rule is a rule that records an expression.
type rule struct {
	Record string `json:"record"`
	Expr   string `json:"expr"`
}

// check has promtool read expressions, as a file of rules.
func check(t *testing.T, rules []rule) (string, error) {
	t.Helper()
	type group struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	}
	// JSON is YAML.
	encoded, err := json.Marshal(map[string][]group{"groups": {{Name: "expressions", Rules: rules}}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, encoded, 0o600))
	return promtool(t, "check", "rules", file)
}

// TestDashboard proves that Prometheus can read the expressions of every panel,
// with what Grafana puts in the place of its one variable.
func TestDashboard(t *testing.T) {
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	encoded, err := os.ReadFile(path.Join(deploy, "grafana/gamemaster.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &board))
	var rules []rule
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			require.NotContains(t, expr, "$", panel.Title)
			rules = append(rules, rule{Record: fmt.Sprintf("panel:%d:%s", panel.ID, target.RefID), Expr: expr})
		}
	}
	require.NotEmpty(t, rules)
	said, err := check(t, rules)
	require.NoError(t, err, said)
	require.Contains(t, said, fmt.Sprintf("%d rules found", len(rules)))
}

// TestPromtoolBites proves that what Prometheus could not read is refused.
func TestPromtoolBites(t *testing.T) {
	for _, expr := range []string{
		`sum by (code) (rate(a_total[5m])) >`, `rate(a_total)`, `irate(sum(a_total)[5m])`, `max(a, b, c)`, `a_total{code="x"`, `1 +`,
	} {
		said, err := check(t, []rule{{Record: "one", Expr: expr}})
		require.Error(t, err, "%s: %s", expr, said)
	}
	said, err := check(t, []rule{{Record: "one", Expr: `sum by (code) (rate(a_total[5m])) > 0`}})
	require.NoError(t, err, said)
}
