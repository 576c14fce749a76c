// Command go is the driver around the stock Go client (rocketmq-client-go v2) for the compatibility
// tests. It is called as `go <verb> key=value ...`, prints one JSON object per line on stdout and
// holds no assertions; the client's own log goes to stderr.
//
// It stops when its verb is done, when stdin reaches its end or after timeout milliseconds. Exit codes:
// 0 normal end, 1 failure (reported as an error event), 2 unknown verb or option.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// defaultTimeout ends a driver whose test forgot it.
const defaultTimeout = 60 * time.Second

// errUsage marks calls that this driver does not understand.
var errUsage = errors.New("usage")

// verb runs until it is done or ctx ends.
type verb func(ctx context.Context, a *args, out *events) error

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout)) }

func run(argv []string, stdin io.Reader, stdout io.Writer) int {
	verbs := map[string]verb{"produce": produce, "consume": consume, "transact": transact, "request": request}
	out := &events{w: stdout}
	if len(argv) == 0 || verbs[argv[0]] == nil {
		out.emit(event{"event": "error", "error": fmt.Sprintf("unknown verb in %q", argv)})
		return 2
	}
	silenceClient()
	a := parseArgs(argv[1:])
	ctx, cancel := context.WithTimeout(context.Background(), a.duration("timeout", defaultTimeout))
	defer cancel()
	go func() {
		// The test closes the pipe to end the driver; this read ends with the process at the latest.
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	err := verbs[argv[0]](ctx, a, out)
	if err == nil {
		return 0
	}
	out.emit(event{"event": "error", "error": err.Error()})
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}
