package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// peerVariable names the address of a Java broker to write the goldens from. It must be fresh, with the
// cluster and broker names of broker_test.go and Java's defaults, as peer.sh starts it, and
// run for a quarter of a minute already, for the rates to be known.
const peerVariable = "SKYLARK_GOLDEN_BROKER"

const (
	goldenFile   = "testdata/replies.golden"
	goldenHeader = "# Replies of org.apache.rocketmq.broker.BrokerStartup 5.5.0 to the requests of script_test.go; SKYLARK_GOLDEN_BROKER=host:port writes them.\n"
)

// exchange is one request of the script.
type exchange struct {
	name, from string
	cmd        *protocol.Command
	// until repeats the request until the ext field it names has its value.
	until string
	// remarkless: the remark is an exception's text, which is not Java's business here.
	remarkless bool
	// quiet: only the code matters.
	quiet bool
	// keep stores the reply's body as it is, for TestJavasBodiesSurvive.
	keep bool
}

func TestRepliesAreThoseOfJava(t *testing.T) {
	addr := os.Getenv(peerVariable)
	write := addr != ""
	if !write {
		addr = startBroker(t, nil).addr
	}
	var got strings.Builder
	got.WriteString(goldenHeader)
	c := newClients(t, addr)
	for _, e := range script() {
		resp := c.exchange(e)
		fmt.Fprintf(&got, "\n== %s\n%s", e.name, render(t, e, resp))
		if write && e.keep {
			keepBody(t, e, resp)
		}
	}
	if write {
		for _, e := range []exchange{ask(runtimeBody, protocol.GetBrokerRuntimeInfo, ""), ask(configBody, protocol.GetBrokerConfig, "")} {
			keepBody(t, e, c.exchange(e))
		}
		require.NoError(t, os.WriteFile(goldenFile, []byte(got.String()), 0o644))
		return
	}
	sameReplies(t, goldenFile, got.String())
}

// sameReplies compares replies with those of a file, one by one.
func sameReplies(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	wants, gots := strings.Split(string(want), "\n== "), strings.Split(got, "\n== ")
	require.Len(t, gots, len(wants))
	for i := range wants {
		require.Equal(t, wants[i], gots[i])
	}
}

func (c *clients) exchange(e exchange) *protocol.Command {
	c.t.Helper()
	resp := c.call(e.from, e.cmd)
	if e.until == "" {
		return resp
	}
	name, value, _ := strings.Cut(e.until, "=")
	for end := time.Now().Add(20 * time.Second); ; resp = c.call(e.from, e.cmd) {
		if v, _ := resp.Ext.Get(name); v == value {
			return resp
		}
		require.True(c.t, time.Now().Before(end), "%s: no %s", e.name, e.until)
	}
}

// render spells a reply as text: code, remark, ext fields and body.
func render(t *testing.T, e exchange, resp *protocol.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "code %d\n", resp.Code)
	if e.quiet {
		return b.String()
	}
	if resp.Remark != "" && !e.remarkless {
		fmt.Fprintf(&b, "remark %q\n", resp.Remark)
	}
	ext := slices.Clone(resp.Ext)
	slices.SortFunc(ext, func(a, b protocol.Field) int { return strings.Compare(a.Key, b.Key) })
	for _, f := range ext {
		if n, err := strconv.ParseInt(f.Value, 10, 64); err == nil && n > 1e12 {
			f.Value = "TIME"
		}
		if f.Key == "msgId" {
			f.Value = "ID"
		}
		fmt.Fprintf(&b, "ext %s=%s\n", f.Key, f.Value)
	}
	if len(resp.Body) > 0 {
		fmt.Fprintf(&b, "body %s\n", normal(t, resp.Body))
	}
	return b.String()
}

// normal spells a JSON body with sorted keys and lists, and with words for what no two runs have in common.
func normal(t *testing.T, raw []byte) string {
	var v any
	require.NoError(t, body.Unmarshal(raw, &v), "%s", raw)
	out, err := body.Marshal(mask("", v))
	require.NoError(t, err)
	return string(out)
}

var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func mask(key string, v any) any {
	switch key {
	case "dataVersion", "mappingDataVersion":
		return "VERSION"
	case "consumeTps", "topicPutTps", "tps", "sum", "avgpt", "delayTime", "physicOffset", "physicSize":
		return "NUMBER"
	case "minTimeStampStr", "maxTimeStampStr", "consumeTimeStampStr":
		return "TIME"
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = mask(k, e)
		}
	case []any:
		for i, e := range v {
			v[i] = mask("", e)
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	case float64:
		if v > 1e12 {
			return "TIME"
		}
	case string:
		return port.ReplaceAllString(v, "127.0.0.1:PORT")
	}
	return v
}

// Names of kept bodies that no two brokers have alike.
const (
	runtimeBody = "runtime"
	configBody  = "configuration"
)

func bodyFile(name string) string {
	return filepath.Join("testdata", "bodies", strings.NewReplacer(" ", "_", ":", "").Replace(name)+".golden")
}

func keepBody(t *testing.T, e exchange, resp *protocol.Command) {
	require.NotEmpty(t, resp.Body, e.name)
	head := fmt.Sprintf("# Body of the reply of org.apache.rocketmq.broker.BrokerStartup 5.5.0 to request code %d, %q of script_test.go.\n", e.cmd.Code, e.name)
	require.NoError(t, os.MkdirAll(filepath.Dir(bodyFile(e.name)), 0o755))
	require.NoError(t, os.WriteFile(bodyFile(e.name), append([]byte(head), resp.Body...), 0o644))
}

// javasBody returns a kept body.
func javasBody(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(bodyFile(name))
	require.NoError(t, err)
	_, raw, _ := strings.Cut(string(b), "\n")
	return []byte(raw)
}
