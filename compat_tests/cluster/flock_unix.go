//go:build unix

package cluster

import (
	"os"
	"syscall"
)

// flock waits for the lock of a file, which its closing gives up.
func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
