package e2e_test

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// root is where the repository begins, from here.
const root = "../.."

// requireAlerts proves that every rule asks for metrics, labels and values that
// there are, waits before it fires, and leads to a place in the runbook.
func requireAlerts(t *testing.T, known exposed) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	encoded, err := os.ReadFile(path.Join(root, "deploy/prometheus/alerts.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalWithOptions(encoded, &file, yaml.Strict()), "unknown or doubled keys")
	seen := map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			require.NotEmpty(t, rule.Alert)
			require.False(t, seen[rule.Alert], "%s twice", rule.Alert)
			seen[rule.Alert] = true
			require.NoError(t, known.check(rule.Expr, named(`\$labels\.(\w+)`, rule.Annotations["summary"])...), rule.Alert)
			wait, err := time.ParseDuration(rule.For)
			require.NoError(t, err, rule.Alert)
			require.Positive(t, wait, rule.Alert)
			require.Contains(t, []string{"page", "warn"}, rule.Labels["severity"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			requireAnchor(t, rule.Annotations["runbook_url"])
		}
	}
	require.NotEmpty(t, seen)
}

// requireAnchor proves that a link leads to a heading of a page of ours.
func requireAnchor(t *testing.T, link string) {
	t.Helper()
	file, anchor, found := strings.Cut(link, "#")
	require.True(t, found, "%q names no heading", link)
	text, err := os.ReadFile(path.Join(root, file))
	require.NoError(t, err)
	unwanted := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(string(text)) {
		heading := strings.TrimSpace(strings.TrimLeft(line, "#"))
		if strings.HasPrefix(line, "#") && strings.ReplaceAll(unwanted.ReplaceAllString(strings.ToLower(heading), ""), " ", "-") == anchor {
			return
		}
	}
	t.Errorf("%s has no heading %s", file, anchor)
}

// requireDashboard proves the same of every panel's expressions and legends, and
// that no two panels have one place or id.
func requireDashboard(t *testing.T, known exposed) {
	t.Helper()
	var board struct {
		UID, Title string
		Panels     []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	encoded, err := os.ReadFile(path.Join(root, "deploy/grafana/gamemaster.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &board))
	require.Equal(t, "gamemaster", board.UID)
	ids, places := map[int]bool{}, map[[2]int]string{}
	targets := 0
	for _, panel := range board.Panels {
		require.False(t, ids[panel.ID], panel.Title)
		ids[panel.ID] = true
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				place := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				require.Empty(t, places[place], "%s lies on another", panel.Title)
				places[place] = panel.Title
			}
		}
		require.Equal(t, panel.Type == "row", len(panel.Targets) == 0, panel.Title)
		for _, target := range panel.Targets {
			targets++
			require.NoError(t, known.check(target.Expr, named(`\{\{(\w+)\}\}`, target.LegendFormat)...), panel.Title)
		}
	}
	require.NotZero(t, targets)
}

// named are the labels that a text shows.
func named(pattern, text string) (labels []string) {
	for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		labels = append(labels, found[1])
	}
	return labels
}
