package namesrv

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

func put(namespace, key, value string) *protocol.Command {
	return request(protocol.PutKVConfig, "", "namespace", namespace, "key", key, "value", value)
}

func get(namespace, key string) *protocol.Command {
	return request(protocol.GetKVConfig, "", "namespace", namespace, "key", key)
}

func TestKVConfigSurvivesARestartInJavasFile(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.KVConfigPath = filepath.Join(t.TempDir(), "new", "kvConfig.json")
	s := start(t, o)
	c := newClients(t, s.Addr())
	c.ok("c", put("ns", "k", `v "ü"`))
	c.ok("c", put("ns", "k2", ""))
	c.ok("c", put("gone", "k", "v"))
	c.ok("c", request(protocol.DeleteKVConfig, "", "namespace", "gone", "key", "k"))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	// The text a Java 5.5.0 name server writes for the same, keys in hash order there.
	b, err := os.ReadFile(o.KVConfigPath)
	require.NoError(t, err)
	require.Equal(t, `{"configTable":{"gone":{},"ns":{"k":"v \"ü\"","k2":""}}}`, string(b))

	o.ListenPort = freePort(t)
	c = newClients(t, start(t, o).Addr())
	value, _ := c.ok("c", get("ns", "k")).Ext.Get("value")
	require.Equal(t, `v "ü"`, value)
	value, ok := c.ok("c", get("ns", "k2")).Ext.Get("value")
	require.True(t, ok)
	require.Empty(t, value)
	require.Equal(t, `{"table":{}}`, string(c.ok("c", request(protocol.GetKVListByNamespace, "", "namespace", "gone")).Body))
}

func TestKVConfigOfJavaIsRead(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	// As Java 5.5.0 wrote it behind the script of golden_test.go.
	require.NoError(t, os.WriteFile(o.KVConfigPath, []byte(`{"configTable":{"ORDER_TOPIC_CONFIG":{"TopicB":"broker-a:4;broker-b:4"},"ns":{}}}`), 0o644))
	c := newClients(t, start(t, o).Addr())
	value, _ := c.ok("c", get(orderTopicConfig, "TopicB")).Ext.Get("value")
	require.Equal(t, "broker-a:4;broker-b:4", value)
}

func TestKVConfigThatCannotBeReadKeepsTheServerFromStarting(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	require.NoError(t, os.WriteFile(o.KVConfigPath, []byte(`{"configTable":{"ns":`), 0o644))
	_, err := Open(o)
	require.ErrorContains(t, err, o.KVConfigPath)
}

func TestKVChangeThatCannotBeWrittenIsRefused(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	dir := filepath.Join(t.TempDir(), "dir")
	o.KVConfigPath = filepath.Join(dir, "kvConfig.json")
	c := newClients(t, start(t, o).Addr())
	c.ok("c", put("ns", "k", "1"))
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o644)) // a file where the folder should be
	resp := c.call("c", put("ns", "k", "2"))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Contains(t, resp.Remark, "cannot keep the KV configuration")
	value, _ := c.ok("c", get("ns", "k")).Ext.Get("value")
	require.Equal(t, "1", value)
	require.NoError(t, os.Remove(dir))
	c.ok("c", put("ns", "k", "2"))
}

func TestConfigLinesAreThoseOfJava(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/config.golden")
	require.NoError(t, err)
	java := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		java[strings.TrimSpace(line)] = true
	}
	own := map[string]bool{"listenPort": true, "kvConfigPath": true, "configStorePath": true} // of the place
	for _, kv := range DefaultOptions().ConfigLines() {
		if !own[kv.Key] {
			require.True(t, java[kv.Key+"="+kv.Value], kv)
		}
	}
	o := testOptions(t)
	o.RocketmqHome = "/opt/rocketmq"
	c := newClients(t, start(t, o).Addr())
	text := string(c.ok("c", request(protocol.GetNamesrvConfig, "")).Body)
	require.Contains(t, text, "\nkvConfigPath="+o.KVConfigPath+"\n")
	require.Contains(t, text, "\nrocketmqHome=/opt/rocketmq\n")
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	s := start(t, o)
	taken := testOptions(t)
	taken.ListenPort = s.o.ListenPort
	_, err := Open(taken)
	require.ErrorContains(t, err, "cannot start the name server")
	o.ListenPort = 0
	_, err = Open(o)
	require.ErrorContains(t, err, "listenPort")
	o = testOptions(t)
	o.KVConfigPath = ""
	_, err = Open(o)
	require.ErrorContains(t, err, "kvConfigPath")
}

// TestBrokenKVConfigIsTakenFromItsBackup, however it is broken; without a good one the server does not start.
func TestBrokenKVConfigIsTakenFromItsBackup(t *testing.T) {
	t.Parallel()
	const good, backup = `{"configTable":{"ns":{"k":"new"}}}`, `{"configTable":{"ns":{"k":"old"}}}`
	damages := []string{"", "null", "[]", "{}", "7", `{"configTable":null}`, `{"configTable":"x"}`, `{"configTable":{"ns":"x"}}`, `{"configTable":{"ns":{"k":{}}}}`,
		`{"offsetTable":{}}`, "\x00\x00\x00", "\xff garbage", good + "x"}
	for n := 1; n < len(good); n++ {
		damages = append(damages, good[:n], good[:n]+strings.Repeat("\x00", len(good)-n))
	}
	for _, text := range damages {
		dir := t.TempDir()
		path := filepath.Join(dir, "kvConfig.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.NoError(t, os.WriteFile(path+".bak", []byte(backup), 0o644))
		var log bytes.Buffer
		kv, err := openKV(path, zerolog.New(&log))
		require.NoError(t, err, text)
		value, _ := kv.get("ns", "k")
		require.Equal(t, "old", value, text)
		require.Contains(t, log.String(), path+".bak")
		require.NoError(t, kv.put("ns", "k2", "v"))
		b, err := os.ReadFile(path + ".bak")
		require.NoError(t, err)
		require.Equal(t, backup, string(b), "the broken file is not the next backup")
		kept, err := filepath.Glob(filepath.Join(dir, "skylark", "broken", "kvConfig.json-*"))
		require.NoError(t, err)
		require.Len(t, kept, 1)

		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.NoError(t, os.Remove(path+".bak"))
		_, err = openKV(path, zerolog.Nop())
		require.ErrorContains(t, err, path+": ", text)
		require.ErrorContains(t, err, "to go on", text)
	}
}
