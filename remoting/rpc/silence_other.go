//go:build !linux

package rpc

import (
	"syscall"
	"time"
)

// limitSilence does nothing here: only TCP's own limits apply.
func limitSilence(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
