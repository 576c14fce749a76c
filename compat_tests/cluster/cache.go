package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// cacheDir returns the folder for fetched and built things, outside the
// repository: $SKYLARK_CACHE or ~/.cache/skylark-compat.
func cacheDir(t TB) string {
	t.Helper()
	dir := os.Getenv("SKYLARK_CACHE")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatalf("cannot find the cache folder, set SKYLARK_CACHE: %v", err)
		}
		dir = filepath.Join(home, ".cache", "skylark-compat")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatalf("cannot create the cache folder: %v", err)
	}
	return dir
}

// cached returns folder <cache>/<name>, made once by build under a file lock.
// build fills a fresh folder, which is renamed into place when it succeeds, so
// a half-made one is never used.
func cached(t TB, name string, build func(dir string) error) string {
	t.Helper()
	final := filepath.Join(cacheDir(t), name)
	if _, err := os.Stat(final); err == nil {
		return final
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		t.Fatalf("cannot create %s: %v", filepath.Dir(final), err)
	}
	lock, err := os.OpenFile(final+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatalf("cannot open cache lock: %v", err)
	}
	defer lock.Close() // releases the lock
	if err := flock(lock); err != nil {
		t.Fatalf("cannot lock %s: %v", lock.Name(), err)
	}
	if _, err := os.Stat(final); err == nil {
		return final // made while we waited
	}
	tmp := final + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		t.Fatalf("cannot remove %s: %v", tmp, err)
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		t.Fatalf("cannot create %s: %v", tmp, err)
	}
	if err := build(tmp); err != nil {
		t.Fatalf("cannot prepare %s: %v", name, err)
	}
	if err := os.Rename(tmp, final); err != nil {
		t.Fatalf("cannot prepare %s: %v", name, err)
	}
	return final
}

// fingerprint hashes names and contents of the files under the given paths;
// it names a cached build, so that a changed source is built anew.
func fingerprint(paths ...string) (string, error) {
	h := sha256.New()
	for _, root := range paths {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, p)
			fmt.Fprintf(h, "%s %d\n", rel, len(b))
			h.Write(b)
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("cannot hash %s: %w", root, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// run executes a build command in dir and returns its output on failure.
func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	dieWithParent(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run %s %v: %w\n%s", name, args, err, out)
	}
	return nil
}

// tool returns the path of a program, or fails the test saying what it is for.
func tool(t TB, name, purpose string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed %s: %v (SKYLARK_COMPAT=off skips these tests)", name, purpose, err)
	}
	return path
}
