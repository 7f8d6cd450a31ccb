package promtool_test

import (
	"os"
	"path"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// deploy is where rules and dashboard are, from here.
const deploy = "../../deploy"

var (
	rulesFile = path.Join(deploy, "prometheus/alerts.yaml")
	casesFile = path.Join(deploy, "prometheus/alerts_test.yaml")
)

// read decodes a file of deploy.
func read(t *testing.T, file string, into any) {
	t.Helper()
	encoded, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(encoded, into))
}

// TestEveryAlertHasCases proves that for each alert there is a case in which it
// fires, one instant in the same case at which it does not yet, and a case in which
// it never does; and that no case is about an alert that is gone.
func TestEveryAlertHasCases(t *testing.T) {
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	read(t, rulesFile, &rules)
	var cases struct {
		Tests []struct {
			Name           string
			AlertRuleTests []struct {
				AlertName string `yaml:"alertname"`
				Expected  []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, casesFile, &cases)
	waited, silent := map[string]bool{}, map[string]bool{}
	for _, each := range cases.Tests {
		fires, quiet := map[string]bool{}, map[string]bool{}
		for _, expected := range each.AlertRuleTests {
			if len(expected.Expected) > 0 {
				fires[expected.AlertName] = true
			} else {
				quiet[expected.AlertName] = true
			}
		}
		for alert := range quiet {
			waited[alert] = waited[alert] || fires[alert]
			silent[alert] = silent[alert] || !fires[alert]
		}
	}
	known := map[string]bool{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			known[rule.Alert] = true
		}
	}
	require.NotEmpty(t, known)
	require.Equal(t, known, waited, "alerts with a case in which they fire, after their wait")
	require.Equal(t, known, silent, "alerts with a case in which they do not fire")
}
