//go:build unix

package boot

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/tools/config"
)

const scripts = "../../scripts"

// installed copies the wrappers beside the program, as a release has them. The program is a copy, too: mqshutdown
// goes by the name of what a process runs.
func installed(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	wrappers, err := filepath.Glob(filepath.Join(scripts, "bin", "mq*"))
	require.NoError(t, err)
	require.Len(t, wrappers, 4)
	for _, w := range wrappers {
		text, err := os.ReadFile(w)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(w)), text, 0o755))
	}
	self, err := os.Executable()
	require.NoError(t, err)
	from, err := os.Open(self)
	require.NoError(t, err)
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, "skylark"), os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(to, from)
	require.NoError(t, err)
	require.NoError(t, to.Close())
	return dir, append(os.Environ(), asProgram+"=1", "NAMESRV_ADDR=", "ROCKETMQ_HOME=", "GORACE=atexit_sleep_ms=0", "HOME="+t.TempDir())
}

// sh runs a wrapper as people do, and returns its exit status and all that it printed.
func sh(t *testing.T, dir string, env []string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command("sh", args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); !exited {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// shServer starts a server by its wrapper and waits for the line that scripts wait for. What it prints goes to a file.
func shServer(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	text, at := make([]byte, 1<<16), 0
	for !strings.Contains(string(text[:at]), "boot success") {
		n, err := out.Read(text[at:])
		require.NoError(t, err, "%s", text[:at])
		at += n
	}
	return cmd
}

// TestWrappers starts and stops servers with the commands of Java's shell scripts.
func TestWrappers(t *testing.T) {
	dir, env := installed(t)
	np, bp := port(t), port(t)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(np))
	write := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
		return path
	}
	pidN, pidB := "SKYLARK_PID_FILE="+filepath.Join(dir, "n.pid"), "SKYLARK_PID_FILE="+filepath.Join(dir, "b.pid")
	n := shServer(t, dir, append(env, pidN), "mqnamesrv", "-c", write("n.conf", "listenPort="+strconv.Itoa(np)))
	b := shServer(t, dir, append(env, pidB), "mqbroker", "-c", write("b.conf", "listenPort="+strconv.Itoa(bp), "brokerIP1=127.0.0.1",
		"storePathRootDir="+filepath.Join(dir, "store")), "-n", addr, "autoCreateTopicEnable=true")
	for _, role := range []string{"n", "b"} { // written behind the line that says ready
		require.Eventually(t, func() bool {
			text, _ := os.ReadFile(filepath.Join(dir, role+".pid"))
			return strings.HasSuffix(string(text), "\n")
		}, 30*time.Second, 10*time.Millisecond)
	}
	status, out := sh(t, dir, env, "mqadmin", "clusterList", "-n", addr)
	require.Zero(t, status, out)
	require.Contains(t, out, net.JoinHostPort("127.0.0.1", strconv.Itoa(bp)))
	for _, s := range []struct {
		role, pid string
		cmd       *exec.Cmd
	}{{"broker", pidB, b}, {"namesrv", pidN, n}} {
		status, out = sh(t, dir, append(env, s.pid), "mqshutdown", s.role)
		require.Zero(t, status, out)
		require.Contains(t, out, "Send shutdown request to mq"+s.role+"("+strconv.Itoa(s.cmd.Process.Pid)+") OK")
		_ = s.cmd.Wait() // its status is looked at below
		require.Equal(t, statusTerminated, s.cmd.ProcessState.ExitCode())
		status, out = sh(t, dir, append(env, s.pid), "mqshutdown", s.role)
		require.Equal(t, 255, status)
		require.Equal(t, "No mq"+s.role+" running.\n", out)
	}
	for want, args := range map[string][]string{
		"the proxy for gRPC clients is not built yet": {"mqbroker", "-n", addr, "--enable-proxy"},
		"Usage: mqshutdown":                           {"mqshutdown", "everything"},
		"no-such":                                     {"mqnamesrv", "--no-such"},
	} {
		status, out = sh(t, dir, env, args...)
		require.Equal(t, statusBadOption, status, out)
		require.Contains(t, out, want)
	}
	status, out = sh(t, dir, env, "mqbroker", "-p", "-c", filepath.Join(dir, "b.conf"))
	require.Zero(t, status, out)
	require.Contains(t, out, "listenPort="+strconv.Itoa(bp)+"\n")
}

// TestDeployFiles: the YAML files are YAML, every setting in any file is a key or a variable, and configuration files
// have nothing that changes nothing.
func TestDeployFiles(t *testing.T) {
	bo, no := broker.DefaultOptions(), namesrv.DefaultOptions()
	known := properties.Names(&bo, &bo.Store, &no, config.Known())
	isVariable := func(name string) bool {
		p, _ := fromEnvironment([]string{name + "=x"}, known)
		return p.Len() == 1 || slices.Contains([]string{"SKYLARK_LOG", "SKYLARK_LOG_LEVEL", "SKYLARK_LOG_OUTPUT", "SKYLARK_LOG_DIR"}, name)
	}
	setting, variable := regexp.MustCompile(`(?m)^\s*#?([a-z][A-Za-z0-9]+)=\S`), regexp.MustCompile(`SKYLARK_[A-Z0-9_]+`)
	settings, variables, yamls := 0, 0, 0
	err := filepath.WalkDir(filepath.Join(scripts, "deploy"), func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range setting.FindAllSubmatch(text, -1) {
			settings++
			require.Contains(t, known, string(m[1]), path)
		}
		for _, m := range variable.FindAll(text, -1) {
			variables++
			require.True(t, isVariable(string(m)), "%s: %s", path, m)
		}
		switch filepath.Ext(path) {
		case ".yaml":
			yamls++
			if filepath.Base(filepath.Dir(path)) == "templates" {
				text = rendered(t, text)
			}
			for _, doc := range strings.Split(string(text), "\n---\n") {
				require.YAMLEq(t, doc, doc, path)
			}
		case ".conf":
			p, err := properties.Parse(text)
			require.NoError(t, err)
			wrong, notes := findings(p, strings.HasPrefix(d.Name(), "namesrv"))
			require.Empty(t, wrong, path)
			require.Empty(t, notes, path)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, settings, 20)
	require.Greater(t, variables, 5)
	require.Equal(t, 5, yamls)
}

// rendered is a template of the Helm chart with the chart's own values, as `helm template skylark` prints it.
func rendered(t *testing.T, text []byte) []byte {
	t.Helper()
	values, err := os.ReadFile(filepath.Join(scripts, "deploy", "helm", "values.yaml"))
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, yaml.Unmarshal(values, &v))
	tmpl, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"quote": strconv.Quote,
		"nindent": func(n int, s string) string {
			pad := "\n" + strings.Repeat(" ", n)
			return pad + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", pad)
		},
		"toJson": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
	}).Parse(string(text))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, tmpl.Execute(&out, map[string]any{"Values": v, "Release": map[string]any{"Name": "skylark"}}))
	require.NotContains(t, out.String(), "<no value>")
	return out.Bytes()
}
