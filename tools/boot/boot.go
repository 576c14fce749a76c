// Package boot is the command line: it reads flags and configuration files, starts what they ask for,
// prints the lines scripts wait for, and stops it on a signal.
package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/skylarkmq/skylark/tools/mqadmin"
)

// Exit statuses, Java's (spec/users.md 2.1). Java: NamesrvStartup, BrokerStartup.
const (
	statusBadOption = 1
	statusFailed    = 255 // System.exit(-1)
)

// exitError carries an exit status.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Main runs the program with args, args[0] its name, and returns the exit status. Called as mqnamesrv,
// mqbroker or mqadmin it acts as that subcommand.
func Main(args []string, stdout, stderr io.Writer) int {
	switch name := strings.TrimSuffix(filepath.Base(args[0]), ".exe"); name {
	case "mqnamesrv":
		args = append([]string{args[0], "namesrv"}, args[1:]...)
	case "mqbroker":
		args = append([]string{args[0], "broker"}, args[1:]...)
	case "mqadmin":
		args = append([]string{args[0], "admin"}, args[1:]...)
	}
	args = flagsFirst(args, storeCommand(helpFlag()))
	ctx, stop := untilSignal()
	defer stop()
	err := app(stdout, stderr).RunContext(ctx, args)
	if err == nil {
		return 0
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{statusBadOption, err}
	}
	if e.err != nil {
		fmt.Fprintln(stderr, err)
	}
	return e.status
}

// stopSignal is the signal that asked for the stop.
type stopSignal struct{ syscall.Signal }

func (s stopSignal) Error() string { return s.String() }

// untilSignal returns a context that ends, its cause a stopSignal, when the process is asked to stop.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	sigs, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(sigs, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		defer close(done)
		select {
		case sig := <-sigs:
			cancel(stopSignal{sig.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(sigs)
		cancel(nil)
		<-done
	}
}

func helpFlag() cli.Flag {
	return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "Print help"}
}

func app(stdout, stderr io.Writer) *cli.App {
	help := helpFlag()
	server := func(more ...cli.Flag) []cli.Flag {
		return append([]cli.Flag{
			&cli.StringFlag{Name: "configFile", Aliases: []string{"c"}, Usage: "`FILE` of properties"},
			&cli.StringFlag{Name: "namesrvAddr", Aliases: []string{"n"}, Usage: "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'"},
			&cli.BoolFlag{Name: "printConfigItem", Aliases: []string{"p"}, Usage: "Print all config items"},
			help,
		}, more...)
	}
	return &cli.App{
		Name: "skylark", Usage: "a drop-in RocketMQ server", Version: describe(), Writer: stdout, ErrWriter: stderr,
		HideHelpCommand: true, ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return &exitError{statusBadOption, err} },
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &exitError{statusBadOption, fmt.Errorf("unknown command %q, see skylark --help", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			{Name: "namesrv", Usage: "run a name server", HideHelp: true, Flags: server(), Action: wrap(runNamesrv), OnUsageError: usage},
			{Name: "broker", Usage: "run a broker", HideHelp: true, OnUsageError: usage, Action: wrap(runBroker),
				Flags: server(&cli.BoolFlag{Name: "printImportantConfig", Aliases: []string{"m"}, Usage: "Print important config items"})},
			{Name: "standalone", Usage: "run a name server and a broker in one process", HideHelp: true, OnUsageError: usage, Action: wrap(runStandalone),
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "dir", Value: "data", Usage: "`FOLDER` for all data"},
					&cli.StringFlag{Name: "configFile", Aliases: []string{"c"}, Usage: "`FILE` of broker properties"},
					&cli.IntFlag{Name: "namesrvPort", Value: 9876, Usage: "port of the name server"},
					&cli.IntFlag{Name: "port", Value: 10911, Usage: "port of the broker; port-2 is its second listener"},
					help,
				}},
			storeCommand(help),
			mqadmin.Command(stdout),
			configCommand(help),
		},
	}
}

func usage(_ *cli.Context, err error, _ bool) error { return &exitError{statusBadOption, err} }

// wrap turns left-over arguments into an error, as commons-cli ignores none silently that look like flags,
// and prints help when asked.
func wrap(run func(c *cli.Context) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.Bool("help") {
			return cli.ShowSubcommandHelp(c)
		}
		for _, a := range c.Args().Slice() {
			if strings.HasPrefix(a, "-") {
				return &exitError{statusBadOption, fmt.Errorf("unrecognized option: %s", a)}
			}
			// Compose files carry words such as autoCreateTopicEnable=true, which Java ignores as well.
			fmt.Fprintf(c.App.ErrWriter, "the argument %q has no effect, settings belong into the file of -c\n", a)
		}
		return run(c)
	}
}

// waitForStop blocks until a signal asks to stop.
func waitForStop(ctx context.Context) { <-ctx.Done() }

// writePid writes the process id to $SKYLARK_PID_FILE, which scripts/bin/mqshutdown reads.
func writePid() (remove func(), err error) {
	path := os.Getenv("SKYLARK_PID_FILE")
	if path == "" {
		return func() {}, nil
	}
	if err := os.WriteFile(path, []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write pid file %s: %w", path, err)
	}
	return func() { _ = os.Remove(path) }, nil
}
