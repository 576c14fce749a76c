package broker_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// configFile is a file of config/ with the request that shows what the broker has of it.
type configFile struct {
	name, table string
	code        int32
	text        string // as Java writes it; MARK stands for what tells two versions apart
	marks       [2]string
}

const version = `"dataVersion":{"counter":5,"stateVersion":0,"timestamp":1700000000000}`

func configFiles() []configFile {
	return []configFile{
		{"topics.json", "topicConfigTable", protocol.GetAllTopicConfig,
			`{` + version + `,"topicConfigTable":{"MARK":{"attributes":{},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"MARK","topicSysFlag":0,"writeQueueNums":4}}}`,
			[2]string{"NewTopic", "OldTopic"}},
		{"subscriptionGroup.json", "subscriptionGroupTable", protocol.GetAllSubscriptionGroupConfig,
			`{` + version + `,"forbiddenTable":{},"subscriptionGroupTable":{"MARK":{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"groupName":"MARK","retryMaxTimes":16,"retryQueueNums":1}}}`,
			[2]string{"new_group", "old_group"}},
		{"consumerOffset.json", "offsetTable", protocol.GetAllConsumerOffset,
			`{` + version + `,"offsetTable":{"MARK@g":{0:7,1:8}}}`, [2]string{"NewTopic", "OldTopic"}},
		{"delayOffset.json", "offsetTable", protocol.GetAllDelayOffset, `{` + version + `,"offsetTable":{3:MARK}}`, [2]string{"7777", "3333"}},
	}
}

func (f configFile) version(i int) string { return strings.ReplaceAll(f.text, "MARK", f.marks[i]) }

// damages are ways to break a configuration file; those that leave it as good as it was are not among them.
func (f configFile) damages() map[string]string {
	good := f.version(0)
	out := map[string]string{
		"empty": "", "zeros": strings.Repeat("\x00", len(good)), "garbage": "\x89PNG\r\n\x1a\n" + strings.Repeat("\xff\xfe", 99), "blanks": "  \n",
		"zeros at the end": good[:len(good)/2] + strings.Repeat("\x00", len(good)-len(good)/2), "more behind": good + "}",
		"no object": "null", "list": "[]", "number": "12", "text": `"` + f.table + `"`, "nothing in it": "{}", "no table": `{` + version + `}`,
		"table is null": `{"` + f.table + `":null}`, "table is text": `{"` + f.table + `":"x"}`, "table is a list": `{"` + f.table + `":[1]}`,
		"table is a number": `{"` + f.table + `":7}`, "entry is text": `{"` + f.table + `":{"1":"x"}}`, "entry is a list": `{"` + f.table + `":{"1":["x"]}}`,
	}
	if field := strings.Replace(good, `"attributes":{}`, `"attributes":[7]`, 1); field != good {
		out["field of another type"] = field
	}
	for n := 1; n < len(good); n += 1 + len(good)/25 {
		out[fmt.Sprintf("cut at %d of %d", n, len(good))] = good[:n]
	}
	for _, other := range configFiles() {
		if other.name != f.name {
			out["what belongs into "+other.name] = other.version(0)
		}
	}
	return out
}

// logged is a log that a broker writes while the test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// world starts brokers on a store folder whose files the test breaks.
type world struct {
	t   *testing.T
	o   broker.Options
	log logged
}

func newWorld(t *testing.T) *world {
	b := brokertest.Start(t)
	require.NoError(t, b.Close())
	w := &world{t: t, o: b.Options}
	w.o.Logger = zerolog.New(&w.log)
	for _, f := range configFiles() {
		require.NoError(t, os.WriteFile(w.path(f.name), []byte(f.version(0)), 0o644))
		require.NoError(t, os.WriteFile(w.path(f.name+".bak"), []byte(f.version(1)), 0o644))
	}
	return w
}

func (w *world) path(name string) string {
	return filepath.Join(w.o.Store.StorePathRootDir, "config", name)
}

// show starts a broker, returns what it has of a file, and stops it.
func (w *world) show(f configFile) (string, error) {
	w.log.Reset()
	b, err := broker.Open(w.o)
	if err != nil {
		return "", err
	}
	c := brokertest.Dial(w.t, w.o)
	resp := c.Call(&protocol.Command{Code: f.code, Version: protocol.Version})
	c.Close()
	require.NoError(w.t, b.Close())
	require.EqualValues(w.t, protocol.Success, resp.Code)
	return string(resp.Body), nil
}

// TestBrokenConfigFiles breaks each file in many ways: the broker uses the backup, says so and keeps the broken
// one, or, with the backup broken as well, does not start and says how to go on.
func TestBrokenConfigFiles(t *testing.T) {
	for _, f := range configFiles() {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t)
			got, err := w.show(f)
			require.NoError(t, err)
			require.Contains(t, got, f.marks[0])
			require.NotContains(t, w.log.String(), "backup is used")
			main, backup, broken := w.path(f.name), w.path(f.name+".bak"), filepath.Join(w.o.Store.StorePathRootDir, "skylark", "broken")
			for what, text := range f.damages() {
				require.NoError(t, os.WriteFile(main, []byte(text), 0o644))
				require.NoError(t, os.WriteFile(backup, []byte(f.version(1)), 0o644))
				got, err := w.show(f)
				require.NoError(t, err, what)
				require.Contains(t, got, f.marks[1], what)
				require.NotContains(t, got, f.marks[0], what)
				require.Contains(t, w.log.String(), `"used":"`+backup, what)
				kept, err := filepath.Glob(filepath.Join(broken, f.name+"-*"))
				require.NoError(t, err)
				require.Len(t, kept, 1, what)
				b, err := os.ReadFile(kept[0])
				require.NoError(t, err)
				require.Equal(t, text, string(b), what)
				require.NoError(t, os.Remove(kept[0]))

				require.NoError(t, os.WriteFile(main, []byte(text), 0o644))
				require.NoError(t, os.WriteFile(backup, []byte(text), 0o644))
				_, err = w.show(f)
				require.ErrorContains(t, err, main, what)
				require.ErrorContains(t, err, backup, what)
				require.ErrorContains(t, err, "to go on", what)
				b, err = os.ReadFile(main)
				require.NoError(t, err)
				require.Equal(t, text, string(b), "%s: nothing was changed", what)
			}
			require.NoError(t, os.Remove(main))
			require.NoError(t, os.WriteFile(backup, []byte(f.version(1)), 0o644))
			got, err = w.show(f)
			require.NoError(t, err)
			require.Contains(t, got, f.marks[1])
			require.Contains(t, w.log.String(), "is missing, its backup is used")
		})
	}
}

// TestLostTopicsGoOn: topics.json is gone, the messages are not. As with Java nobody can pull them until the
// topic is made again; then all are there and offsets go on.
func TestLostTopicsGoOn(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	send := func(want string) {
		t.Helper()
		resp := c.Call(brokertest.SendRequest("Kept", 1, "", "x"))
		require.EqualValues(t, protocol.Success, resp.Code, resp.Remark)
		require.Equal(t, want, brokertest.Field(t, resp, "queueOffset"))
	}
	for i := range 5 {
		send(fmt.Sprint(i))
	}
	require.NoError(t, b.Close())
	for _, suffix := range []string{"", ".bak"} {
		for _, f := range configFiles() {
			_ = os.Remove(filepath.Join(b.Options.Store.StorePathRootDir, "config", f.name+suffix))
		}
	}
	var log logged
	b.Options.Logger = zerolog.New(&log)
	b.Restart()
	for _, name := range []string{"topics.json", "subscriptionGroup.json", "consumerOffset.json"} {
		require.Regexp(t, `"level":"warn","file":"[^"]*`+name+`","message":"a configuration file is missing while the store holds messages`, log.String())
	}
	require.Contains(t, log.String(), `"count":1,"topics":["Kept"],"message":"topics have messages but no configuration`)
	c = b.Dial(false)
	require.EqualValues(t, protocol.TopicNotExist, c.Call(brokertest.PullRequest("Kept", 1, 0, "*")).Code)
	send("5")
	resp := c.Call(brokertest.PullRequest("Kept", 1, 0, "*"))
	require.EqualValues(t, protocol.Success, resp.Code, resp.Remark)
	require.Len(t, brokertest.Records(t, resp.Body), 6)
	log.Reset()
	b.Restart()
	require.NotContains(t, log.String(), "no configuration")
}

// TestFirstStartSaysNothingIsMissing, and neither does a clean one.
func TestFirstStartSaysNothingIsMissing(t *testing.T) {
	var log logged
	b := brokertest.Start(t, func(o *broker.Options) { o.Logger = zerolog.New(&log) })
	require.EqualValues(t, protocol.Success, b.Dial(false).Call(brokertest.SendRequest("T", 0, "", "x")).Code)
	require.NotContains(t, log.String(), "missing")
	require.NotContains(t, log.String(), "no configuration")
}
