// Command skylark is a drop-in RocketMQ server: name server and broker in one binary.
package main

import (
	"os"

	"github.com/skylarkmq/skylark/tools/boot"
)

func main() { os.Exit(boot.Main(os.Args, os.Stdout, os.Stderr)) }
