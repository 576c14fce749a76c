package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePort returns a port p such that p, p-2 (fast port) and p+1 (HA port) are
// free on loopback. It stays below the range the kernel hands out to outgoing
// connections, so that only another test can take it before the server does.
func FreePort(t TB) int {
	t.Helper()
	for range 200 {
		p := 12000 + rand.IntN(20000)
		if allFree(p, p-2, p+1) {
			return p
		}
	}
	t.Fatalf("cannot find a free port between 12000 and 32000")
	return 0
}

func allFree(ports ...int) bool {
	var open []net.Listener
	defer func() {
		for _, l := range open {
			l.Close()
		}
	}()
	for _, p := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", p))
		if err != nil {
			return false
		}
		open = append(open, l)
	}
	return true
}
