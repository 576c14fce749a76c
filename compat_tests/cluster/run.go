package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Run is a driver process. Its events are read in order by Next, Until and
// Wait; these three belong to one goroutine.
type Run struct {
	name  string
	home  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	errs  *tail

	mu     sync.Mutex
	events []Event
	bad    string        // first line that was not an event
	change chan struct{} // closed and replaced at each change
	ended  bool
	err    error // of the process

	next int // index of the first event not yet read
}

// startRun starts a driver; the process is killed when t ends.
func startRun(t TB, name string, argv []string, home string) *Run {
	t.Helper()
	r := &Run{name: name + " " + driverWords(argv), home: home, errs: &tail{}, change: make(chan struct{})}
	r.cmd = exec.Command(argv[0], argv[1:]...)
	r.cmd.Dir = home
	r.cmd.Env = append(os.Environ(), "HOME="+home)
	r.cmd.Stderr = r.errs
	dieWithParent(r.cmd)
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("cannot start driver %s: %v", r.name, err)
	}
	r.stdin = stdin
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("cannot start driver %s: %v", r.name, err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("cannot start driver %s: %v", r.name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.read(stdout)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // fails only when it is gone already
		<-done
		if t.Failed() {
			t.Logf("%s", r.report())
		}
		r.keepLogs()
	})
	return r
}

// driverWords returns verb and arguments without the JVM's flags.
func driverWords(argv []string) string {
	for i, a := range argv {
		if a == "Driver" {
			return strings.Join(argv[i+1:], " ")
		}
	}
	return strings.Join(argv[1:], " ")
}

// read collects events until the process ends.
func (r *Run) read(stdout io.Reader) {
	in := bufio.NewScanner(stdout)
	in.Buffer(make([]byte, 64<<10), 64<<20)
	for in.Scan() {
		line := in.Bytes()
		if len(strings.TrimSpace(string(line))) == 0 {
			continue
		}
		var e Event
		err := json.Unmarshal(line, &e)
		r.update(func() {
			switch {
			case err == nil:
				r.events = append(r.events, e)
			case r.bad == "":
				r.bad = string(line)
			}
		})
	}
	_, _ = io.Copy(io.Discard, stdout)
	err := r.cmd.Wait()
	r.update(func() { r.ended, r.err = true, err })
}

func (r *Run) update(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.change)
	r.change = make(chan struct{})
}

// report describes the run for the log of a failed test, in few lines: a failed test has several runs, and whoever
// prints the log may cut it. COMPAT_KEEP keeps everything.
func (r *Run) report() string {
	r.mu.Lock()
	events, bad, err, ended := r.events, r.bad, r.err, r.ended
	r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "driver %s\n%d events, ended=%v err=%v", r.name, len(events), ended, err)
	if bad != "" {
		fmt.Fprintf(&b, "\nnot JSON: %.300s", bad)
	}
	for _, e := range events[max(0, len(events)-12):] {
		fmt.Fprintf(&b, "\n  %.240s", e)
	}
	if text := r.errs.String(); text != "" {
		fmt.Fprintf(&b, "\nstderr: %s", lastBytes(text, 1000))
	}
	for _, f := range r.logs() {
		fmt.Fprintf(&b, "\n-- %s\n%s", filepath.Base(f), withoutStacks(fileTail(f, 4000)))
	}
	return b.String()
}

// withoutStacks drops the lines of Java's stack traces.
func withoutStacks(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "\tat ") {
			b.WriteString(l)
		}
	}
	return lastBytes(b.String(), 1500)
}

// logs lists the log files of the client library.
func (r *Run) logs() []string {
	logs, _ := filepath.Glob(filepath.Join(r.home, "logs", "rocketmqlogs", "*.log"))
	more, _ := filepath.Glob(filepath.Join(r.home, "*.log"))
	return append(logs, more...)
}

// keepLogs saves events and client logs under $COMPAT_KEEP, when set, because
// the test's temp folder goes away.
func (r *Run) keepLogs() {
	dir := os.Getenv("COMPAT_KEEP")
	if dir == "" {
		return
	}
	base := filepath.Join(dir, fmt.Sprintf("%s-%d", strings.NewReplacer("/", "_", " ", "_").Replace(r.name[:min(len(r.name), 60)]), r.cmd.Process.Pid))
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.name)
	for _, e := range r.Events() {
		fmt.Fprintf(&b, "%s\n", e)
	}
	for _, f := range r.logs() {
		fmt.Fprintf(&b, "-- %s\n%s\n", f, fileTail(f, 1<<20))
	}
	_ = os.MkdirAll(dir, 0o755)
	_ = os.WriteFile(base+".txt", []byte(b.String()), 0o644)
}

func lastBytes(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}

// Next returns the next event, waiting up to timeout. It fails the test on an
// error event, on the end of output and on timeout.
func (r *Run) Next(t TB, timeout time.Duration) Event {
	t.Helper()
	return r.Until(t, timeout, func(Event) bool { return true })
}

// Until reads events up to the first for which pred holds and returns it.
// Events before it are skipped (Events still returns them). It fails the test
// on an error event, on the end of output and on timeout (of the whole call).
func (r *Run) Until(t TB, timeout time.Duration, pred func(Event) bool) Event {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		r.mu.Lock()
		events, change, ended, bad := r.events, r.change, r.ended, r.bad
		r.mu.Unlock()
		if bad != "" {
			t.Fatalf("driver %s printed something else than JSON: %.300s", r.name, bad)
		}
		for r.next < len(events) {
			e := events[r.next]
			r.next++
			if pred(e) {
				return e
			}
			if e.Kind() == "error" {
				t.Fatalf("driver %s: %s", r.name, e.Str("error"))
			}
		}
		if ended {
			t.Fatalf("driver %s ended before the awaited event", r.name)
		}
		select {
		case <-change:
		case <-timer.C:
			t.Fatalf("driver %s: awaited event did not come within %s", r.name, timeout)
		}
	}
}

// Await reads events up to the first of that kind ("started", "done", ...).
func (r *Run) Await(t TB, timeout time.Duration, kind string) Event {
	t.Helper()
	return r.Until(t, timeout, func(e Event) bool { return e.Kind() == kind })
}

// Collect reads events until n of that kind were read by this call, and
// returns those n.
func (r *Run) Collect(t TB, timeout time.Duration, kind string, n int) []Event {
	t.Helper()
	var got []Event
	if n == 0 {
		return got
	}
	deadline := time.Now().Add(timeout)
	r.Until(t, time.Until(deadline), func(e Event) bool {
		if e.Kind() == kind {
			got = append(got, e)
		}
		return len(got) == n
	})
	return got
}

// Wait waits until the driver has ended with exit code 0 and returns all its
// events. It fails the test on a non-zero code and on timeout.
func (r *Run) Wait(t TB, timeout time.Duration) []Event {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		r.mu.Lock()
		events, change, ended, bad, err := r.events, r.change, r.ended, r.bad, r.err
		r.mu.Unlock()
		if ended {
			if err != nil || bad != "" {
				t.Fatalf("driver %s failed: %v", r.name, err)
			}
			r.next = len(events)
			return events
		}
		select {
		case <-change:
		case <-timer.C:
			t.Fatalf("driver %s did not end within %s", r.name, timeout)
		}
	}
}

// Events returns all events seen so far, without waiting and without marking
// them as read.
func (r *Run) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)]
}

// Ended tells whether the process is gone.
func (r *Run) Ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// Tell writes one line to the driver's standard input.
func (r *Run) Tell(t TB, line string) {
	t.Helper()
	if _, err := io.WriteString(r.stdin, line+"\n"); err != nil {
		t.Fatalf("cannot tell driver %s %q: %v", r.name, line, err)
	}
}

// CloseStdin asks the driver to stop cleanly.
func (r *Run) CloseStdin() { _ = r.stdin.Close() }

// Stop asks the driver to stop cleanly, waits for it and returns all its events.
func (r *Run) Stop(t TB, timeout time.Duration) []Event {
	t.Helper()
	r.CloseStdin()
	return r.Wait(t, timeout)
}

// Kill sends SIGKILL and waits for the end.
func (r *Run) Kill(t TB) {
	t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGKILL) // fails only when it is gone already
	for {
		r.mu.Lock()
		ended, change := r.ended, r.change
		r.mu.Unlock()
		if ended {
			return
		}
		<-change
	}
}
