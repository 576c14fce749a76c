package boot

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// call runs Main in this process, for command lines that start no server.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("NAMESRV_ADDR", "")
	t.Setenv("ROCKETMQ_HOME", "")
	var out, errors bytes.Buffer
	status = Main(args, &out, &errors)
	return status, out.String(), errors.String()
}

// settings returns the keys and values that -p or -m printed, and fails on any other line but the one
// about the file.
func settings(t *testing.T, stdout string) (keys []string, values map[string]string) {
	t.Helper()
	values = map[string]string{}
	for line := range strings.Lines(stdout) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "load config properties file OK, ") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		require.True(t, ok, line)
		require.NotContains(t, values, key, "printed twice")
		keys, values[key] = append(keys, key), value
	}
	return keys, values
}

// Java prints in the order of its fields, behind a log prefix. Ours has neither, so that two outputs
// can be compared by diff.
func TestSettingsAreSortedLines(t *testing.T) {
	for _, args := range [][]string{{"mqbroker", "-p"}, {"mqbroker", "-m"}, {"mqnamesrv", "-p"}, {"skylark", "broker", "--printConfigItem"},
		{"skylark", "broker", "--printImportantConfig"}} {
		status, stdout, stderr := call(t, args...)
		require.Zero(t, status, stderr)
		require.Empty(t, stderr, args)
		keys, _ := settings(t, stdout)
		require.NotEmpty(t, keys, args)
		require.True(t, slices.IsSorted(keys), args)
	}
}

func TestSettingsShowFileAndFlag(t *testing.T) {
	path := file(t, "# a comment", "listenPort=12345", "brokerName: b-9", "namesrvAddr=10.0.0.1:9876", "flushDiskType=SYNC_FLUSH")
	for _, flag := range []string{"-p", "-m"} {
		status, stdout, stderr := call(t, "mqbroker", "-c", path, flag)
		require.Zero(t, status, stderr)
		require.Contains(t, stdout, "load config properties file OK, "+path+"\n")
		_, values := settings(t, stdout)
		require.Equal(t, "b-9", values["brokerName"])
		require.Equal(t, "SYNC_FLUSH", values["flushDiskType"])
		require.Equal(t, "10.0.0.1:9876", values["namesrvAddr"])

		// Java's -p and -m show the file's address even so: it applies -n after printing. Ours shows what
		// a start would use.
		_, stdout, _ = call(t, "mqbroker", "-c", path, "-n", "10.0.0.2:9876;10.0.0.3:9876", flag)
		_, values = settings(t, stdout)
		require.Equal(t, "10.0.0.2:9876;10.0.0.3:9876", values["namesrvAddr"], "-n overrides the file")
	}
	_, stdout, _ := call(t, "mqbroker", "-p", "-c", path)
	_, values := settings(t, stdout)
	require.Equal(t, "12345", values["listenPort"])
	status, stdout, stderr := call(t, "mqnamesrv", "-p", "-n", "10.0.0.2:9876", "-c", path)
	require.Zero(t, status, stderr)
	_, values = settings(t, stdout)
	require.Equal(t, "12345", values["listenPort"])
}

func TestNamesrvAddrOfTheEnvironment(t *testing.T) {
	t.Setenv("NAMESRV_ADDR", "10.0.0.7:9876")
	var out, errors bytes.Buffer
	require.Zero(t, Main([]string{"mqbroker", "-m"}, &out, &errors), errors.String())
	require.Contains(t, out.String(), "\nnamesrvAddr=10.0.0.7:9876\n")
	out.Reset()
	require.Zero(t, Main([]string{"mqbroker", "-m", "-c", file(t, "namesrvAddr=10.0.0.8:9876")}, &out, &errors), errors.String())
	require.Contains(t, out.String(), "\nnamesrvAddr=10.0.0.8:9876\n", "the file overrides the environment")
}

// Java 5.5.0 keeps the default of a number it cannot read, without a word, and goes on. Ours goes on
// with a warning.
func TestUnreadableValuesWarn(t *testing.T) {
	path := file(t, "listenPort=abc", "unknownKey=1", "listenPrt=5")
	for program, kept := range map[string]string{"mqbroker": "10911", "mqnamesrv": "9876"} {
		status, stdout, stderr := call(t, program, "-c", path, "-p")
		require.Zero(t, status, stderr)
		_, values := settings(t, stdout)
		require.Equal(t, kept, values["listenPort"])
		for _, words := range []string{`listenPort="abc" is not a 32-bit integer, keeping ` + kept,
			`unknown option "listenPrt" is ignored, did you mean listenPort?`, `unknown options are ignored: "unknownKey"`} {
			line := lineWith(t, stderr, words)
			require.Contains(t, line, "WRN")
			require.Contains(t, line, path, "the warning names the file")
		}
	}
}

// lineWith returns the line of text that contains words.
func lineWith(t *testing.T, text, words string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return line
		}
	}
	require.Fail(t, "no such line", "%q in %s", words, text)
	return ""
}

func TestIllegalSettings(t *testing.T) {
	for name, x := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"-n":                     {[]string{"mqbroker", "-n", "nonsense"}, 253, "the Name Server Address[nonsense] illegal"},
		"namesrvAddr":            {[]string{"mqbroker", "-c", file(t, "namesrvAddr=nonsense")}, 253, "the Name Server Address[nonsense] illegal"},
		"slave of id 0":          {[]string{"mqbroker", "-c", file(t, "brokerRole=SLAVE", "brokerId=0")}, 253, "brokerId must be > 0"},
		"port of a broker":       {[]string{"mqbroker", "-c", file(t, "listenPort=70000")}, 253, "listenPort 70000"},
		"authentication":         {[]string{"mqbroker", "-c", file(t, "authenticationEnabled=true")}, 253, "authenticationEnabled=true: requests are not checked yet"},
		"authorization":          {[]string{"mqbroker", "-c", file(t, "authorizationEnabled=true")}, 253, "authorizationEnabled=true: requests are not checked yet"},
		"provider of users":      {[]string{"mqbroker", "-c", file(t, "authenticationMetadataProvider=com.example.Users")}, 253, "com.example.Users names a Java class"},
		"port of a name server":  {[]string{"mqnamesrv", "-c", file(t, "listenPort=70000")}, 255, "listenPort 70000"},
		"no file of a namesrv":   {[]string{"mqnamesrv", "-c", "/nowhere/n.conf"}, 255, "/nowhere/n.conf"},
		"no file of standalone":  {[]string{"skylark", "standalone", "-c", "/nowhere/s.conf"}, 255, "/nowhere/s.conf"},
		"file without a name":    {[]string{"mqbroker", "-c"}, 1, "-c"},
		"-m is the broker's":     {[]string{"mqnamesrv", "-m"}, 1, "-m"},
		"unknown long flag":      {[]string{"mqnamesrv", "--enable-what"}, 1, "enable-what"},
		"flag behind a word":     {[]string{"mqbroker", "word", "-z"}, 1, "unrecognized option: -z"},
		"number of a standalone": {[]string{"skylark", "standalone", "--port", "abc"}, 1, `"abc"`},
		"flag of no command":     {[]string{"skylark", "-z"}, 1, "-z"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := call(t, x.args...)
			require.Equal(t, x.status, status, stderr)
			require.Contains(t, stderr, x.stderr)
			require.NotContains(t, stdout, "boot success")
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"mqbroker", "-h"}, {"mqnamesrv", "--help"}, {"skylark", "broker", "-h"}, {"skylark", "namesrv", "-h"},
		{"/opt/bin/mqbroker", "-h"}, {"mqbroker", "-h", "-c", "/nowhere"}} {
		status, stdout, stderr := call(t, args...)
		require.Zero(t, status, stderr)
		require.Empty(t, stderr)
		for _, flag := range []string{"--configFile", "--namesrvAddr", "--printConfigItem", "--help"} {
			require.Contains(t, stdout, flag, args)
		}
		broker := strings.Contains(strings.Join(args, " "), "broker")
		require.Equal(t, broker, strings.Contains(stdout, "--printImportantConfig"), args)
	}
	status, stdout, stderr := call(t, "skylark", "standalone", "-h")
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "--dir")
}

func TestImportantKeysAreAllPrinted(t *testing.T) {
	_, stdout, _ := call(t, "mqbroker", "-m", "-n", "10.0.0.1:9876")
	keys, _ := settings(t, stdout)
	// @ImportantField by spec/config_keys.tsv, as far as broker.Options and store.Options have the key.
	require.Subset(t, keys, []string{"accessMessageInMemoryMaxRatio", "brokerRole", "fetchNameSrvAddrByDnsLookup", "listenPort",
		"msgTraceTopicName", "traceTopicEnable"})
}

func TestIllegalPortNamesTheFile(t *testing.T) {
	for _, program := range []string{"mqbroker", "mqnamesrv"} {
		path := file(t, "listenPort=70000")
		_, _, stderr := call(t, program, "-c", path)
		require.Contains(t, lineWith(t, stderr, "listenPort"), path)
	}
}
