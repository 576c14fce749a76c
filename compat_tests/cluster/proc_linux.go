package cluster

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the child die when the test process dies, so that an
// aborted `go test` leaves no servers behind.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
