// Package admin_test runs the stock mqadmin and skylark admin against our NameServer and broker (or Java's, with
// COMPAT_PEER=java), and skylark admin against Java's as well, and compares what they write with what the stock one
// writes about Java's servers.
package admin_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// limit bounds one wait. It is generous: two busy cores start a JVM slowly.
const limit = 90 * time.Second

// settle is how long -update waits for what comes about in the background.
const settle = 3 * time.Second

var (
	update = flag.Bool("update", false, "write what the stock tool says about Java's servers into the script")
	only   = flag.String("show", "", "print the output of commands that contain this")
)

// ran is what a command wrote to standard output and to standard error, and whether it failed.
type ran struct {
	out, err string
	failed   bool
}

// runner executes one command; one that does not end, up to a number of lines.
type runner func(t *testing.T, words []string, endless string) ran

// world is a cluster with Java clients, and what the words with $ of the script stand for.
type world struct {
	cluster *cluster.Cluster
	clients *cluster.Run // the driver, which also runs the stock tool
	vars    map[string]string
	named   map[string]string
	tool    bool // skylark admin is under test
}

// start starts a server of one kind.
type start func(cluster.TB, cluster.Options) *cluster.Server

func newWorld(t *testing.T, startNamesrv, startBroker start) *world {
	t.Helper()
	t.Cleanup(func() { // updateStaticTopic and remappingStaticTopic leave what they have done
		for _, end := range []string{"before", "after"} {
			left, _ := filepath.Glob("/tmp/Fixed-[0-9]*." + end + "*") // Java keeps what was there as .bak
			for _, path := range left {
				_ = os.Remove(path)
			}
		}
	})
	// What is changed at run time is kept beside this file, which otherwise is in the home folder.
	ns := startNamesrv(t, cluster.Options{ExtraConf: []string{"kvConfigPath=" + filepath.Join(t.TempDir(), "kvConfig.json")}})
	conf := []string{"traceTopicEnable=true"}
	for _, part := range []string{"authentication", "authorization"} { // for users and ACLs; nothing is checked
		conf = append(conf, fmt.Sprintf("%sMetadataProvider=org.apache.rocketmq.auth.%[1]s.provider.Local%sMetadataProvider", part, strings.ToUpper(part[:1])+part[1:]))
	}
	conf = append(conf, "authConfigPath="+t.TempDir())
	b := startBroker(t, cluster.Options{Namesrv: []string{ns.Addr()}, ExtraConf: conf})
	w := &world{cluster: &cluster.Cluster{Namesrv: ns, Broker: b}}
	w.clients = cluster.Java(t, cluster.ClientV5, "mqadmin", w.cluster.Arg())
	w.clients.Await(t, limit, "started")
	dir := t.TempDir()
	w.vars = map[string]string{"BROKER": b.Addr(), "NAMESRV": ns.Addr(), "DIR": dir}
	w.named = map[string]string{ns.Addr(): "NAMESRV", b.Addr(): "BROKER", fmt.Sprintf("127.0.0.1:%d", b.Port()+1): "BROKERHA", dir: "DIR", b.Dir(): "BROKERDIR"}
	write(t, filepath.Join(dir, "topics.json"), `[{"topicName":"ListedA","readQueueNums":2,"writeQueueNums":2,"perm":6},{"topicName":"ListedB","readQueueNums":3,"writeQueueNums":3,"perm":4}]`)
	write(t, filepath.Join(dir, "groups.json"), `[{"groupName":"listedA","retryMaxTimes":3},{"groupName":"listedB","consumeEnable":false}]`)
	return w
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// stock runs the stock mqadmin in the driver.
func (w *world) stock(t *testing.T, words []string, endless string) ran {
	t.Helper()
	if endless != "" {
		words = append([]string{"@endless", endless}, words...)
	}
	w.clients.Tell(t, strings.Join(words, "\t"))
	e := w.clients.Await(t, limit, "ran")
	if *only != "" {
		t.Logf("%d ms %s", e.Int("ms"), words)
	}
	return ran{e.Str("out"), e.Str("err"), cause.MatchString(e.Str("err"))}
}

// order tells the clients what to do.
func (w *world) order(t *testing.T, words []string) {
	t.Helper()
	w.clients.Tell(t, strings.Join(words, "\t"))
	e := w.clients.Await(t, limit, strings.TrimPrefix(words[0], "@"))
	for name, field := range map[string]string{"ID": "ids", "OFFSETID": "offsetIds"} {
		list, _ := e[field].([]any)
		for i, id := range list {
			w.vars[fmt.Sprint(name, i)] = fmt.Sprint(id)
		}
	}
	if c := e.Str("consumer"); c != "" {
		w.vars["CONSUMER"] = c
	}
}

// sentID finds the id in what sendMessage writes.
var sentID = regexp.MustCompile(`SEND_OK +([0-9A-F]+)\n`)

// play runs the script and compares.
func (w *world) play(t *testing.T, run runner) {
	s := readScript(t, filepath.Join("testdata", "mqadmin.txt"))
	begin := time.Now()
	for _, st := range s.steps() {
		if strings.HasPrefix(st.words[0], "@") {
			w.order(t, st.words)
			continue
		}
		if w.leavesOut(st) {
			continue
		}
		got := w.result(t, st, run)
		if *update {
			st.want = got
			continue
		}
		if want := st.wanted(w.tool); strings.Join(want, "\n") != strings.Join(got, "\n") {
			t.Errorf("line %d: %s\n%s", st.line, st.text(), difference(want, got))
		}
	}
	t.Logf("%d steps took %.1f s", len(s.steps()), time.Since(begin).Seconds())
	if *update {
		s.write(t)
	}
}

// leavesOut tells whether a step is not for this server or this tool.
func (w *world) leavesOut(st *step) bool {
	return slices.ContainsFunc(st.directives, func(d directive) bool {
		return d.name == "not" && (!w.cluster.Broker.Java() && strings.HasPrefix(d.value, "server:") || w.tool && strings.HasPrefix(d.value, "tool:") ||
			!w.tool && strings.HasPrefix(d.value, "stock:"))
	})
}

// result runs one step, again and again if it says so, and returns the lines to compare.
func (w *world) result(t *testing.T, st *step, run runner) []string {
	t.Helper()
	words := make([]string, 0, len(st.words)+2)
	for _, word := range st.words {
		words = append(words, os.Expand(word, func(name string) string { return w.vars[name] }))
	}
	words = append(words, "-n", w.cluster.Addr())
	_, retry := st.has("retry")
	endless, _ := st.has("endless")
	deadline := time.Now().Add(limit)
	if *update {
		deadline = time.Now().Add(settle)
	}
	for {
		r := run(t, words, endless)
		if m := sentID.FindStringSubmatch(r.out); m != nil {
			w.vars["SENT"] = m[1]
		}
		if *only != "" && strings.Contains(st.text(), *only) {
			t.Logf("%s\n%s\n%s", st.text(), r.out, r.err)
		}
		got := st.shape(r.out, w.named)
		if endless == "" { // how an endless one ends is of no interest
			got = append(got, failure(r.err, r.failed, w.named)...)
		}
		got = append(got, w.written(t, st)...)
		if !retry || time.Now().After(deadline) || !*update && strings.Join(st.wanted(w.tool), "\n") == strings.Join(got, "\n") {
			return got
		}
		time.Sleep(50 * time.Millisecond) // polling another process: no event to await
	}
}

// written returns what a command wrote into the folder for exports, and removes it.
func (w *world) written(t *testing.T, st *step) []string {
	t.Helper()
	dir := filepath.Join(w.vars["DIR"], "out")
	var lines []string
	for _, e := range entries(dir) {
		b, err := os.ReadFile(filepath.Join(dir, e))
		require.NoError(t, err)
		lines = append(append(lines, "file "+e), maskJSON(string(b), w.named)...)
	}
	require.NoError(t, os.RemoveAll(dir))
	return lines
}

func entries(dir string) []string {
	list, _ := os.ReadDir(dir)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// difference shows the first lines that differ.
func difference(want, got []string) string {
	for i := 0; i < max(len(want), len(got)); i++ {
		var a, b string
		if i < len(want) {
			a = want[i]
		}
		if i < len(got) {
			b = got[i]
		}
		if a != b {
			return fmt.Sprintf("line %d of %d, expected %d\n want %.1500s\n got  %.1500s", i+1, len(got), len(want), a, b)
		}
	}
	return ""
}

// TestStockTool runs the stock mqadmin.
func TestStockTool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cluster.StartNamesrv, cluster.StartBroker)
	w.play(t, w.stock)
}

// TestStockToolOnJava runs it against Java's servers, which proves that the script is what they say today.
func TestStockToolOnJava(t *testing.T) {
	t.Parallel()
	if cluster.PeerIsJava() {
		t.Skip("TestStockTool does it")
	}
	require.False(t, *update, "with COMPAT_PEER=java: -run TestStockTool$")
	w := newWorld(t, cluster.StartJavaNamesrv, cluster.StartJavaBroker)
	w.play(t, w.stock)
}

// TestOurTool runs skylark admin, and each query once more with --json.
func TestOurTool(t *testing.T) {
	t.Parallel()
	playOurs(t, newWorld(t, cluster.StartNamesrv, cluster.StartBroker))
}

// TestOurToolOnJava runs skylark admin against Java's servers, so that what it says of ours is held against both.
func TestOurToolOnJava(t *testing.T) {
	t.Parallel()
	if cluster.PeerIsJava() {
		t.Skip("TestOurTool does it")
	}
	playOurs(t, newWorld(t, cluster.StartJavaNamesrv, cluster.StartJavaBroker))
}

func playOurs(t *testing.T, w *world) {
	t.Helper()
	w.tool = true
	require.False(t, *update, "the script is what the stock tool writes: -run Stock")
	w.play(t, w.ours)
}

// ours runs skylark admin.
func (w *world) ours(t *testing.T, words []string, endless string) ran {
	t.Helper()
	r := w.exec(t, words, endless)
	if r.failed || endless != "" || changes[words[0]] || slices.Contains(words, "-s") {
		return r
	}
	j := w.exec(t, append(slices.Clone(words), "--json"), "")
	if strings.Contains(j.err, "flag provided but not defined: -json") {
		return r
	}
	require.False(t, j.failed, "%v --json: %s", words, j.err)
	for _, l := range strings.Split(strings.TrimSpace(j.out), "\n") {
		require.True(t, l == "" || body.Unmarshal([]byte(l), new(any)) == nil, "%v --json prints %.200s", words, l)
	}
	return r
}

// changes are the queries that are not run twice, because they send messages.
var changes = map[string]bool{"sendMessage": true, "checkMsgSendRT": true}

func (w *world) exec(t *testing.T, words []string, endless string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, cluster.Skylark(t), append([]string{"admin"}, words...)...)
	cmd.Dir = w.vars["DIR"]
	cmd.Env = append(os.Environ(), "TMPDIR=") // Java's folder is always /tmp
	var out, errs strings.Builder
	cmd.Stderr = &errs
	if endless == "" {
		cmd.Stdout = &out
		err := cmd.Run()
		return ran{out.String(), errs.String(), err != nil}
	}
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	in := bufio.NewScanner(pipe)
	for n, _ := strconv.Atoi(endless); n > 0 && in.Scan(); n-- {
		out.WriteString(in.Text() + "\n")
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait() // ended by the signal
	return ran{out: out.String(), err: errs.String()}
}
