package store

import (
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// totalMemory returns the bytes of memory that this process may use, page cache included, by which Java decides what
// counts as "in memory" (StoreUtil.TOTAL_PHYSICAL_MEMORY_SIZE): the machine's, or the least limit of the control
// groups that the process is in, as in a container. proc and groups are where /proc and the control groups are mounted.
func totalMemory(proc, groups string) int64 {
	total := int64(8 << 30)
	for line := range lines(filepath.Join(proc, "meminfo")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				total = kb << 10
			}
		}
	}
	for line := range lines(filepath.Join(proc, "self", "cgroup")) {
		// 4:memory:/path of version 1, 0::/path of version 2.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) < 3 {
			continue
		}
		top, name := groups, "memory.max"
		if f[1] != "" {
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			top, name = filepath.Join(groups, "memory"), "memory.limit_in_bytes"
		}
		// In a container the path may be that of the host, and not be there.
		for dir := filepath.Clean("/" + f[2]); ; dir = filepath.Dir(dir) {
			for line := range lines(filepath.Join(top, dir, name)) {
				if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil && n > 0 {
					total = min(total, n)
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return total
}

// lines returns an iterator over the lines of a file, none when it cannot be read.
func lines(path string) iter.Seq[string] {
	b, _ := os.ReadFile(path)
	return strings.Lines(string(b))
}
