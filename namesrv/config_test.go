package namesrv

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/dynamic"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func updateConfig(lines ...string) *protocol.Command {
	return request(protocol.UpdateNamesrvConfig, strings.Join(lines, "\n"))
}

func configOf(c *clients) string {
	return string(c.ok("c", request(protocol.GetNamesrvConfig, "")).Body)
}

// TestConfigChangesAtRunTime takes effect, is shown, is there after a restart, and the configuration itself stays.
func TestConfigChangesAtRunTime(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	s := start(t, o)
	c := newClients(t, s.Addr())
	c.ok("c", request(protocol.GetAllTopicListFromNameServer, ""))
	c.ok("c", updateConfig("enableAllTopicList = false ", "needWaitForService=TRUE", "waitSecondsForService=86400", "scanNotActiveBrokerInterval=777"))
	require.Equal(t, protocol.SystemError, c.call("c", request(protocol.GetAllTopicListFromNameServer, "")).Code)
	require.Contains(t, c.call("c", request(protocol.GetRouteInfoByTopic, "", "topic", "T")).Remark, "not ready")
	for _, line := range []string{"enableAllTopicList=false\n", "needWaitForService=true\n", "waitSecondsForService=86400\n", "scanNotActiveBrokerInterval=777\n"} {
		require.Contains(t, configOf(c), line)
	}
	c.ok("c", updateConfig("enableAllTopicList=true"))
	before := configOf(c)
	require.NoError(t, s.Close())
	o.ListenPort = s.o.ListenPort
	again := newClients(t, start(t, o).Addr())
	require.Equal(t, before, configOf(again))
	require.Contains(t, again.call("c", request(protocol.GetRouteInfoByTopic, "", "topic", "T")).Remark, "not ready")
}

// TestRefusedConfigChangesNothing whatever it comes with.
func TestRefusedConfigChangesNothing(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.ConfigBlackList += ";orderMessageEnable"
	o.KnownKeys = properties.Keys{"enableControllerInNamesrv"}
	c := newClients(t, start(t, o).Addr())
	before := configOf(c)
	const inBlackList = "Can not update config in black list."
	for line, want := range map[string]struct {
		code   int32
		remark string
	}{
		"kvConfigPath=/tmp/x":              {protocol.NoPermission, inBlackList},
		"configStorePath=/tmp/x":           {protocol.NoPermission, inBlackList},
		"configBlackList=":                 {protocol.NoPermission, inBlackList},
		"rocketmqHome=/tmp":                {protocol.NoPermission, inBlackList},
		"orderMessageEnable=true":          {protocol.NoPermission, inBlackList},
		"listenPort=1":                     {protocol.NoPermission, "listenPort cannot change while the server runs"},
		"enableControllerInNamesrv=true":   {protocol.NoPermission, "enableControllerInNamesrv cannot change while the server runs"},
		"clientRequestThreadPoolNums=9999": {protocol.NoPermission, "clientRequestThreadPoolNums cannot change"},
		"enableTopicLst=false":             {protocol.NoPermission, "did you mean enableTopicList?"},
		"enableTopicList=no":               {protocol.InvalidParameter, "it is neither true nor false"},
		"scanNotActiveBrokerInterval=1":    {protocol.InvalidParameter, "it is no number from 100"},
		`enableTopicList=\u12`:             {protocol.SystemError, "string2Properties error"},
	} {
		for _, lines := range [][]string{{line}, {"supportActingMaster=true", line}} {
			resp := c.call("c", updateConfig(lines...))
			require.Equal(t, want.code, resp.Code, line)
			require.Contains(t, resp.Remark, want.remark, line)
			require.Equal(t, before, configOf(c), line)
			require.NoFileExists(t, filepath.Join(filepath.Dir(o.KVConfigPath), dynamic.File))
		}
	}
	c.ok("c", updateConfig())
	require.Equal(t, before, configOf(c))
}
