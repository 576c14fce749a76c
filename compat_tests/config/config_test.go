// Package config_test changes configurations of running servers with stock mqadmin, against ours or, with
// COMPAT_PEER=java, Java's.
package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// topicNotExist is the code of a send to a topic that is not made on the way.
const topicNotExist = 17

// send sends one message and returns the code of the answer.
func send(t *testing.T, b *cluster.Server, topic string) int {
	t.Helper()
	resp, err := cluster.Call(b.Addr(), 310, map[string]string{"a": "producers", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
		"g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "l": "0", "m": "false"}, []byte("x"))
	require.NoError(t, err)
	return resp.Code
}

// value returns what getBrokerConfig or getNamesrvConfig shows of a key.
func value(t *testing.T, text, key string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, "="); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	require.Fail(t, "not shown", "%s in\n%s", key, text)
	return ""
}

// TestBrokerConfigByMqadmin: a change takes effect, is shown, and survives a kill; what may not change does not.
func TestBrokerConfigByMqadmin(t *testing.T) {
	t.Parallel()
	b := cluster.StartBroker(t, cluster.Options{})
	mqadmin := func(command string, args ...string) string {
		return cluster.MQAdmin(t, append([]string{command, "-n", "127.0.0.1:1", "-b", b.Addr()}, args...)...)
	}
	require.Zero(t, send(t, b, "MadeOnTheWay"))
	require.Contains(t, mqadmin("updateBrokerConfig", "-k", "autoCreateTopicEnable", "-v", "false"), "update broker config success, "+b.Addr())
	require.Equal(t, topicNotExist, send(t, b, "NotMade"))
	refused := mqadmin("updateBrokerConfig", "-k", "rocketmqHome", "-v", "/tmp/elsewhere")
	require.Contains(t, refused, "CODE: 16  DESC: Can not update config in black list.")
	require.NotContains(t, refused, "success")
	b.Kill(t)
	b.Restart(t)
	require.Equal(t, topicNotExist, send(t, b, "NotMade"))
	shown := mqadmin("getBrokerConfig")
	require.Equal(t, "false", value(t, shown, "autoCreateTopicEnable"))
	require.NotContains(t, shown, "/tmp/elsewhere")
}

// TestNamesrvConfigByMqadmin does the same with a name server.
func TestNamesrvConfigByMqadmin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Java writes what it changes to configStorePath, and reads it at a start with -c only: it is the file here.
	ns := cluster.StartNamesrv(t, cluster.Options{Dir: dir, ExtraConf: []string{"kvConfigPath=" + filepath.Join(dir, "kvConfig.json")}})
	require.Contains(t, cluster.MQAdmin(t, "updateNamesrvConfig", "-n", ns.Addr(), "-k", "scanNotActiveBrokerInterval", "-v", "4321"), "update name server config success!")
	refused := cluster.MQAdmin(t, "updateNamesrvConfig", "-n", ns.Addr(), "-k", "kvConfigPath", "-v", "/tmp/elsewhere")
	require.Contains(t, refused, "CODE: 16  DESC: Can not update config in black list.")
	ns.Kill(t)
	ns.Restart(t)
	shown := cluster.MQAdmin(t, "getNamesrvConfig", "-n", ns.Addr())
	require.Equal(t, "4321", value(t, shown, "scanNotActiveBrokerInterval"))
	require.NotContains(t, shown, "/tmp/elsewhere")
}
