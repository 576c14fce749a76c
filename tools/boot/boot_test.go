package boot

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary behave as the program, so that exit statuses and signals are real.
const asProgram = "SKYLARK_BOOT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main(os.Args, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// program is a started program.
type program struct {
	cmd    *exec.Cmd
	lines  chan string // of stdout
	mu     sync.Mutex
	out    bytes.Buffer
	errors bytes.Buffer
	status chan int
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errors.Write(b)
}

func (p *program) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errors.String()
}

func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(path, link))
	p := &program{cmd: exec.Command(link, args...), lines: make(chan string, 1000), status: make(chan int, 1)}
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "NAMESRV_ADDR=", "ROCKETMQ_HOME=", "GORACE=atexit_sleep_ms=0")
	p.cmd.Dir = t.TempDir()
	p.cmd.Stderr = p
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.lines)
		s := bufio.NewScanner(io.TeeReader(stdout, &p.out))
		for s.Scan() {
			p.lines <- s.Text()
		}
		_ = p.cmd.Wait()
		p.status <- p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// line waits for a line of stdout that contains text.
func (p *program) line(t *testing.T, text string) string {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				require.Fail(t, "the program ended", "without %q: %s", text, p.stderr())
			}
			if strings.Contains(l, text) {
				return l
			}
		case <-limit:
			require.Fail(t, "no line", "with %q: %s", text, p.stderr())
		}
	}
}

// end waits for the program and returns its exit status and what it printed.
func (p *program) end(t *testing.T) (status int, stdout, stderr string) {
	t.Helper()
	select {
	case status = <-p.status:
		return status, p.out.String(), p.stderr()
	case <-time.After(30 * time.Second):
		require.Fail(t, "the program does not end", p.stderr())
		return 0, "", ""
	}
}

func (p *program) terminate(t *testing.T) (status int, stdout, stderr string) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.end(t)
}

// port returns a free port p with p-2 free as well.
func port(t *testing.T) int {
	t.Helper()
	for range 100 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		n := a.Addr().(*net.TCPAddr).Port
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n-2))
		_ = a.Close()
		if err == nil {
			_ = b.Close()
			return n
		}
	}
	require.Fail(t, "no free ports")
	return 0
}

func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.conf")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	return path
}

func TestExitStatuses(t *testing.T) {
	for name, x := range map[string]struct {
		program string
		args    []string
		status  int
		stdout  string
		stderr  string
	}{
		"help":              {"skylark", []string{"broker", "-h"}, 0, "--configFile", ""},
		"help of a name":    {"mqnamesrv", []string{"-h"}, 0, "--namesrvAddr", ""},
		"no command":        {"skylark", nil, 0, "standalone", ""},
		"unknown command":   {"skylark", []string{"brocker"}, 1, "", `unknown command "brocker"`},
		"unknown flag":      {"mqbroker", []string{"-z"}, 1, "", "-z"},
		"missing file":      {"mqbroker", []string{"-c", "/nowhere/broker.conf"}, 255, "", "/nowhere/broker.conf"},
		"slave":             {"mqbroker", []string{"-c", "SLAVE"}, 253, "", "SLAVE"},
		"all settings":      {"mqbroker", []string{"-p"}, 0, "flushDiskType=ASYNC_FLUSH", ""},
		"of a name server":  {"mqnamesrv", []string{"-p"}, 0, "listenPort=9876", ""},
		"important":         {"mqbroker", []string{"-m", "-n", "10.0.0.1:9876"}, 0, "namesrvAddr=10.0.0.1:9876", ""},
		"version":           {"skylark", []string{"--version"}, 0, "skylark version " + describe(), ""},
		"version, short":    {"skylark", []string{"-v"}, 0, runtime.Version(), ""},
		"words are ignored": {"mqbroker", []string{"-p", "autoCreateTopicEnable=true"}, 0, "brokerName=", `"autoCreateTopicEnable=true" has no effect`},
	} {
		t.Run(name, func(t *testing.T) {
			args := x.args
			if len(args) == 2 && args[1] == "SLAVE" {
				args[1] = file(t, "brokerRole=SLAVE", "brokerId=1", "storePathRootDir="+t.TempDir())
			}
			status, stdout, stderr := start(t, x.program, args...).end(t)
			require.Equal(t, x.status, status, stderr)
			require.Contains(t, stdout, x.stdout)
			require.Contains(t, stderr, x.stderr)
			require.NotContains(t, stderr, "goroutine ", "a panic")
		})
	}
}

func TestImportantIsLess(t *testing.T) {
	_, all, _ := start(t, "mqbroker", "-p").end(t)
	_, some, _ := start(t, "mqbroker", "-m").end(t)
	require.Contains(t, all, "sendMessageThreadPoolNums=")
	require.NotContains(t, some, "sendMessageThreadPoolNums=")
	for line := range strings.Lines(some) {
		if strings.Contains(line, "=") {
			require.Contains(t, all, line)
		}
	}
}

func TestServersStartAndStop(t *testing.T) {
	nsPort, brokerPort, dir := port(t), port(t), t.TempDir()
	ns := start(t, "mqnamesrv", "-c", file(t, fmt.Sprint("listenPort=", nsPort), "unknownKey=1", "kvConfigPath="+dir+"/kvConfig.json"))
	require.Contains(t, ns.line(t, "load config properties file OK, "), "server.conf")
	require.Regexp(t, fmt.Sprintf(`^The Name Server boot success\. serializeType=JSON, address \S+:%d$`, nsPort), ns.line(t, "boot success"))

	conf := file(t, "brokerName=b-1", fmt.Sprint("listenPort=", brokerPort), "brokerIP1=127.0.0.1", "storePathRootDir="+dir+"/store",
		"namesrvAddr=127.0.0.1:1", "unknownKey=1", "flushIntervalCommitLog=abc")
	addr := fmt.Sprintf("127.0.0.1:%d", nsPort)
	b := start(t, "mqbroker", "-c", conf, "-n", addr)
	require.Equal(t, fmt.Sprintf("The broker[b-1, 127.0.0.1:%d] boot success. serializeType=JSON and name server is %s", brokerPort, addr), b.line(t, "boot success"))
	_, err := os.Stat(filepath.Join(dir, "store", "abort"))
	require.NoError(t, err)

	// A second one on the same ports, and one on the same folder.
	status, _, stderr := start(t, "mqnamesrv", "-c", file(t, fmt.Sprint("listenPort=", nsPort))).end(t)
	require.Equal(t, statusFailed, status, stderr)
	require.Contains(t, stderr, fmt.Sprint(nsPort))
	status, _, stderr = start(t, "mqbroker", "-c", file(t, fmt.Sprint("listenPort=", port(t)), "storePathRootDir="+dir+"/store")).end(t)
	require.NotZero(t, status)
	require.Contains(t, stderr, "lock")

	status, _, stderr = b.terminate(t)
	require.Equal(t, statusTerminated, status, stderr)
	require.Contains(t, stderr, "unknownKey")
	require.Contains(t, stderr, "flushIntervalCommitLog")
	_, err = os.Stat(filepath.Join(dir, "store", "abort"))
	require.ErrorIs(t, err, os.ErrNotExist, "SIGTERM is a clean stop")
	status, _, stderr = ns.terminate(t)
	require.Equal(t, statusTerminated, status, stderr)
}

func TestStandalone(t *testing.T) {
	nsPort, brokerPort := port(t), port(t)
	dir := filepath.Join(t.TempDir(), "d")
	for range 2 { // the second time on what the first left
		p := start(t, "skylark", "standalone", "--dir", dir, "--namesrvPort", fmt.Sprint(nsPort), "--port", fmt.Sprint(brokerPort))
		require.Equal(t, fmt.Sprintf("Skylark is ready. Clients connect to the name server at 127.0.0.1:%d; data is in %s. Ctrl-C stops it.", nsPort, dir), p.line(t, "is ready"))
		for _, n := range []int{nsPort, brokerPort, brokerPort - 2} {
			c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", n))
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		status, _, stderr := p.terminate(t)
		require.Zero(t, status, stderr)
		require.DirExists(t, filepath.Join(dir, "store", "commitlog"))
		require.NoFileExists(t, filepath.Join(dir, "store", "abort"))
	}
}
