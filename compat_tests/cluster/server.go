package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 90 * time.Second // a JVM on a busy two-core machine is slow
	stopLimit  = 60 * time.Second
	logTail    = 16 << 10 // bytes of output kept for Log
)

// Options say how a server is started. Zero values have sensible meanings.
type Options struct {
	Namesrv     []string // NameServer addresses of a broker
	Dir         string   // home, store and logs; empty: a temp folder of the test
	Name        string   // brokerName; default "broker-a"
	ClusterName string   // brokerClusterName; default "DefaultCluster"
	BrokerID    int      // brokerId; 0 is the master
	Port        int      // listenPort; 0: a free one
	ExtraConf   []string // "key=value" lines, after (so over) the harness's own
	Version     string   // Java servers only; default 5.5.0
	Env         []string // added to the environment of the process
	ExtraArgs   []string // appended to the command line
	JavaOpts    []string // Java servers only: added JVM options
	// Unlisted says not to wait until the NameServers list the broker. Java's often misses its first
	// registration, because its client has not yet found the NameServer alive, and comes again 10 s later.
	Unlisted bool
}

// Server is a NameServer or broker process. It is used by one goroutine at a
// time, except Log, Addr, Port, Dir and PID.
type Server struct {
	kind string // "namesrv" or "broker"
	java bool
	opts Options
	conf string
	argv []string
	env  []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	out  *tail
	done chan struct{} // closed when the current process is gone
	err  error         // of cmd.Wait
}

// StartNamesrv starts the NameServer under test: ours, or Java's when
// COMPAT_PEER=java.
func StartNamesrv(t TB, o Options) *Server {
	t.Helper()
	if PeerIsJava() {
		return StartJavaNamesrv(t, o)
	}
	s := prepareServer(t, "namesrv", o)
	s.argv = append([]string{Skylark(t), "namesrv", "-c", s.conf}, o.ExtraArgs...)
	s.launch(t)
	return s
}

// StartBroker starts the broker under test, ours or Java's when
// COMPAT_PEER=java, and returns when every NameServer of o.Namesrv lists it.
func StartBroker(t TB, o Options) *Server {
	t.Helper()
	if PeerIsJava() {
		return StartJavaBroker(t, o)
	}
	s := prepareServer(t, "broker", o)
	s.argv = append([]string{Skylark(t), "broker", "-c", s.conf}, o.ExtraArgs...)
	s.launch(t)
	return s
}

// StartJavaNamesrv starts Java's NameServer.
func StartJavaNamesrv(t TB, o Options) *Server {
	t.Helper()
	return startJava(t, "namesrv", o, "org.apache.rocketmq.namesrv.NamesrvStartup", "128m")
}

// StartJavaBroker starts Java's broker and returns when every NameServer of
// o.Namesrv lists it.
func StartJavaBroker(t TB, o Options) *Server {
	t.Helper()
	return startJava(t, "broker", o, "org.apache.rocketmq.broker.BrokerStartup", "512m")
}

func startJava(t TB, kind string, o Options, class, heap string) *Server {
	t.Helper()
	if o.Version == "" {
		o.Version = ServerVersion
	}
	s := prepareServer(t, kind, o)
	s.java = true
	lib := javaLib(t, o.Version)
	if o.Version == ServerV4 {
		writeLogback(t, s.opts.Dir, kind)
	}
	s.argv = []string{javaBin(t), "-server", "-Xms" + heap, "-Xmx" + heap,
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxDirectMemorySize=512m",
		"--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED",
		"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
		"-Drocketmq.home.dir=" + s.opts.Dir, "-Duser.home=" + s.opts.Dir}
	s.argv = append(s.argv, o.JavaOpts...)
	s.argv = append(s.argv, "-cp", lib+"/*", class, "-c", s.conf)
	s.argv = append(s.argv, o.ExtraArgs...)
	s.env = append(s.env, "ROCKETMQ_HOME="+s.opts.Dir)
	s.launch(t)
	return s
}

// writeLogback writes the log configuration without which a 4.x server does not start; later ones have
// theirs in the jar.
func writeLogback(t TB, dir, kind string) {
	t.Helper()
	text := `<configuration><appender name="file" class="ch.qos.logback.core.FileAppender">` +
		`<file>` + filepath.Join(dir, "logs", "rocketmqlogs", kind+".log") + `</file>` +
		`<encoder><pattern>%d %p %t - %m%n</pattern></encoder></appender>` +
		`<root level="INFO"><appender-ref ref="file"/></root></configuration>`
	err := os.MkdirAll(filepath.Join(dir, "conf"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "conf", "logback_"+kind+".xml"), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatalf("cannot write the log configuration: %v", err)
	}
}

// prepareServer fills in defaults and writes the configuration file.
func prepareServer(t TB, kind string, o Options) *Server {
	t.Helper()
	SkipIfOff(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Port == 0 {
		o.Port = FreePort(t)
	}
	if o.Name == "" {
		o.Name = "broker-a"
	}
	if o.ClusterName == "" {
		o.ClusterName = "DefaultCluster"
	}
	s := &Server{kind: kind, opts: o, env: o.Env}
	s.conf = filepath.Join(o.Dir, fmt.Sprintf("%s-%d.conf", kind, o.Port))
	lines := []string{fmt.Sprintf("listenPort=%d", o.Port), "bindAddress=127.0.0.1"}
	if kind == "broker" {
		store := filepath.Join(o.Dir, "store")
		lines = append(lines,
			"brokerClusterName="+o.ClusterName, "brokerName="+o.Name, fmt.Sprintf("brokerId=%d", o.BrokerID),
			"brokerIP1=127.0.0.1", "brokerIP2=127.0.0.1", "namesrvAddr="+strings.Join(o.Namesrv, ";"),
			"storePathRootDir="+store, "storePathCommitLog="+filepath.Join(store, "commitlog"),
			"mappedFileSizeCommitLog=67108864", "autoCreateTopicEnable=true",
			// The defaults (200 ms and 1 s) refuse sends when two busy cores
			// let a thread wait; these tests are about meaning, not speed.
			"waitTimeMillsInSendQueue=5000", "osPageCacheBusyTimeOutMills=10000")
	}
	lines = append(lines, o.ExtraConf...)
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		t.Fatalf("cannot create %s: %v", o.Dir, err)
	}
	if err := os.WriteFile(s.conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatalf("cannot write %s: %v", s.conf, err)
	}
	t.Cleanup(func() {
		s.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s log:\n%s", s, s.Log())
		}
	})
	return s
}

// launch starts the process and waits until it serves.
func (s *Server) launch(t TB) {
	t.Helper()
	begin := time.Now()
	s.Spawn(t)
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	if err := s.awaitReady(done); err != nil {
		s.end(syscall.SIGKILL)
		t.Fatalf("cannot start %s: %v\n%s", s, err, s.Log())
	}
	t.Logf("%s started in %.1f s", s, time.Since(begin).Seconds())
}

// Spawn starts the process, which must not run, and does not wait until it serves.
func (s *Server) Spawn(t TB) {
	t.Helper()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Dir = s.opts.Dir
	cmd.Env = append(os.Environ(), s.env...)
	dieWithParent(cmd)
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", s, err)
	}
	done := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.out, s.done = cmd, out, done
	s.mu.Unlock()
	go func() {
		err := cmd.Wait()
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		close(done)
	}()
}

// awaitReady waits until the port accepts and, for a broker, its NameServers
// list its address.
func (s *Server) awaitReady(done <-chan struct{}) error {
	deadline := time.Now().Add(startLimit)
	var last error
	for time.Now().Before(deadline) {
		if last = s.probe(); last == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("the process ended at start")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("not ready within %s: %w", startLimit, last)
}

func (s *Server) probe() error {
	if s.kind == "namesrv" {
		_, err := Call(s.Addr(), reqClusterInfo, nil, nil)
		return err
	}
	if err := dialable(s.Addr()); err != nil {
		return err
	}
	if s.opts.Unlisted {
		return nil
	}
	for _, ns := range s.opts.Namesrv {
		for _, one := range strings.Split(ns, ";") {
			resp, err := Call(one, reqClusterInfo, nil, nil)
			if err != nil {
				return err
			}
			if !bytes.Contains(resp.Body, []byte(`"`+s.Addr()+`"`)) {
				return fmt.Errorf("namesrv %s does not list broker %s yet", one, s.Addr())
			}
		}
	}
	return nil
}

// Addr returns host:port of the server.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.opts.Port) }

// Port returns the listen port; the broker's fast port is two below it and its
// HA port one above.
func (s *Server) Port() int { return s.opts.Port }

// Dir returns the server's folder; a broker's store is Dir()/store.
func (s *Server) Dir() string { return s.opts.Dir }

// Name returns the broker name.
func (s *Server) Name() string { return s.opts.Name }

// ConfFile returns the path of the configuration file.
func (s *Server) ConfFile() string { return s.conf }

// Java tells whether this is a Java process.
func (s *Server) Java() bool { return s.java }

// String names the server in messages.
func (s *Server) String() string {
	flavour := "skylark"
	if s.java {
		flavour = "Java " + s.opts.Version
	}
	return fmt.Sprintf("%s %s %s", flavour, s.kind, s.Addr())
}

// PID returns the process id of the current (or last) process.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

// Log returns the last output of the server; for Java also the tail of its log
// files, because Java logs to files.
func (s *Server) Log() string {
	s.mu.Lock()
	out := s.out
	s.mu.Unlock()
	text := ""
	if out != nil {
		text = out.String()
	}
	if s.java {
		logs, _ := filepath.Glob(filepath.Join(s.opts.Dir, "logs", "rocketmqlogs", s.kind+".log"))
		for _, f := range logs {
			text += "\n-- " + f + "\n" + fileTail(f, logTail/2)
		}
	}
	return text
}

// Stop sends SIGTERM, waits for the end and checks the exit code: 0, or 143,
// the one of a JVM (and of ours) after SIGTERM.
func (s *Server) Stop(t TB) {
	t.Helper()
	begin := time.Now()
	err := s.end(syscall.SIGTERM)
	t.Logf("%s stopped in %.1f s", s, time.Since(begin).Seconds())
	if err != nil && err.Error() != "exit status 143" {
		t.Fatalf("%s did not stop cleanly: %v\n%s", s, err, s.Log())
	}
}

// Kill sends SIGKILL and waits for the end.
func (s *Server) Kill(t TB) {
	t.Helper()
	s.end(syscall.SIGKILL)
}

// Restart stops the server cleanly if it runs, and starts it again on the same
// port, folder and configuration file.
func (s *Server) Restart(t TB) {
	t.Helper()
	if s.Running() {
		s.Stop(t)
	}
	s.launch(t)
}

// Running tells whether the process is alive.
func (s *Server) Running() bool {
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	if done == nil {
		return false
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// end signals the process and waits; after stopLimit it kills it and says so.
func (s *Server) end(sig syscall.Signal) error {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(sig) // fails only when it is gone already
	select {
	case <-done:
	case <-time.After(stopLimit):
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("still running %s after %s, killed", stopLimit, sig)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements io.Writer.
func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if len(l.buf) > 2*logTail {
		l.buf = append([]byte(nil), l.buf[len(l.buf)-logTail:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// fileTail returns the last n bytes of a file, empty when it cannot be read.
func fileTail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}
