package mqadmin

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// javaOptions reads testdata/commands.tsv, which holds Java's commands with their options, printed by
// SubCommand.buildCommandlineOptions of 5.5.0: option -> required, by "short/long" with "=" for a value.
func javaOptions(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/commands.tsv")
	require.NoError(t, err)
	out := map[string]map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		f := strings.Split(line, "\t")
		out[f[0]] = map[string]bool{}
		text := strings.NewReplacer(" =", "=", "print msg", "", "print log", "", "machine room", "").Replace(f[2])
		for _, word := range strings.Fields(text) {
			name, required := strings.CutSuffix(word, "*")
			out[f[0]][strings.TrimPrefix(strings.TrimSuffix(strings.ReplaceAll(strings.ReplaceAll(name, "/--", "/"), "/=", "="), "/"), "-")] = required
		}
	}
	require.Len(t, out, 96)
	return out
}

// TestOptionsAreJavas compares the tables with Java's: every command is there or has a reason why not, and takes the
// same options. Ours may insist on one that Java fails without.
func TestOptionsAreJavas(t *testing.T) {
	java := javaOptions(t)
	missing := notBuilt()
	for _, cmd := range commands() {
		want, ok := java[cmd.name]
		require.True(t, ok, "%s is no command of Java's", cmd.name)
		require.NotContains(t, missing, cmd.name)
		delete(java, cmd.name)
		got := map[string]bool{}
		for _, word := range strings.Fields(cmd.options) {
			names, kind, valued := strings.Cut(word, "=")
			if valued {
				names += "="
			}
			names = strings.TrimPrefix(names, "null/")
			if names == "attributes=" {
				names = "null/attributes="
			}
			got[names] = strings.Contains(kind, "*")
		}
		for option, required := range want {
			if option == "n/namesrvAddr=" {
				continue // of every command
			}
			require.Contains(t, got, option, cmd.name)
			require.False(t, required && !got[option], "%s %s is required", cmd.name, option)
			delete(got, option)
		}
		require.Empty(t, got, "%s has options that Java has not", cmd.name)
	}
	for name := range java {
		require.Contains(t, missing, name)
	}
}

func run(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	app := &cli.App{Name: "skylark", Writer: &b, ErrWriter: &b, Commands: []*cli.Command{Command(&b)}, ExitErrHandler: func(*cli.Context, error) {}}
	err = app.RunContext(context.Background(), append([]string{"skylark", "admin"}, args...))
	return b.String(), err
}

// TestEachCommandHasHelp asks each command for its help, which names all its options with a text.
func TestEachCommandHasHelp(t *testing.T) {
	for _, cmd := range commands() {
		out, err := run(t, cmd.name, "-h")
		require.NoError(t, err, cmd.name)
		require.Contains(t, out, cmd.usage)
		for _, word := range strings.Fields(cmd.options) {
			names, _, _ := strings.Cut(word, "=")
			short, long, _ := strings.Cut(names, "/")
			require.NotEmpty(t, optionUsage(cmd.name, short, long), "%s -%s", cmd.name, short)
			require.Contains(t, out, "-"+short, cmd.name)
		}
	}
}

func TestWrongCommandLinesAreErrors(t *testing.T) {
	t.Setenv("NAMESRV_ADDR", "")
	for _, c := range []struct{ args, says string }{
		{"noSuchCommand", "noSuchCommand not exist"},
		{"electMaster -a x", "it is for controllers"},
		{"topicRoute", `"t" not set`},
		{"topicRoute -t a b", `"b" belongs to no option`},
		{"topicRoute -t a -z 1", "-z"},
		{"updateTopic -t a -r many -b x:1", "wants a number"},
		{"updateTopic -t a", "give a broker"},
		{"updateStaticTopic -t a -qn 2", "give brokers (-b) or clusters (-c)"},
		{"remappingStaticTopic -t a -b x -c y", "not both"},
		{"updateTopic -t a -b x:1 -a k=v", "+key=value sets one"},
		{"topicRoute -t a", "NAMESRV_ADDR"},
		{"resetOffsetByTime -g g -t a -s yesterday", "neither milliseconds nor"},
	} {
		_, err := run(t, strings.Fields(c.args)...)
		require.ErrorContains(t, err, c.says, c.args)
	}
	out, err := run(t, "TOPICROUTE", "-h") // any case, as in Java
	require.NoError(t, err)
	require.Contains(t, out, "Examine topic route info.")
}

func TestToolsYml(t *testing.T) {
	home := t.TempDir()
	t.Setenv("ROCKETMQ_HOME", home)
	c, err := toolsYml()
	require.NoError(t, err)
	require.Empty(t, c)
	require.NoError(t, os.MkdirAll(filepath.Join(home, "conf"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(home, "conf", "tools.yml"), []byte("# who asks\naccessKey: RocketMQ\nsecretKey: \"12345678\"\n"), 0o644))
	c, err = toolsYml()
	require.NoError(t, err)
	require.Equal(t, admin.Credentials{AccessKey: "RocketMQ", SecretKey: "12345678"}, c)
}

func TestParseTime(t *testing.T) {
	at := time.Date(2026, 11, 21, 15, 4, 5, 67e6, time.Local).UnixMilli()
	got, err := parseTime("2026-11-21#15:04:05:067")
	require.NoError(t, err)
	require.Equal(t, at, got)
	got, err = parseTime("-1")
	require.NoError(t, err)
	require.EqualValues(t, -1, got)
	for _, bad := range []string{"", "now", "2026-11-21", "12x", "2026-11-21#15:04:05"} {
		_, err := parseTime(bad)
		require.Error(t, err, bad)
	}
}

// TestTraceViews reads what Java's TraceDataEncoder writes for a send and for a consumption.
func TestTraceViews(t *testing.T) {
	pub := strings.Join([]string{"Pub", "1700000000000", "DefaultRegion", "writers", "Orders", "ID1", "TagA", "k", "h:1", "5", "7", "0", "OFF", "true", "10.0.0.1"}, traceField)
	sub := strings.Join([]string{"SubAfter", "req", "ID1", "9", "false", "k", "1", "1700000000001", "readers"}, traceField)
	other := strings.Replace(pub, "ID1", "ID2", 1)
	require.Equal(t, []traceView{
		{Type: "Pub", Group: "writers", Host: "10.0.0.1", Timestamp: 1700000000000, Cost: 7, Status: "success"},
		{Type: "SubAfter", Group: "readers", Timestamp: 1700000000001, Cost: 9, Status: "failed"},
	}, views(pub+traceEnd+sub+traceEnd+other+traceEnd, "ID1"))
	require.Empty(t, views("Pub\x01", "ID1"))
}

func FuzzTraceViews(f *testing.F) {
	f.Add("Pub\x011\x01r\x01g\x01t\x01id\x01", "id")
	f.Fuzz(func(_ *testing.T, text, id string) { views(text, id) })
}

// TestStuckQueuesAreNamed shows each of the three ways in which a push consumer gets no further.
func TestStuckQueuesAreNamed(t *testing.T) {
	now := time.UnixMilli(10 * time.Minute.Milliseconds())
	q := body.MessageQueue{Topic: "T", BrokerName: "b", QueueID: 1}
	info := func(orderly string, p admin.ProcessQueue) *admin.RunningInfo {
		return &admin.RunningInfo{Properties: map[string]string{"PROP_CONSUME_TYPE": "CONSUME_PASSIVELY", "PROP_CONSUMEORDERLY": orderly}, MQTable: body.QueueMap[admin.ProcessQueue]{q: p}}
	}
	require.Contains(t, stuck("c", info("true", admin.ProcessQueue{}), now), "can't lock for a while")
	require.Contains(t, stuck("c", info("true", admin.ProcessQueue{Locked: true, Droped: true, TryUnlockTimes: 3}), now), "unlock 3 times, still failed")
	require.Contains(t, stuck("c", info("false", admin.ProcessQueue{CachedMsgCount: 1}), now), "maybe blocked")
	require.Empty(t, stuck("c", info("false", admin.ProcessQueue{}), now))
}
