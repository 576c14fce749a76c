//go:build unix

package boot

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The file is written after the line that says ready, so a pipe stands in for it: reading it waits.
func TestPidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	pipe, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, pipe.Close()) }()
	require.NoError(t, pipe.SetReadDeadline(time.Now().Add(30*time.Second)))

	t.Setenv("SKYLARK_PID_FILE", path)
	dir := filepath.Join(t.TempDir(), "d")
	p := start(t, "skylark", "standalone", "--dir", dir, "--namesrvPort", fmt.Sprint(port(t)), "--port", fmt.Sprint(port(t)))
	p.line(t, "is ready")
	text, err := bufio.NewReader(pipe).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln(p.cmd.Process.Pid), text)
	stop(t, p, syscall.SIGTERM, 0)
	require.NoFileExists(t, path)
}
