package metrics_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
)

var update = flag.Bool("update", false, "write testdata/java_5.5.0.txt, from a Java broker that runs: see TestSameAsJava")

const golden = "testdata/java_5.5.0.txt"

// telling are labels whose values belong to the form of a scrape: there are few, and alerts name them.
var telling = []string{"processor", "message_type", "consume_mode", "protocol_type", "language", "version", "is_system", "is_retry", "is_long_polling", "result",
	"storage_type", "storage_medium", "timer_bound_s", "revive_message_type", "put_status", "invocation_status", "node_type", "otel_scope_name",
	"topic", "consumer_group", "request_code", "response_code", "cluster", "node_id"}

// scrape asks for metrics.
func scrape(t *testing.T, addr string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	return all
}

// shape lists what a scrape is like, without its numbers.
func shape(all map[string]*dto.MetricFamily) []string {
	lines := map[string]bool{}
	for name, f := range all {
		lines[name+" "+strings.ToLower(f.GetType().String())] = true
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				text := l.GetName()
				if slices.Contains(telling, text) {
					text += "=" + strconv.Quote(l.GetValue())
				}
				labels = append(labels, text)
			}
			slices.Sort(labels)
			lines[name+"{"+strings.Join(labels, ",")+"}"] = true
			if h := m.GetHistogram(); h != nil {
				var bounds []string
				for _, b := range h.GetBucket() {
					bounds = append(bounds, fmt.Sprint(b.GetUpperBound()))
				}
				lines[name+" le "+strings.Join(bounds, " ")] = true
			}
		}
	}
	out := make([]string, 0, len(lines))
	for l := range lines {
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

var code = regexp.MustCompile("`([^`]+)`")

// documented returns the lines of METRICS.md between a heading and the next, of a list.
func documented(t *testing.T, heading string) (out []string) {
	t.Helper()
	text, err := os.ReadFile("METRICS.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, ok, heading)
	rest, _, _ = strings.Cut("\n"+rest, "\n## ")
	for item := range strings.SplitSeq(rest, "\n- ") {
		if !strings.HasPrefix(strings.TrimSpace(item), "`") {
			continue
		}
		before, _, ok := strings.Cut(item, "`: ")
		before += "`"
		require.True(t, ok, "%s says no reason", item)
		for _, m := range code.FindAllStringSubmatch(before, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// covers reports whether a documented pattern, in which * stands for anything, is about a line.
func covers(pattern, line string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*")).MatchString(line)
}

// TestSameAsJava gives a broker all kinds of traffic and compares the form of what it shows with what Java's 5.5.0 shows
// after the same: names, types, labels, classes. The differences are those that METRICS.md lists, all of them.
//
// To write the form of Java's anew, start its broker with metricsExporterType=PROM, brokerName=broker-t and the
// messageDelayLevel below, and name its port and the address of its metrics in JAVA_BROKER and JAVA_METRICS.
func TestSameAsJava(t *testing.T) {
	if *update {
		var port int32
		_, err := fmt.Sscan(os.Getenv("JAVA_BROKER"), &port)
		require.NoError(t, err)
		x := traffic{t, brokertest.Dial(t, broker.Options{ListenPort: port})}
		x.run("broker-t")
		text := "# What Java's broker 5.5.0 shows after the traffic of traffic_test.go, written by: go test ./broker/metrics -run TestSameAsJava -update\n"
		require.NoError(t, os.WriteFile(golden, []byte(text+strings.Join(settled(t, os.Getenv("JAVA_METRICS")), "\n")+"\n"), 0o644))
		return
	}
	b := brokertest.Start(t, func(o *broker.Options) {
		o.MetricsExporterType, o.MetricsPromExporterPort = "PROM", 0
		o.Store.MessageDelayLevel = "1s 2s 3s 4s"
	})
	x := traffic{t, b.Dial(false)}
	x.run("broker-t")
	text, err := os.ReadFile(golden)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "\n")
	theirs := strings.Split(strings.TrimSpace(rest), "\n")
	left, more := documented(t, "Left out"), documented(t, "More than Java")
	var wrong []string
	for deadline := time.Now().Add(time.Minute); ; { // some is counted behind the answers
		ours := shape(scrape(t, b.MetricsAddr()))
		wrong = append(compare(theirs, ours, left), compare(ours, theirs, more)...)
		if len(wrong) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Empty(t, wrong)
}

// settled scrapes until nothing new comes: what is counted behind an answer.
func settled(t *testing.T, addr string) []string {
	t.Helper()
	last := shape(scrape(t, addr))
	for same := 0; same < 3; {
		time.Sleep(300 * time.Millisecond)
		now := shape(scrape(t, addr))
		if same++; !slices.Equal(last, now) {
			same = 0
		}
		last = now
	}
	return last
}

// compare returns what is in one, not in the other and not documented, and the patterns that are of no use.
func compare(in, notIn, patterns []string) (wrong []string) {
	used := map[string]bool{}
	for _, line := range in {
		if slices.Contains(notIn, line) {
			continue
		}
		known := false
		for _, p := range patterns {
			if covers(p, line) {
				known, used[p] = true, true
			}
		}
		if !known {
			wrong = append(wrong, "only in one: "+line)
		}
	}
	for _, p := range patterns {
		if !used[p] {
			wrong = append(wrong, "METRICS.md names a difference that there is not: "+p)
		}
	}
	return wrong
}
