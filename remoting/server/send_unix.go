//go:build unix

package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// send gives the kernel what it takes at once and returns the rest.
func (c *conn) send(iov [][]byte) [][]byte {
	for {
		var n int
		var err error
		if len(iov) == 1 {
			n, err = unix.Write(c.g.Fd(), iov[0])
		} else {
			n, err = unix.Writev(c.g.Fd(), iov)
		}
		switch err {
		case nil:
			for len(iov) > 0 && n >= len(iov[0]) {
				n -= len(iov[0])
				iov = iov[1:]
			}
			if len(iov) > 0 {
				iov[0] = iov[0][n:]
			}
			return iov
		case unix.EINTR:
		case unix.EAGAIN:
			return iov
		default:
			c.gone = true
			return nil
		}
	}
}

// openFiles is how many files the process may have open, 0 when that is not known.
func openFiles() uint64 {
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil {
		return 0
	}
	return lim.Cur
}
