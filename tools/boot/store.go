package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/tools/config"
	"github.com/skylarkmq/skylark/tools/inspect"
)

// Exit statuses of the store commands.
const (
	statusDamage  = 1
	statusNoCheck = 2 // no store there, a bad option, an I/O error
)

// storeCommand is skylark store: it looks at a message store without a broker.
func storeCommand(help cli.Flag) *cli.Command {
	common := func(more ...cli.Flag) []cli.Flag {
		return append([]cli.Flag{
			&cli.StringFlag{Name: "configFile", Aliases: []string{"c"}, Usage: "`FILE` of broker properties, for paths and file sizes"},
			&cli.StringFlag{Name: "commitlog", Usage: "`DIR` of the commit log, when it is not below the store's (storePathCommitLog); several with a comma between"},
			&cli.Int64Flag{Name: "mappedFileSizeCommitLog", Usage: "`BYTES` of a commit log file; found from the files when not given"},
			&cli.Int64Flag{Name: "mappedFileSizeConsumeQueue", Usage: "`BYTES` of a consume queue file; found from the files when not given"},
			&cli.Int64Flag{Name: "maxHashSlotNum", Usage: "`SLOTS` of an index file; Java's 5000000 when not given"},
			&cli.Int64Flag{Name: "maxIndexNum", Usage: "`ENTRIES` of an index file; Java's 20000000 when not given"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON lines"},
			help,
		}, more...)
	}
	command := func(name, args, usage string, run func(c *cli.Context) error, flags ...cli.Flag) *cli.Command {
		return &cli.Command{Name: name, ArgsUsage: args, Usage: usage, HideHelp: true, Flags: common(flags...), OnUsageError: storeUsage, Action: inspecting(run)}
	}
	count := &cli.Int64Flag{Name: "count", Usage: "print at most `N`"}
	group := func(name, usage string, sub ...*cli.Command) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, HideHelpCommand: true, HideHelp: true, Flags: []cli.Flag{help}, OnUsageError: storeUsage, Subcommands: sub,
			Action: func(c *cli.Context) error {
				if c.Args().Present() {
					return &exitError{statusNoCheck, fmt.Errorf("unknown command %q, see skylark store --help", c.Args().First())}
				}
				return cli.ShowSubcommandHelp(c)
			}}
	}
	return group("store", "look at the files of a message store, repair them",
		command("check", "DIR", "verify everything below storePathRootDir DIR; writes nothing, exits 1 on damage, 2 when it cannot check", storeCheck),
		group("dump", "print what is in a store",
			command("log", "DIR", "print the records of the commit log", dumpLog, count,
				&cli.Int64Flag{Name: "from", Usage: "begin at physical `OFFSET`, or the first record behind it"},
				&cli.StringFlag{Name: "topic", Usage: "only records of this `TOPIC`"},
				&cli.BoolFlag{Name: "body", Usage: "with the bodies"}),
			command("queue", "DIR TOPIC QUEUEID", "print the units of a consume queue", dumpQueue, count,
				&cli.Int64Flag{Name: "from", Value: -1, Usage: "begin at queue `OFFSET`", DefaultText: "the first"}),
			command("index", "DIR [FILE]", "print the headers of the index files", dumpIndex),
			command("checkpoint", "DIR", "print the checkpoint", dumpCheckpoint)),
		command("repair", "DIR", "build anew what can be; what was there is moved to DIR/skylark/moved-<time>; no broker may run", storeRepair,
			&cli.BoolFlag{Name: "fill", Usage: "write filler records over damaged ranges of the commit log; their messages are lost"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only print what would be done"}))
}

func storeUsage(_ *cli.Context, err error, _ bool) error { return &exitError{statusNoCheck, err} }

// inspecting prints help when asked and gives every error a status of its own: 1 means damage here.
func inspecting(run func(c *cli.Context) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.Bool("help") {
			return cli.ShowSubcommandHelp(c)
		}
		err := run(c)
		var e *exitError
		if err == nil || errors.As(err, &e) {
			return err
		}
		return &exitError{statusNoCheck, err}
	}
}

// flagsFirst moves the flags of a store command in front of its arguments, where the flag parser looks for
// them: people write the folder first.
func flagsFirst(args []string, root *cli.Command) []string {
	if len(args) < 2 || args[1] != root.Name {
		return args
	}
	cmd, at := root, 2
	for at < len(args) {
		i := slices.IndexFunc(cmd.Subcommands, func(s *cli.Command) bool { return s.Name == args[at] })
		if i < 0 {
			break
		}
		cmd, at = cmd.Subcommands[i], at+1
	}
	out := slices.Clone(args[:at])
	var words []string
	for rest := args[at:]; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "--" {
			words = append(words, rest[1:]...)
			break
		}
		if !strings.HasPrefix(rest[0], "-") || rest[0] == "-" {
			words = append(words, rest[0])
			continue
		}
		out = append(out, rest[0])
		if takesValue(cmd, rest[0]) && len(rest) > 1 {
			rest = rest[1:]
			out = append(out, rest[0])
		}
	}
	if slices.Contains(out, "-h") || slices.Contains(out, "--help") {
		return out // help with words behind it would be help on these
	}
	if len(words) > 0 {
		out = append(append(out, "--"), words...)
	}
	return out
}

func takesValue(cmd *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range cmd.Flags {
		if _, isBool := f.(*cli.BoolFlag); !isBool && slices.Contains(f.Names(), name) {
			return true
		}
	}
	return false
}

// inspectOptions says where the store is. It wants from least to most arguments, the folder the first of
// them; with -c the file may name the folder instead.
func inspectOptions(c *cli.Context, least, most int) (inspect.Options, []string, error) {
	args := c.Args().Slice()
	o, s := inspect.Options{}, store.DefaultOptions()
	s.MultiPathSplitter = systemProperty(splitterProperty)
	if path := c.String("configFile"); path != "" {
		sizes := struct {
			Slots   int64 `prop:"maxHashSlotNum"`
			Entries int64 `prop:"maxIndexNum"`
		}{}
		b, err := os.ReadFile(path)
		if err != nil {
			return o, nil, fmt.Errorf("cannot read configuration: %w", err)
		}
		p, err := properties.Parse(b)
		if err != nil {
			return o, nil, fmt.Errorf("cannot read configuration %s: %w", path, err)
		}
		for _, w := range properties.Bind(p, &s, &sizes, config.Known()) {
			fmt.Fprintf(c.App.ErrWriter, "%s: %s\n", path, w)
		}
		o = inspect.Options{LogFileSize: s.MappedFileSizeCommitLog, QueueFileSize: s.MappedFileSizeConsumeQueue,
			BatchFileSize: s.MapperFileSizeBatchConsumeQueue, HashSlots: sizes.Slots, IndexEntries: sizes.Entries, DelayLevels: s.MessageDelayLevel}
		if len(args) == least-1 {
			args = append([]string{s.StorePathRootDir}, args...)
		}
	}
	if len(args) < least || len(args) > most {
		return o, nil, fmt.Errorf("%s wants %s, see --help", c.Command.HelpName, c.Command.ArgsUsage)
	}
	o.Root, s.StorePathRootDir = args[0], args[0]
	if dirs := c.String("commitlog"); dirs != "" {
		s.StorePathCommitLog, s.ReadOnlyCommitLogStorePaths = dirs, ""
	}
	dirs, readOnly := s.CommitLogDirs()
	o.CommitLog = append(dirs, readOnly...)
	set(&o.LogFileSize, c.Int64("mappedFileSizeCommitLog"))
	set(&o.QueueFileSize, c.Int64("mappedFileSizeConsumeQueue"))
	set(&o.HashSlots, c.Int64("maxHashSlotNum"))
	set(&o.IndexEntries, c.Int64("maxIndexNum"))
	return o, args[1:], nil
}

func set[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

// out prints lines for people, or v as one line of JSON.
func out(c *cli.Context, line string, v any) {
	if !c.Bool("json") {
		fmt.Fprintln(c.App.Writer, line)
		return
	}
	if b, err := json.Marshal(v); err == nil {
		fmt.Fprintf(c.App.Writer, "%s\n", b)
	}
}

type summaryLine struct {
	Summary inspect.Summary `json:"summary"`
}

func printFinding(c *cli.Context) func(inspect.Finding) {
	return func(f inspect.Finding) { out(c, f.String(), f) }
}

// judge turns a summary into the exit status.
func judge(c *cli.Context, s inspect.Summary) error {
	out(c, s.String(), summaryLine{s})
	if s.Damaged > 0 {
		return &exitError{status: statusDamage}
	}
	return nil
}

func storeCheck(c *cli.Context) error {
	o, _, err := inspectOptions(c, 1, 1)
	if err != nil {
		return err
	}
	s, err := inspect.Check(c.Context, o, printFinding(c))
	if err != nil {
		return err
	}
	return judge(c, s)
}

func storeRepair(c *cli.Context) error {
	o, _, err := inspectOptions(c, 1, 1)
	if err != nil {
		return err
	}
	s, err := inspect.Repair(c.Context, o, inspect.RepairOptions{
		Fill: c.Bool("fill"), DryRun: c.Bool("dry-run"), Finding: printFinding(c),
		Step: func(text string) { out(c, text, map[string]string{"step": text}) },
	})
	if err != nil {
		return err
	}
	return judge(c, s)
}

func dumpLog(c *cli.Context) error {
	o, _, err := inspectOptions(c, 1, 1)
	if err != nil {
		return err
	}
	q := inspect.LogQuery{From: c.Int64("from"), Count: c.Int64("count"), Topic: c.String("topic"), Body: c.Bool("body"), JSON: c.Bool("json")}
	return inspect.DumpLog(c.Context, o, q, c.App.Writer)
}

func dumpQueue(c *cli.Context) error {
	o, args, err := inspectOptions(c, 3, 3)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil || id < 0 {
		return fmt.Errorf("%q is no queue id", args[1])
	}
	return inspect.DumpQueue(c.Context, o, args[0], int32(id), c.Int64("from"), c.Int64("count"), c.Bool("json"), c.App.Writer)
}

func dumpIndex(c *cli.Context) error {
	o, args, err := inspectOptions(c, 1, 2)
	if err != nil {
		return err
	}
	return inspect.DumpIndex(c.Context, o, strings.Join(args, ""), c.Bool("json"), c.App.Writer)
}

func dumpCheckpoint(c *cli.Context) error {
	o, _, err := inspectOptions(c, 1, 1)
	if err != nil {
		return err
	}
	return inspect.DumpCheckpoint(o, c.Bool("json"), c.App.Writer)
}
