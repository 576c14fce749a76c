package boot

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func page(t *testing.T, port int, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// TestOperatorsAreAnswered by each kind of server, and the listener ends with it though a connection is open.
func TestOperatorsAreAnswered(t *testing.T) {
	http1, http2, http3, dir := port(t), port(t), port(t), t.TempDir()
	listen := func(n int) string { return fmt.Sprint("skylarkHttpListen=127.0.0.1:", n) }
	ns, _ := startNames(t, fmt.Sprint("listenPort=", port(t)), listen(http1))
	b := start(t, "mqbroker", "-c", file(t, "brokerName=b-1", "brokerIP1=127.0.0.1", fmt.Sprint("listenPort=", port(t)),
		"storePathRootDir="+filepath.Join(dir, "store"), listen(http2)))
	b.line(t, "boot success")
	both := start(t, "skylark", "standalone", "--dir", filepath.Join(dir, "both"), "--namesrvPort", fmt.Sprint(port(t)), "--port", fmt.Sprint(port(t)),
		"-c", file(t, listen(http3)))
	both.line(t, "is ready")
	for n, want := range map[int][]string{
		http1: {"skylark_namesrv_brokers 0", `skylark_requests_refused_total{reason="panic",server="namesrv"} 0`},
		http2: {`skylark_refusing{reason="disk_error"} 0`, "skylark_commitlog_max_offset 0", `version="` + Version + `"} 1`},
		http3: {"skylark_namesrv_brokers 1", "skylark_commitlog_max_offset 0", "go_goroutines "},
	} {
		for _, path := range []string{"/healthz", "/readyz"} {
			status, body := page(t, n, path)
			require.Equal(t, http.StatusOK, status)
			require.JSONEq(t, `{"state":"serving"}`, body)
		}
		_, text := page(t, n, "/metrics")
		for _, series := range want {
			require.Contains(t, text, series)
		}
	}
	stop(t, ns, syscall.SIGTERM, statusTerminated)
	stop(t, b, syscall.SIGTERM, statusTerminated)
	stop(t, both, syscall.SIGTERM, 0)
}

// TestOperatorsPortIsTaken: the server does not start, and has touched nothing.
func TestOperatorsPortIsTaken(t *testing.T) {
	taken, store := port(t), filepath.Join(t.TempDir(), "store")
	hold(t, taken)
	listen := fmt.Sprint("skylarkHttpListen=127.0.0.1:", taken)
	for _, x := range []*program{
		start(t, "mqbroker", "-c", file(t, "brokerIP1=127.0.0.1", fmt.Sprint("listenPort=", port(t)), "storePathRootDir="+store, listen)),
		start(t, "mqnamesrv", "-c", file(t, fmt.Sprint("listenPort=", port(t)), "kvConfigPath="+filepath.Join(store, "kvConfig.json"), listen)),
	} {
		status, stdout, stderr := x.end(t)
		require.Equal(t, statusFailed, status, stderr)
		require.NotContains(t, stdout, "boot success")
		require.Contains(t, stderr, listen)
		require.Contains(t, stderr, "server.conf")
		require.Contains(t, stderr, "address already in use")
	}
	require.NoDirExists(t, store)
}

// TestNameServersAreFoundByHTTP: a broker finds its name server where that answers operators, and is found there.
func TestNameServersAreFoundByHTTP(t *testing.T) {
	web, own, dir := port(t), port(t), t.TempDir()
	ns, _ := startNames(t, fmt.Sprint("listenPort=", own), fmt.Sprint("skylarkHttpListen=127.0.0.1:", web))
	for path, want := range map[string]string{"/rocketmq/nsaddr": fmt.Sprintf("127.0.0.1:%d\n", own), "/rocketmq/nsaddr-unit?nofix=1": fmt.Sprintf("127.0.0.1:%d\n", own)} {
		status, body := page(t, web, path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, want, body)
	}
	status, _ := page(t, web, "/rocketmq/other")
	require.Equal(t, http.StatusNotFound, status)
	b := start(t, "mqbroker", "-c", file(t, "brokerName=b-1", "brokerIP1=127.0.0.1", fmt.Sprint("listenPort=", port(t)), "storePathRootDir="+filepath.Join(dir, "store"),
		"fetchNamesrvAddrByAddressServer=true", fmt.Sprint("rmqAddressServerDomain=127.0.0.1:", web), fmt.Sprint("skylarkHttpListen=127.0.0.1:", port(t))))
	b.line(t, "boot success")
	require.Eventually(t, func() bool {
		_, text := page(t, web, "/metrics")
		return strings.Contains(text, "skylark_namesrv_brokers 1\n")
	}, 30*time.Second, 20*time.Millisecond)
	stop(t, b, syscall.SIGTERM, statusTerminated)
	stop(t, ns, syscall.SIGTERM, statusTerminated)

	ns, _ = startNames(t, fmt.Sprint("listenPort=", own), fmt.Sprint("skylarkHttpListen=127.0.0.1:", web),
		"skylarkNameServers=10.0.0.1:9876;10.0.0.2:9876", "rmqAddressServerSubGroup=blue")
	_, body := page(t, web, "/rocketmq/blue")
	require.Equal(t, "10.0.0.1:9876;10.0.0.2:9876\n", body)
	stop(t, ns, syscall.SIGTERM, statusTerminated)
}
