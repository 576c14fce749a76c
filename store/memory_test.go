package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTotalMemory(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing known", nil, 8 << 30},
		{"no group", map[string]string{"proc/meminfo": "MemFree: 1 kB\nMemTotal:       2048 kB\n"}, 2 << 20},
		{"version 2", map[string]string{"proc/meminfo": "MemTotal: 4096 kB\n", "proc/self/cgroup": "0::/a/b\n",
			"cg/a/b/memory.max": "max\n", "cg/a/memory.max": "1048576\n"}, 1 << 20},
		{"version 1", map[string]string{"proc/meminfo": "MemTotal: 4096 kB\n", "proc/self/cgroup": "5:cpu,memory:/a\n4:pids:/b\n",
			"cg/memory/a/memory.limit_in_bytes": "2097152\n", "cg/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 << 20},
		{"a path of the host", map[string]string{"proc/meminfo": "MemTotal: 4096 kB\n", "proc/self/cgroup": "0::/host/x\n",
			"cg/memory.max": "3145728\n"}, 3 << 20},
		{"above the machine's", map[string]string{"proc/meminfo": "MemTotal: 4096 kB\n", "proc/self/cgroup": "0::/\nbroken\n",
			"cg/memory.max": "31457280\n"}, 4 << 20},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range x.files {
				path := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
			}
			require.Equal(t, x.want, totalMemory(filepath.Join(dir, "proc"), filepath.Join(dir, "cg")))
		})
	}
}
