package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TB is the part of testing.TB the harness needs. Tests pass their *testing.T;
// a Pool passes itself for processes that outlive one test.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
	Cleanup(func())
	Failed() bool
	TempDir() string
}

// Pool owns clusters shared by the tests of one package. Create it beside
// TestMain and close it there:
//
//	var pool = cluster.NewPool()
//	func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }
type Pool struct {
	mu       sync.Mutex
	clusters map[string]*poolEntry
	cleanups []func()
	dirs     []string
}

type poolEntry struct {
	once    sync.Once
	cluster *Cluster
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{clusters: map[string]*poolEntry{}}
}

// Run runs the tests of a package, then stops everything the pool owns, and
// returns the exit code for os.Exit.
func (p *Pool) Run(m *testing.M) int {
	code := m.Run()
	p.Close()
	return code
}

// Cluster returns the cluster of that key, starting it on first use with
// Standalone(extraConf). When t fails, the servers' output is added to its log.
func (p *Pool) Cluster(t TB, key string, extraConf ...string) *Cluster {
	t.Helper()
	SkipIfOff(t)
	p.mu.Lock()
	e := p.clusters[key]
	if e == nil {
		e = &poolEntry{}
		p.clusters[key] = e
	}
	p.mu.Unlock()
	e.once.Do(func() { e.cluster = Standalone(poolTB{TB: t, pool: p}, extraConf...) })
	if e.cluster == nil {
		t.Fatalf("cannot start shared cluster %q: its first start failed", key)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("namesrv log:\n%s\nbroker log:\n%s", lastBytes(e.cluster.Namesrv.Log(), 1000),
				lastBytes(e.cluster.Broker.Log(), 3000))
		}
	})
	return e.cluster
}

// Close stops what the pool owns, newest first, and removes its folders.
func (p *Pool) Close() {
	p.mu.Lock()
	cleanups, dirs := p.cleanups, p.dirs
	p.cleanups, p.dirs = nil, nil
	p.mu.Unlock()
	for i := len(cleanups) - 1; i >= 0; i-- {
		cleanups[i]()
	}
	for _, d := range dirs {
		os.RemoveAll(d)
	}
}

// poolTB lets a test start processes that the pool owns.
type poolTB struct {
	TB
	pool *Pool
}

func (p poolTB) Cleanup(f func()) {
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	p.pool.cleanups = append(p.pool.cleanups, f)
}

func (p poolTB) Failed() bool { return false }

func (p poolTB) TempDir() string {
	dir, err := os.MkdirTemp("", "skylark-compat-")
	if err != nil {
		p.Fatalf("cannot create temp folder: %v", err)
	}
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	p.pool.dirs = append(p.pool.dirs, dir)
	return dir
}

// SkipIfOff skips the test when SKYLARK_COMPAT=off.
func SkipIfOff(t TB) {
	t.Helper()
	if os.Getenv("SKYLARK_COMPAT") == "off" {
		t.Skip("SKYLARK_COMPAT=off")
	}
}

// PeerIsJava tells whether COMPAT_PEER=java, that is whether "our" servers are
// Java's in this run.
func PeerIsJava() bool { return os.Getenv("COMPAT_PEER") == "java" }

// repoRoot finds the folder with go.mod above the working directory, that is
// the root of this repository.
func repoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find repository root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "compat_tests", "java")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("cannot find repository root: no compat_tests/java above the working directory")
		}
		dir = up
	}
}

// Skylark returns the path of our binary: $SKYLARK_BIN, or bin/skylark of this
// repository. A missing binary fails the test.
func Skylark(t TB) string {
	t.Helper()
	bin := os.Getenv("SKYLARK_BIN")
	if bin == "" {
		root, err := repoRoot()
		if err != nil {
			t.Fatalf("%v", err)
		}
		bin = filepath.Join(root, "bin", "skylark")
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("no skylark binary: %v (build it with `go build -o bin/skylark .` or set SKYLARK_BIN)", err)
	}
	return bin
}
