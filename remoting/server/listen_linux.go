package server

import (
	"fmt"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// mostFDs bounds the search for a listener's descriptor. It is made at the start, when few are open.
const mostFDs = 4096

// listenerFD returns gnet's own descriptor of a listener. gnet gives away only duplicates.
func listenerFD(eng gnet.Engine, addr string) (int, error) {
	dup, err := eng.DupListener("tcp", addr)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dup)
	var want, have unix.Stat_t
	if err := unix.Fstat(dup, &want); err != nil {
		return -1, err
	}
	for fd := range mostFDs {
		if fd != dup && unix.Fstat(fd, &have) == nil && have.Dev == want.Dev && have.Ino == want.Ino {
			return fd, nil
		}
	}
	return -1, fmt.Errorf("cannot find the listener of %s", addr)
}

// stopListening closes the socket behind a descriptor that gnet polls. Another listening socket takes its place, which
// nobody knows: gnet may be about to accept from it, and closes it in the end.
func stopListening(fd int) error {
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make a socket: %w", err)
	}
	defer unix.Close(other)
	if err := unix.Bind(other, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("cannot bind a socket: %w", err)
	}
	if err := unix.Listen(other, 1); err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	return unix.Dup3(other, fd, unix.O_CLOEXEC)
}
