package boot

import (
	"fmt"
	"os"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/tools/config"
)

// configCommand is `skylark config`.
func configCommand(help cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "look at configuration files", HideHelp: true, OnUsageError: usage, Flags: []cli.Flag{help},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &exitError{statusBadOption, fmt.Errorf("unknown command %q, see skylark config --help", c.Args().First())}
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{{
			Name: "lint", ArgsUsage: "FILE", HideHelp: true, OnUsageError: usage, Action: lint,
			Usage: "say which keys of a configuration file are misspelt, unknown, unreadable or change nothing; exits 0 when no value is lost, 1 when one is, 255 when the file cannot be read",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "namesrv", Usage: "the file is a name server's"}, help},
		}},
	}
}

// lint says what a start would do with the keys of a file.
func lint(c *cli.Context) error {
	if c.Bool("help") || c.NArg() != 1 {
		if c.NArg() != 1 && !c.Bool("help") {
			return &exitError{statusBadOption, fmt.Errorf("skylark config lint wants a FILE")}
		}
		return cli.ShowSubcommandHelp(c)
	}
	path := c.Args().First()
	b, err := os.ReadFile(path)
	if err != nil {
		return &exitError{statusFailed, fmt.Errorf("cannot read configuration: %w", err)}
	}
	p, err := properties.Parse(b)
	if err != nil {
		return &exitError{statusFailed, fmt.Errorf("cannot read configuration %s: %w", path, err)}
	}
	wrong, notes := findings(p, c.Bool("namesrv"))
	for _, f := range wrong {
		fmt.Fprintf(c.App.Writer, "%s: wrong: %s\n", path, f)
	}
	for _, f := range notes {
		fmt.Fprintf(c.App.Writer, "%s: note: %s\n", path, f)
	}
	if len(wrong) > 0 {
		return &exitError{status: statusBadOption}
	}
	return nil
}

// findings are, of the keys of a file, what a start would not do as it says, and what would change nothing.
func findings(p *properties.Properties, isNamesrv bool) (wrong, notes []string) {
	bo, no := broker.DefaultOptions(), namesrv.DefaultOptions()
	bo.Logger, no.Logger = zerolog.Nop(), zerolog.Nop()
	targets, here, server, there := []any{&bo, &bo.Store}, config.Broker(), "broker", "name server"
	if isNamesrv {
		targets, here, server, there = []any{&no}, config.Namesrv(), "name server", "broker"
	}
	used := properties.Names(targets...)
	elsewhere := properties.Names(&bo, &bo.Store, &no, config.Known())
	wrong = properties.Bind(p, append(targets, elsewhere)...)
	if err := bo.Settings.Check(); err != nil && !isNamesrv {
		wrong = append(wrong, "a start is refused: "+err.Error())
	}
	ofServer := map[string]string{}
	for _, k := range here {
		ofServer[k.Name] = k.Default
	}
	has := func(keys properties.Keys, name string) bool {
		for _, k := range keys {
			if k == name {
				return true
			}
		}
		return false
	}
	for key, value := range p.All() {
		why, unused := config.Unused(key)
		def, ours := ofServer[key]
		switch {
		case unused:
			notes = append(notes, fmt.Sprintf("%s has no use here: %v", key, why))
		case has(used, key):
		case !ours && has(elsewhere, key):
			notes = append(notes, fmt.Sprintf("%s changes nothing for a %s, it is a key of a %s", key, server, there))
		case ours && def != strings.TrimSpace(value):
			notes = append(notes, fmt.Sprintf("%s is accepted and not built yet: %s=%s changes nothing", key, key, value))
		}
	}
	return wrong, append(notes, overridden(p, isNamesrv, &bo, &no)...)
}

// overridden are the keys of the file that were changed at run time.
func overridden(p *properties.Properties, isNamesrv bool, bo *broker.Options, no *namesrv.Options) (notes []string) {
	changed, err := bo.Overrides, error(nil)
	if isNamesrv {
		err, changed = no.LoadOverrides(), no.Overrides
	} else {
		err = bo.LoadOverrides()
	}
	if err != nil {
		return []string{err.Error()}
	}
	for key, value := range changed().All() {
		if was, ok := p.Get(key); ok && strings.TrimSpace(was) != value {
			notes = append(notes, fmt.Sprintf("%s is %s: it was changed at run time, which goes before the file", key, value))
		}
	}
	return notes
}
