package fsys

import "golang.org/x/sys/unix"

// Open-file-description locks conflict with Java's record lock and, unlike that, also with a second one of the same
// process.
const setLock, getLock = unix.F_OFD_SETLK, unix.F_OFD_GETLK
