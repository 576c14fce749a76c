package boot

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/dynamic"
	"github.com/skylarkmq/skylark/tools/config"
)

// printed returns what -p shows of a program.
func printed(t *testing.T, args ...string) (values map[string]string, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	require.Zero(t, Main(args, &out, &errors), errors.String())
	_, values = settings(t, out.String())
	return values, errors.String()
}

// TestEnvironment: what containers set is a default, SKYLARK_ variables go before the file, both before nothing else.
func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	for name, value := range map[string]string{
		"NAMESRV_ADDR": "10.0.0.7:9876", "ROCKETMQ_HOME": "/opt/rocketmq", "POD_IP": "10.1.2.3", "BROKER_NAME": "pod-0", "BROKER_ID": "3",
		"JAVA_OPT":     "-server -Xms8g -Drocketmq.broker.diskSpaceWarningLevelRatio=0.8 -Drocketmq.broker.diskSpaceCleanForciblyRatio=x",
		"JAVA_OPT_EXT": "-Duser.home=" + home + " -Drocketmq.namesrv.addr=10.0.0.8:9876", "SKYLARK_FLUSH_DISK_TYPE": "SYNC_FLUSH",
		"SKYLARK_brokerIP2": "10.1.2.4", "SKYLARK_MAX_STORE_BYTES": "12345", "SKYLARK_FETCH_NAME_SRV_ADDR_BY_DNS_LOOKUP": "true",
		"SKYLARK_FLUSH_DSK_TYPE": "x", "SKYLARK_FILE_RESERVED_TIME": "long",
	} {
		t.Setenv(name, value)
	}
	conf := file(t, "brokerName=of-the-file", "flushDiskType=ASYNC_FLUSH")
	values, stderr := printed(t, "mqbroker", "-p", "-c", conf)
	for key, want := range map[string]string{
		"namesrvAddr": "10.0.0.8:9876", "rocketmqHome": "/opt/rocketmq", "brokerIP1": "10.1.2.3", "brokerIP2": "10.1.2.4", "brokerName": "of-the-file",
		"brokerId": "3", "flushDiskType": "SYNC_FLUSH", "storePathRootDir": filepath.Join(home, "store"), "diskSpaceWarningLevelRatio": "80",
		"diskSpaceCleanForciblyRatio": "85", "skylarkMaxStoreBytes": "12345", "fetchNameSrvAddrByDnsLookup": "true", "fileReservedTime": "72",
	} {
		require.Equal(t, want, values[key], key)
	}
	require.Contains(t, stderr, "SKYLARK_FLUSH_DSK_TYPE is no key and is ignored, did you mean SKYLARK_FLUSH_DISK_TYPE?")
	require.Contains(t, stderr, `fileReservedTime="long" is not a 32-bit integer`)
	require.Contains(t, stderr, "diskSpaceCleanForciblyRatio=x is not a number from 0 to 1")
	values, _ = printed(t, "mqnamesrv", "-p")
	require.Equal(t, filepath.Join(home, "namesrv", "kvConfig.json"), values["kvConfigPath"])

	// What was changed at run time goes before the file and the environment, flags before everything.
	changed := filepath.Join(home, "store", "skylark", dynamic.File)
	require.NoError(t, os.MkdirAll(filepath.Dir(changed), 0o755))
	require.NoError(t, os.WriteFile(changed, []byte("flushDiskType=ASYNC_FLUSH\nnamesrvAddr=10.0.0.9\\:9876\nbrokerName=other\n"), 0o644))
	values, stderr = printed(t, "mqbroker", "-p", "-c", conf)
	require.Equal(t, []string{"ASYNC_FLUSH", "10.0.0.9:9876", "of-the-file"}, []string{values["flushDiskType"], values["namesrvAddr"], values["brokerName"]})
	require.Contains(t, stderr, "override brokerName is left out")
	values, _ = printed(t, "mqbroker", "-p", "-c", conf, "-n", "10.0.0.10:9876")
	require.Equal(t, "10.0.0.10:9876", values["namesrvAddr"])
}

// TestEveryKeyHasAVariable of its own.
func TestEveryKeyHasAVariable(t *testing.T) {
	known := config.Known()
	for _, key := range known {
		for _, name := range []string{envPrefix + snake(key), envPrefix + strings.TrimPrefix(key, "skylark")} {
			p, warnings := fromEnvironment([]string{name + "=v"}, known)
			require.Empty(t, warnings, name)
			_, ok := p.Get(key)
			require.True(t, ok, "%s does not set %s", name, key)
			require.Equal(t, 1, p.Len())
		}
	}
	p, warnings := fromEnvironment([]string{"SKYLARK_LOG=json", "SKYLARK_LOG_LEVEL=debug", "SKYLARK_PID_FILE=x", "HOME=/", "flushDiskType=x"}, known)
	require.Zero(t, p.Len())
	require.Empty(t, warnings)
}

func TestLint(t *testing.T) {
	call := func(args ...string) (int, string, string) {
		var out, errors bytes.Buffer
		status := Main(append([]string{"skylark", "config", "lint"}, args...), &out, &errors)
		return status, out.String(), errors.String()
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "skylark", dynamic.File)
	require.NoError(t, os.MkdirAll(filepath.Dir(changed), 0o755))
	require.NoError(t, os.WriteFile(changed, []byte("fileReservedTime=24\n"), 0o644))
	good := file(t, "# fine", "brokerName=a", "flushDiskType=SYNC_FLUSH", "listenPort : 10911")
	for name, x := range map[string]struct {
		args   []string
		status int
		out    []string
		stderr string
	}{
		"nothing": {[]string{good}, 0, nil, ""},
		"broker": {[]string{file(t, "mapedFileSizeCommitLog=1", "storePathRootDir="+dir, "fileReservedTime=72", "brokerPermision=4", "listenPort=10911 ", "longPollingEnable=yes",
			"useEpollNativeSelector=true", "kvConfigPath=/x", "<!--", "aclEnable=true")}, 1, []string{
			`wrong: unknown option "mapedFileSizeCommitLog" is ignored, did you mean mappedFileSizeCommitLog?`,
			`wrong: unknown option "brokerPermision" is ignored, did you mean brokerPermission?`,
			`wrong: listenPort="10911 " is not a 32-bit integer (remove the blanks around it)`,
			`wrong: longPollingEnable="yes" is not true or false, it means false`,
			`wrong: unknown options are ignored: "<!--"`,
			`note: useEpollNativeSelector has no use here: tunes Netty`,
			`note: kvConfigPath changes nothing for a broker, it is a key of a name server`,
			`note: aclEnable has no use here: a setting changes nothing in Java`,
			`note: fileReservedTime is 24: it was changed at run time, which goes before the file`,
		}, ""},
		"name server": {[]string{"--namesrv", file(t, "kvConfigPath="+dir+"/kv.json", "enableTopicLst=true", "flushDiskType=SYNC_FLUSH")}, 1, []string{
			`did you mean enableTopicList?`, `note: flushDiskType changes nothing for a name server, it is a key of a broker`}, ""},
		"access": {[]string{file(t, "authenticationEnabled=true", "authConfigPath=/x")}, 1, []string{
			"wrong: a start is refused: authenticationEnabled=true: requests are not checked yet", "note: authConfigPath has no use here: Java's broker overwrites it"}, ""},
		"notes only": {[]string{file(t, "useEpollNativeSelector=true")}, 0, []string{"note: useEpollNativeSelector"}, ""},
		"no file":    {[]string{"/nowhere/b.conf"}, 255, nil, "/nowhere/b.conf"},
		"bad escape": {[]string{file(t, `brokerName=\u12`)}, 255, nil, "malformed"},
		"no word":    {nil, 1, nil, "wants a FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, stderr := call(x.args...)
			require.Equal(t, x.status, status, out+stderr)
			require.Contains(t, stderr, x.stderr)
			for _, want := range x.out {
				require.Contains(t, out, want)
			}
			require.Equal(t, len(x.out), strings.Count(out, "\n"), out)
		})
	}
}
