package ops

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
)

func openServer(t *testing.T, p *store.Progress) *Server {
	t.Helper()
	s, err := Open(Options{Listen: "127.0.0.1:0", Logger: zerolog.Nop(), Version: "1.2.3", Progress: p})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// get returns status and body of a page.
func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + s.Addr() + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// metric returns the value of a series, which must be there.
func metric(t *testing.T, s *Server, series string) string {
	t.Helper()
	status, text := get(t, s, "/metrics")
	require.Equal(t, http.StatusOK, status, text)
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	require.Fail(t, "no such series", "%s in\n%s", series, text)
	return ""
}

// gateFS is the real disk; reads of the commit log wait for gate while it is set, writes fail with broken.
type gateFS struct {
	fsys.OS
	gate, reached chan struct{}
	broken        atomic.Bool
}

type gateFile struct {
	fsys.File
	fs  *gateFS
	log bool
}

func (g *gateFS) Open(path string, create bool) (fsys.File, error) {
	f, err := g.OS.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g, filepath.Base(filepath.Dir(path)) == "commitlog"}, nil
}

func (f *gateFile) ReadAt(b []byte, off int64) (int, error) {
	if f.log && f.fs.gate != nil {
		select {
		case f.fs.reached <- struct{}{}:
		default:
		}
		<-f.fs.gate
	}
	return f.File.ReadAt(b, off)
}

func (f *gateFile) WriteAt(b []byte, off int64) (int, error) {
	if f.log && f.fs.broken.Load() {
		return 0, syscall.EIO
	}
	return f.File.WriteAt(b, off)
}

func (f *gateFile) WriteVec(b [][]byte, off int64) error {
	if f.log && f.fs.broken.Load() {
		return syscall.EIO
	}
	return f.File.WriteVec(b, off)
}

func TestOffUnlessConfigured(t *testing.T) {
	s, err := Open(Options{})
	require.NoError(t, err)
	require.Nil(t, s)
	s.SetBroker(nil)
	s.SetNamesrv(nil)
	s.Serving()
	s.Stopping()
	require.NoError(t, s.Close())
}

func TestTakenPortIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = Open(Options{Listen: l.Addr().String(), Logger: zerolog.Nop()})
	require.ErrorContains(t, err, "skylarkHttpListen="+l.Addr().String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	_, err = Open(Options{Listen: "nonsense", Logger: zerolog.Nop()})
	require.ErrorContains(t, err, "skylarkHttpListen=nonsense")
}

// TestReadyFollowsTheStart: a broker that recovers for long says how far it is, and is alive.
func TestReadyFollowsTheStart(t *testing.T) {
	first := brokertest.Start(t)
	c := first.Dial(false)
	for range 20 {
		require.EqualValues(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", strings.Repeat("x", 1000))).Code)
	}
	require.NoError(t, first.Close())

	p := &store.Progress{}
	s := openServer(t, p)
	status, body := get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.JSONEq(t, `{"state":"starting"}`, body)

	o := first.Options
	disk := &gateFS{gate: make(chan struct{}), reached: make(chan struct{}, 1)}
	o.Store.FS, o.Store.Progress = disk, p
	opened := make(chan *broker.Broker, 1)
	go func() {
		b, err := broker.Open(o)
		if err != nil {
			t.Error(err)
		}
		opened <- b
	}()
	<-disk.reached
	status, body = get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	var a map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &a))
	for _, key := range []string{"done", "total", "percent", "secondsLeft"} {
		require.IsType(t, 0.0, a[key], body)
	}
	require.Equal(t, "recovering", a["state"])
	require.Equal(t, "scan", a["step"])
	require.Positive(t, a["total"])
	total, err := strconv.ParseFloat(metric(t, s, `skylark_recovery_total{step="scan"}`), 64)
	require.NoError(t, err)
	require.Equal(t, total, a["total"])
	require.Equal(t, "0", metric(t, s, "skylark_ready"))
	status, _ = get(t, s, "/healthz")
	require.Equal(t, http.StatusOK, status)

	close(disk.gate)
	b := <-opened
	require.NotNil(t, b)
	s.SetBroker(b)
	s.Serving()
	status, body = get(t, s, "/readyz")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"state":"serving"}`, body)
	require.Equal(t, "1", metric(t, s, "skylark_ready"))
	require.NotEqual(t, "0", metric(t, s, "skylark_recovery_seconds"))

	s.Stopping()
	status, body = get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.JSONEq(t, `{"state":"stopping"}`, body)
	require.NoError(t, b.Close())
	status, _ = get(t, s, "/metrics") // of a broker that is closed
	require.Equal(t, http.StatusOK, status)
	status, _ = get(t, s, "/healthz")
	require.Equal(t, http.StatusOK, status)
}

func TestFullDiskStaysReady(t *testing.T) {
	var full atomic.Bool
	b := brokertest.Start(t, func(o *broker.Options) {
		o.Store.DiskUsage = func(string) (fsys.Disk, error) {
			if full.Load() {
				return fsys.Disk{Total: 100, Free: 1, Usable: 1}, nil
			}
			return fsys.Disk{Total: 100, Free: 99, Usable: 99}, nil
		}
		o.Store.MaxMessageSize = 1000
	})
	s := openServer(t, nil)
	s.SetBroker(b.Broker)
	s.Serving()
	c := b.Dial(false)
	require.EqualValues(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", "x")).Code)
	require.NotEqualValues(t, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "", strings.Repeat("x", 1001))).Code)
	require.NotEqualValues(t, protocol.Success, c.Call(brokertest.SendRequest("T", 99, "", "x")).Code)
	require.NotEqualValues(t, protocol.Success, c.Call(&protocol.Command{Code: 31999, Version: protocol.Version}).Code)
	require.Equal(t, "1", metric(t, s, "skylark_commitlog_append_seconds_count"))
	require.Equal(t, "0", metric(t, s, `skylark_refusing{reason="disk_full"}`))

	full.Store(true)
	c.Call(&protocol.Command{Code: protocol.DeleteExpiredCommitLog, Version: protocol.Version}) // has it look at the disks now
	require.Eventually(t, func() bool {
		return c.Call(brokertest.SendRequest("T", 0, "", "x")).Code != protocol.Success
	}, 10*time.Second, time.Millisecond)
	status, body := get(t, s, "/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `{"state":"serving","refusal":"the disk of `)
	require.Equal(t, "1", metric(t, s, `skylark_refusing{reason="disk_full"}`))
	require.Equal(t, "1", metric(t, s, `skylark_messages_refused_total{reason="disk_full"}`))
	require.Equal(t, "1", metric(t, s, `skylark_messages_refused_total{reason="too_large"}`))
	require.Equal(t, "1", metric(t, s, `skylark_messages_refused_total{reason="illegal"}`))
	require.Equal(t, "1", metric(t, s, `skylark_requests_refused_total{reason="unknown_code",server="broker"}`))
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "skylark_commitlog_max_offset", "skylark_commitlog_fsync_seconds_count"} {
		metric(t, s, name)
	}
}

func TestDiskErrorIsNeitherReadyNorHealthy(t *testing.T) {
	disk := &gateFS{}
	b := brokertest.Start(t)
	require.NoError(t, b.Close())
	o := b.Options
	o.Store.FS = disk
	broken, err := broker.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.ErrorIs(t, broken.Close(), store.ErrReadOnly) })
	s := openServer(t, nil)
	s.SetBroker(broken)
	s.Serving()
	disk.broken.Store(true)
	require.NotEqualValues(t, protocol.Success, b.Dial(false).Call(brokertest.SendRequest("T", 0, "", "x")).Code)
	for _, path := range []string{"/readyz", "/healthz"} {
		status, body := get(t, s, path)
		require.Equal(t, http.StatusServiceUnavailable, status, path)
		require.Contains(t, body, `{"state":"failed","reason":"the message store refuses writes after a disk error: `)
	}
	require.Equal(t, "1", metric(t, s, `skylark_refusing{reason="disk_error"}`))
	require.Equal(t, "1", metric(t, s, `skylark_messages_refused_total{reason="disk_error"}`))
}

func TestNameServer(t *testing.T) {
	o := namesrv.DefaultOptions()
	o.Logger, o.BindAddress, o.KVConfigPath = zerolog.Nop(), "127.0.0.1", filepath.Join(t.TempDir(), "kvConfig.json")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.ListenPort = int32(l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, l.Close())
	n, err := namesrv.Open(o)
	require.NoError(t, err)
	s := openServer(t, nil)
	s.SetNamesrv(n)
	s.Serving()
	require.Equal(t, "0", metric(t, s, "skylark_namesrv_brokers"))
	require.NoError(t, n.Close())
	require.Equal(t, "0", metric(t, s, "skylark_namesrv_brokers"))
}

// TestHostileClients: what they send is bounded, and they do not hold up a stop.
func TestHostileClients(t *testing.T) {
	s := openServer(t, nil)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		return c
	}
	ask := func(text string) string {
		c := dial()
		_, _ = io.WriteString(c, text) // it may be refused before its end
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line
	}
	require.Contains(t, ask("GET /metrics HTTP/1.1\r\nHost: "+s.Addr()+"\r\nX: "+strings.Repeat("y", 2*headerBytes)+"\r\n\r\n"), " 431 ")
	require.Contains(t, ask("POST /metrics HTTP/1.1\r\nHost: "+s.Addr()+"\r\nContent-Length: 99999999999\r\n\r\n"), " 405 ")
	require.Contains(t, ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n"), " 403 ", "a name that resolves to us")
	require.Contains(t, ask("GET /healthz HTTP/1.1\r\nHost: localhost:1\r\n\r\n"), " 200 ")
	require.Contains(t, ask("GET /healthz HTTP/1.1\r\nHost: [::1]:1\r\n\r\n"), " 200 ")
	require.Contains(t, ask("\x16\x03\x01 this is TLS\r\n\r\n"), " 400 ")
	require.Contains(t, ask("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"), " 307 ")
	status, _ := get(t, s, "/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, status)

	for range maxConns + 50 { // each holds a connection and says only a part
		_, _ = io.WriteString(dial(), "GET /healthz HTTP/1.1\r\n")
	}
	_, err := dial().Read(make([]byte, 1))
	require.Error(t, err, "one too many is closed")
	require.LessOrEqual(t, s.listener.open.Load(), int64(maxConns))
	require.NoError(t, s.Close())
	require.Zero(t, s.listener.open.Load())
	_, err = net.Dial("tcp", s.Addr())
	require.Error(t, err)
}

// TestCloseEndsAProfile that would run for a minute.
func TestCloseEndsAProfile(t *testing.T) {
	s := openServer(t, nil)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := http.Get("http://" + s.Addr() + "/debug/pprof/trace?seconds=60"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.running == 1
	}, 20*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	<-answered
}

func TestPprofOnlyOnLoopback(t *testing.T) {
	s, err := Open(Options{Listen: "0.0.0.0:0", Logger: zerolog.Nop()})
	require.NoError(t, err)
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/debug/pprof/": http.StatusNotFound, "/debug/pprof/heap": http.StatusNotFound} {
		resp, err := http.Get("http://127.0.0.1:" + port + path)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, want, resp.StatusCode, path)
	}
}
