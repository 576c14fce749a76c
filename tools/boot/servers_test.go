package boot

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stopLimit is how long a clean stop may take; a Java name server takes 6 s.
const stopLimit = 5 * time.Second

// stop sends the signal and requires a clean end in time.
func stop(t *testing.T, p *program, sig syscall.Signal, want int) {
	t.Helper()
	begin := time.Now()
	require.NoError(t, p.cmd.Process.Signal(sig))
	status, _, stderr := p.end(t)
	require.Less(t, time.Since(begin), stopLimit)
	require.Equal(t, want, status, stderr)
	require.NotContains(t, stderr, "goroutine ", "a panic")
}

// startNames starts a name server and waits for its line.
func startNames(t *testing.T, lines ...string) (p *program, boot string) {
	t.Helper()
	p = start(t, "mqnamesrv", "-c", file(t, append(lines, "kvConfigPath="+filepath.Join(t.TempDir(), "kvConfig.json"))...))
	return p, p.line(t, "boot success")
}

// startStore starts a broker on a store folder, without a name server, and waits for its line.
func startStore(t *testing.T, store string, port int) (p *program, boot string) {
	t.Helper()
	p = start(t, "mqbroker", "-c", storeFile(t, store, port))
	return p, p.line(t, "boot success")
}

func storeFile(t *testing.T, store string, port int) string {
	t.Helper()
	return file(t, "brokerName=b-1", "brokerIP1=127.0.0.1", "bindAddress=127.0.0.1", fmt.Sprint("listenPort=", port), "storePathRootDir="+store)
}

// hold listens on a port until the test ends.
func hold(t *testing.T, port int) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
}

// The lines are Java's, byte for byte (measured with 5.5.0): its address is bindAddress as configured.
func TestBootLinesNameTheAddress(t *testing.T) {
	n := port(t)
	p, boot := startNames(t, fmt.Sprint("listenPort=", n))
	require.Equal(t, fmt.Sprintf("The Name Server boot success. serializeType=JSON, address 0.0.0.0:%d", n), boot)
	stop(t, p, syscall.SIGTERM, statusTerminated)

	n = port(t)
	p, boot = startNames(t, fmt.Sprint("listenPort=", n), "bindAddress=127.0.0.1")
	require.Equal(t, fmt.Sprintf("The Name Server boot success. serializeType=JSON, address 127.0.0.1:%d", n), boot)
	stop(t, p, syscall.SIGTERM, statusTerminated)

	n = port(t)
	p, boot = startStore(t, filepath.Join(t.TempDir(), "store"), n)
	require.Equal(t, fmt.Sprintf("The broker[b-1, 127.0.0.1:%d] boot success. serializeType=JSON", n), boot, "no name server, no words about it")
	stop(t, p, syscall.SIGTERM, statusTerminated)
}

// The subcommand and Java's name are the same program.
func TestSubcommandsStart(t *testing.T) {
	n, dir := port(t), t.TempDir()
	conf := file(t, fmt.Sprint("listenPort=", n), "bindAddress=127.0.0.1", "kvConfigPath="+filepath.Join(dir, "kvConfig.json"))
	ns := start(t, "skylark", "namesrv", "-c", conf)
	require.Equal(t, "load config properties file OK, "+conf, ns.line(t, "load config"))
	ns.line(t, "The Name Server boot success.")
	b := start(t, "skylark", "broker", "-c", storeFile(t, filepath.Join(dir, "store"), port(t)), "-n", fmt.Sprint("127.0.0.1:", n))
	require.True(t, strings.HasSuffix(b.line(t, "boot success"), fmt.Sprintf(" and name server is 127.0.0.1:%d", n)))
	stop(t, b, syscall.SIGTERM, statusTerminated)
	stop(t, ns, syscall.SIGTERM, statusTerminated)
}

func TestUnreadableValuesDoNotKeepABrokerFromStarting(t *testing.T) {
	dir, n := t.TempDir(), port(t)
	conf := file(t, "brokerName=b-1", "brokerIP1=127.0.0.1", fmt.Sprint("listenPort=", n), "storePathRootDir="+dir,
		"unknownKey=1", "flushIntervalCommitLog=abc")
	p := start(t, "mqbroker", "-c", conf)
	p.line(t, "boot success")
	_, _, stderr := p.terminate(t)
	require.Contains(t, lineWith(t, stderr, `"unknownKey"`), conf)
	require.Contains(t, lineWith(t, stderr, `flushIntervalCommitLog="abc"`), conf)
}

// Keys that nothing heeds yet are named when they would change something, those that need not be are explained.
func TestKeysWithoutEffectAreNamed(t *testing.T) {
	conf := file(t, "brokerIP1=127.0.0.1", fmt.Sprint("listenPort=", port(t)), "storePathRootDir="+t.TempDir(), "accountStatsEnable=false", "enableMultiDispatch=false",
		"transientStorePoolEnable=true", "storeType=defaultRocksDB", "scanNotActiveBrokerInterval=7")
	p := start(t, "mqbroker", "-c", conf)
	p.line(t, "boot success")
	_, _, stderr := p.terminate(t)
	require.Contains(t, lineWith(t, stderr, "accountStatsEnable"), "WRN option accountStatsEnable is accepted and not built yet: accountStatsEnable=false changes nothing")
	require.Contains(t, lineWith(t, stderr, "transientStorePoolEnable"), "INF option transientStorePoolEnable is accepted and has no use here: every append goes to the page cache at once")
	require.Contains(t, lineWith(t, stderr, "defaultRocksDB"), "WRN queues are kept in files")
	require.NotContains(t, stderr, "enableMultiDispatch", "its default")
	require.NotContains(t, stderr, "scanNotActiveBrokerInterval", "of the other server")
}

func TestBindFailures(t *testing.T) {
	for name, held := range map[string]int{"port": 0, "second listener": 2} {
		t.Run("broker "+name, func(t *testing.T) {
			n, store := port(t), filepath.Join(t.TempDir(), "store")
			hold(t, n-held)
			status, stdout, stderr := start(t, "mqbroker", "-c", storeFile(t, store, n)).end(t)
			require.Equal(t, statusFailed, status, stderr)
			require.NotContains(t, stdout, "boot success")
			require.Contains(t, stderr, fmt.Sprint("127.0.0.1:", n-held))
			require.Contains(t, stderr, "address already in use")
			require.NoFileExists(t, filepath.Join(store, "abort"), "nothing was left unclean")
		})
	}
	t.Run("name server", func(t *testing.T) {
		n := port(t)
		hold(t, n)
		status, stdout, stderr := start(t, "mqnamesrv", "-c", file(t, fmt.Sprint("listenPort=", n), "bindAddress=127.0.0.1",
			"kvConfigPath="+filepath.Join(t.TempDir(), "kvConfig.json"))).end(t)
		require.Equal(t, statusFailed, status, stderr)
		require.NotContains(t, stdout, "boot success")
		require.Contains(t, stderr, fmt.Sprintf("127.0.0.1:%d]: bind: address already in use", n))
	})
	for name, held := range map[string]string{"name server": "--namesrvPort", "broker": "--port"} {
		t.Run("standalone "+name, func(t *testing.T) {
			ports := map[string]int{"--namesrvPort": port(t), "--port": port(t)}
			hold(t, ports[held])
			dir := filepath.Join(t.TempDir(), "d")
			args := []string{"standalone", "--dir", dir}
			for flag, n := range ports {
				args = append(args, flag, fmt.Sprint(n))
			}
			status, stdout, stderr := start(t, "skylark", args...).end(t)
			require.Equal(t, statusFailed, status, stderr)
			require.NotContains(t, stdout, "is ready")
			require.Contains(t, stderr, fmt.Sprint(ports[held]))
			require.NoFileExists(t, filepath.Join(dir, "store", "abort"))
		})
	}
}

func TestSecondBrokerOnAStore(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	first, _ := startStore(t, store, port(t))
	status, stdout, stderr := start(t, "mqbroker", "-c", storeFile(t, store, port(t))).end(t)
	require.Equal(t, statusFailed, status, stderr)
	require.NotContains(t, stdout, "boot success")
	require.Contains(t, stderr, fmt.Sprintf("cannot lock %s: another process holds the lock", filepath.Join(store, "lock")))
	require.FileExists(t, filepath.Join(store, "abort"), "the refused one left the first one's mark alone")
	stop(t, first, syscall.SIGTERM, statusTerminated)
	require.NoFileExists(t, filepath.Join(store, "abort"))

	third, _ := startStore(t, store, port(t)) // the lock went with its holder
	stop(t, third, syscall.SIGTERM, statusTerminated)
}

// A killed broker leaves its mark, the next one starts over it and stops cleanly.
func TestAbortStaysAfterAKill(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	p, _ := startStore(t, store, port(t))
	require.NoError(t, p.cmd.Process.Kill())
	p.end(t)
	require.FileExists(t, filepath.Join(store, "abort"))
	p, _ = startStore(t, store, port(t))
	stop(t, p, syscall.SIGTERM, statusTerminated)
	require.NoFileExists(t, filepath.Join(store, "abort"))
}

func TestInterruptAndHangUpStopCleanly(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		store := filepath.Join(t.TempDir(), "store")
		p, _ := startStore(t, store, port(t))
		require.NoError(t, p.cmd.Process.Signal(sig))
		_, _, stderr := p.end(t)
		require.NoFileExists(t, filepath.Join(store, "abort"), "%v: %s", sig, stderr)
	}
}

func TestStatusOfASignal(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGHUP: 129} {
		p, _ := startNames(t, fmt.Sprint("listenPort=", port(t)), "bindAddress=127.0.0.1")
		stop(t, p, sig, want)
	}
}

// TestBrokenConfigFileAtTheStart: with a good backup the broker starts and says so, with none it does not.
func TestBrokenConfigFileAtTheStart(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	p, _ := startStore(t, store, port(t))
	stop(t, p, syscall.SIGTERM, statusTerminated)
	path := filepath.Join(store, "config", "topics.json")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".bak", good, 0o644))
	require.NoError(t, os.WriteFile(path, good[:len(good)/2], 0o644))
	p, _ = startStore(t, store, port(t))
	_, _, stderr := p.terminate(t)
	line := lineWith(t, stderr, "is broken, its backup is used")
	require.Contains(t, line, "WRN")
	require.Contains(t, line, path)
	require.Contains(t, line, filepath.Join(store, "skylark", "broken"))

	for _, name := range []string{path, path + ".bak"} {
		require.NoError(t, os.WriteFile(name, []byte("x"), 0o644))
	}
	status, stdout, stderr := start(t, "mqbroker", "-c", storeFile(t, store, port(t))).end(t)
	require.Equal(t, statusFailed, status)
	require.NotContains(t, stdout, "boot success")
	require.Contains(t, stderr, "cannot use "+path+": ")
	require.Contains(t, stderr, "move both away to start without")
	require.NoFileExists(t, filepath.Join(store, "abort"), "nothing was left unclean")
}
