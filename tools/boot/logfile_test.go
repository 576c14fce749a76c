package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// TestLogFilesAreBounded: lines stay whole and in order, and the oldest files go.
func TestLogFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	l, err := openLogFile(dir, "broker")
	require.NoError(t, err)
	l.most = 100
	const lines = 300
	for i := range lines {
		_, err := fmt.Fprintf(l, "line %04d\n", i)
		require.NoError(t, err)
	}
	require.NoError(t, l.file.Close())
	l, err = openLogFile(dir, "broker") // goes on with what is there
	require.NoError(t, err)
	_, err = fmt.Fprintf(l, "line %04d\n", lines)
	require.NoError(t, err)
	require.NoError(t, l.file.Close())
	var all strings.Builder
	for n := logFiles; n > 0; n-- {
		b, err := os.ReadFile(l.old(n))
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), 100)
		all.Write(b)
	}
	b, err := os.ReadFile(filepath.Join(dir, "broker.log"))
	require.NoError(t, err)
	all.Write(b)
	got := strings.Split(strings.TrimSuffix(all.String(), "\n"), "\n")
	for i, line := range got {
		require.Equal(t, fmt.Sprintf("line %04d", lines+1-len(got)+i), line)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "otherdays"))
	require.NoError(t, err)
	require.Len(t, entries, logFiles)
}

// TestLogLevelChangesAtRunTime, and stays changed.
func TestLogLevelChangesAtRunTime(t *testing.T) {
	t.Setenv("SKYLARK_LOG_DIR", filepath.Join(t.TempDir(), "logs"))
	n, kv := port(t), filepath.Join(t.TempDir(), "kvConfig.json")
	text := func() string {
		b, err := os.ReadFile(filepath.Join(os.Getenv("SKYLARK_LOG_DIR"), "namesrv.log"))
		require.NoError(t, err)
		return string(b)
	}
	c := rpc.New(rpc.Options{Logger: zerolog.Nop()})
	defer c.Close()
	update := func(line string) {
		resp, err := c.Invoke(context.Background(), fmt.Sprint("127.0.0.1:", n), &protocol.Command{Code: protocol.UpdateNamesrvConfig, Body: []byte(line)})
		require.NoError(t, err)
		require.Equal(t, protocol.Success, resp.Code, resp.Remark)
	}
	run := func() *program {
		p := start(t, "mqnamesrv", "-c", file(t, fmt.Sprint("listenPort=", n), "kvConfigPath="+kv))
		p.line(t, "boot success")
		return p
	}
	ns := run()
	update("enableTopicList=false")
	require.Contains(t, text(), "enableTopicList")
	update("skylarkLogLevel=error")
	update("orderMessageEnable=true")
	require.NotContains(t, text(), "orderMessageEnable")
	stop(t, ns, syscall.SIGTERM, statusTerminated)
	ns = run()
	update("supportActingMaster=true")
	require.NotContains(t, text(), "supportActingMaster")
	update("skylarkLogLevel=info")
	update("supportActingMaster=false")
	require.Contains(t, text(), "supportActingMaster")
	stop(t, ns, syscall.SIGTERM, statusTerminated)
}

func TestLogGoesToStdout(t *testing.T) {
	t.Setenv("SKYLARK_LOG_OUTPUT", "stdout")
	t.Setenv("SKYLARK_LOG", "json")
	conf := file(t, fmt.Sprint("listenPort=", port(t)), "kvConfigPath="+filepath.Join(t.TempDir(), "kvConfig.json"))
	p := start(t, "mqnamesrv", "-c", conf)
	require.True(t, json.Valid([]byte(p.line(t, `"message"`))))
	p.line(t, "boot success")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	_, _, stderr := p.end(t)
	require.Empty(t, stderr)

	_, stdout, _ := start(t, "mqnamesrv", "-p", "-c", conf).end(t)
	require.NotContains(t, stdout, `"message"`)
}
