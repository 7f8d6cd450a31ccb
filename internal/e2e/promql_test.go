package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// The parser of Prometheus brings its whole module with it. What a dashboard can
// get wrong unnoticed is a name, so that names are all that is read here;
// internal/promtool tells of the rest.

// selector is a metric in an expression, with its matchers.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

// expression is what an expression names.
type expression struct {
	selectors []selector
	// grouping are the labels that by and without name.
	grouping []string
}

// words are: a text, a range with its brackets, a name, a comparison, or any other
// single character. Variables of Grafana are names.
var words = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_$:][\w:]*|[=!]~|[=!<>]=|[\d.]+(?:e\d+)?|\S`)

var (
	aName     = regexp.MustCompile(`^[a-zA-Z_:][\w:]*$`)
	functions = []string{
		"sum", "max", "min", "avg", "count", "rate", "increase", "histogram_quantile", "time", "absent", "and", "or", "unless",
	}
	groupings = []string{"by", "without"}
)

// parseExpression reads the names of an expression. It fails on brackets that
// do not match and on a call of an unknown function.
func parseExpression(text string) (expression, error) {
	var read expression
	var open []string
	tokens := append(words.FindAllString(text, -1), "")
	for i := 0; i < len(tokens)-1; i++ {
		switch word, next := tokens[i], tokens[i+1]; {
		case word == "(":
			open = append(open, word)
		case word == ")":
			if len(open) == 0 {
				return read, fmt.Errorf("%q: a bracket too many", text)
			}
			open = open[:len(open)-1]
		case word == "{" || word == "}":
			return read, fmt.Errorf("%q: a selector without a metric", text)
		case slices.Contains(groupings, word):
			for i += 2; i < len(tokens)-1 && tokens[i] != ")"; i++ {
				if tokens[i] != "," {
					read.grouping = append(read.grouping, tokens[i])
				}
			}
		case !aName.MatchString(word), slices.Contains(functions, word):
		case next == "(":
			return read, fmt.Errorf("%q: the function %s is not known here", text, word)
		default:
			found := selector{metric: word}
			if next == "{" {
				for i += 2; i+2 < len(tokens) && tokens[i] != "}"; {
					found.matchers = append(found.matchers, matcher{tokens[i], tokens[i+1], strings.Trim(tokens[i+2], `"`)})
					if i += 3; tokens[i] == "," {
						i++
					}
				}
			}
			read.selectors = append(read.selectors, found)
		}
	}
	if len(open) > 0 || len(read.selectors) == 0 {
		return read, fmt.Errorf("%q: an open bracket, or no metric", text)
	}
	return read, nil
}

// exposed are the values of each label of each series' name, of all processes.
type exposed map[string]map[string][]string

func exposedBy(processes ...families) exposed {
	all := exposed{}
	for _, process := range processes {
		for name, family := range process {
			series := []string{name}
			if family.GetType() == dto.MetricType_HISTOGRAM {
				series = []string{name + "_bucket", name + "_sum", name + "_count"}
			}
			for _, name := range series {
				if all[name] == nil {
					// Prometheus adds these.
					all[name] = map[string][]string{"instance": nil, "job": nil}
				}
				if strings.HasSuffix(name, "_bucket") {
					all[name]["le"] = nil
				}
				for _, metric := range family.GetMetric() {
					for _, label := range metric.GetLabel() {
						all[name][label.GetName()] = append(all[name][label.GetName()], label.GetValue())
					}
				}
			}
		}
	}
	return all
}

// check finds what an expression, and the labels that its legend or its words
// name besides, ask for in vain.
func (e exposed) check(text string, shown ...string) error {
	read, err := parseExpression(text)
	if err != nil {
		return err
	}
	labels := map[string]bool{}
	for _, s := range read.selectors {
		known, ok := e[s.metric]
		if !ok {
			return fmt.Errorf("%q: no process has the metric %s", text, s.metric)
		}
		for label := range known {
			labels[label] = true
		}
		for _, m := range s.matchers {
			values, ok := known[m.label]
			if !ok {
				return fmt.Errorf("%q: %s has no label %s", text, s.metric, m.label)
			}
			if m.op == "=" && !slices.Contains(values, m.value) {
				return fmt.Errorf("%q: %s of %s is never %q", text, m.label, s.metric, m.value)
			}
		}
	}
	for _, label := range read.grouping {
		if !labels[label] {
			return fmt.Errorf("%q: no metric of it has the label %s", text, label)
		}
	}
	for _, label := range shown {
		if !labels[label] || len(read.grouping) > 0 && !slices.Contains(read.grouping, label) {
			return fmt.Errorf("%q: the label %s, which is shown, is not in the result", text, label)
		}
	}
	return nil
}

// TestCheckBites proves that the check finds each thing that an expression can
// have wrong, and takes what is right.
func TestCheckBites(t *testing.T) {
	t.Parallel()
	known := exposed{
		"a_total":  {"code": {"x", "y"}, "instance": nil},
		"b_bucket": {"le": nil, "kind": {"p"}},
	}
	for _, good := range []string{
		`a_total`, `sum by (code) (rate(a_total{code="x"}[5m])) * 60 > 0`, `a_total{code=~"z.*", code!="q{"}`,
		`histogram_quantile(0.95, sum by (le, kind) (rate(b_bucket[$__rate_interval])))`, `absent(a_total > 1e9)`,
	} {
		require.NoError(t, known.check(good), good)
	}
	for bad, why := range map[string]string{
		`c_total`: "no process has", `sum(a_total`: "open bracket", `sum(a_total))`: "too many", `irate(a_total[5m])`: "not known here",
		`a_total{kind="x"}`: "no label kind", `a_total{code="z"}`: "never", `sum by (kind) (a_total)`: "has the label kind",
		`1 > 0`: "no metric", `sum by (code) (a_total) + {code="x"}`: "without a metric",
	} {
		require.ErrorContains(t, known.check(bad), why, bad)
	}
	require.NoError(t, known.check(`sum by (code) (a_total)`, "code"))
	require.NoError(t, known.check(`a_total`, "instance"))
	require.ErrorContains(t, known.check(`sum by (code) (a_total)`, "instance"), "not in the result")
}
