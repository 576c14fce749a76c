//go:build unix && !linux

package fsys

import "golang.org/x/sys/unix"

const setLock, getLock = unix.F_SETLK, unix.F_GETLK
