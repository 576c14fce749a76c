package rpc

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitSilence makes the kernel end a connection whose peer's machine has not acknowledged what was sent
// for d. Without it a peer that lost its power is noticed after some 15 minutes of retransmission.
func limitSilence(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		// Where the option is not known the connection works without it.
		return c.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, silenceMillis(d))
		})
	}
}
