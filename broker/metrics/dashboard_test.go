package metrics_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	metricName = regexp.MustCompile(`\b(rocketmq|skylark)_\w+`)
	labelName  = regexp.MustCompile(`[{,](\w+)`)
	labelUse   = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"|\{\{(\w+)\}\}|by \(([^)]*)\)`)
)

// TestDashboard holds the dashboard against what a broker shows: all metrics and labels that it names must be there.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../scripts/grafana/skylark.json")
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	labels := shown(t)
	for _, name := range metricName.FindAllString(string(text), -1) {
		require.Contains(t, labels, family(name), name)
	}
	used := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			require.Len(t, names, 1, "%s: %s", p.Title, target.Expr)
			used++
			has := labels[family(names[0])]
			for _, m := range labelUse.FindAllStringSubmatch(target.Expr+target.LegendFormat, -1) {
				for _, label := range strings.Split(m[1]+m[3]+m[4], ",") {
					if label = strings.TrimSpace(label); label != "le" {
						require.Contains(t, has, label, "%s: %s", p.Title, target.Expr)
					}
				}
			}
		}
	}
	require.Greater(t, used, 30)
}

func family(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// shown returns the labels of each family that a broker shows: Java's, as TestSameAsJava demands, but for what is left out.
func shown(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(golden)
	require.NoError(t, err)
	out := map[string]map[string]bool{}
lines:
	for line := range strings.Lines(string(text)) {
		for _, p := range documented(t, "Left out") {
			if covers(p, line) {
				continue lines
			}
		}
		name, rest, ok := strings.Cut(line, "{")
		if !ok {
			continue
		}
		if out[name] == nil {
			out[name] = map[string]bool{}
		}
		for _, m := range labelName.FindAllStringSubmatch("{"+rest, -1) {
			out[name][m[1]] = true
		}
	}
	return out
}
