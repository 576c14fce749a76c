// Package mqadmin is the operator's command line, `skylark admin`: the commands, options and columns of Java's
// mqadmin 5.5.0 on package client/admin. Each family of commands is a file with a table.
//
// Unlike Java's, a command that fails exits with status 1 and says why on standard error, and every query has
// --json. What Java takes from the order of its hash tables comes sorted by name.
package mqadmin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// command is one row of a family's table. options are words "short/long" with "=" behind them when they take a
// value, "=*" when it must be given, "=#" when it is a number and "=#*" for both.
type command struct {
	name, alias, usage, options string
	run                         func(k *call) error
	change                      bool // it changes something, so there is no --json
}

func commands() []command {
	return slices.Concat(clusterCommands(), topicCommands(), staticTopicCommands(), groupCommands(), consumerCommands(), offsetCommands(), messageCommands(), printCommands(),
		sendCommands(), brokerCommands(), namesrvCommands(), exportCommands(), authCommands(), compactionCommands())
}

// notBuilt are Java's commands that are not here, with the reason.
func notBuilt() map[string]string {
	out := map[string]string{}
	for why, names := range map[string]string{
		"it is for broker containers": "addBroker removeBroker",
		"it is for controllers":       "getSyncStateSet getControllerMetaData getControllerConfig updateControllerConfig electMaster cleanBrokerMetadata",
		"it is for RocksDB stores":    "exportMetadataInRocksDB rocksDBConfigToJson checkRocksdbCqWriteProgress",
		"it is for lite topics":       "getBrokerLiteInfo getParentTopicInfo getLiteTopicInfo getLiteClientInfo getLiteGroupInfo triggerLiteDispatch",
	} {
		for _, n := range strings.Fields(names) {
			out[n] = why
		}
	}
	return out
}

// Command returns the command line `admin`.
func Command(out io.Writer) *cli.Command {
	c := &cli.Command{
		Name: "admin", Usage: "the commands of mqadmin", HideHelp: true, HideHelpCommand: true, SkipFlagParsing: true,
		Action: func(c *cli.Context) error { return dispatch(c, out) },
	}
	return c
}

// dispatch finds the command by its name or alias, in any case.
func dispatch(c *cli.Context, out io.Writer) error {
	args := c.Args().Slice()
	if len(args) == 2 && args[0] == "help" {
		args = []string{args[1], "-h"}
	}
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		list(out)
		return nil
	}
	for _, cmd := range commands() {
		if strings.EqualFold(cmd.name, args[0]) || cmd.alias != "" && strings.EqualFold(cmd.alias, args[0]) {
			return cmd.execute(c.Context, out, c.App.ErrWriter, args[1:])
		}
	}
	for name, why := range notBuilt() {
		if strings.EqualFold(name, args[0]) {
			return fmt.Errorf("the sub command %s of mqadmin is not here: %s", name, why)
		}
	}
	return fmt.Errorf("the sub command %s not exist, see: skylark admin help", args[0])
}

// list prints the commands as Java does.
func list(out io.Writer) {
	fmt.Fprintf(out, "The most commonly used mqadmin commands are:\n")
	for _, cmd := range commands() {
		fmt.Fprintf(out, "   %-35s %s\n", cmd.name, cmd.usage)
	}
	fmt.Fprintf(out, "\nSee 'mqadmin help <command>' for more information on a specific command.\n")
}

// execute parses the options and runs the command.
func (cmd command) execute(ctx context.Context, out, errOut io.Writer, args []string) error {
	app := &cli.App{
		Name: "mqadmin " + cmd.name, Usage: cmd.usage, Writer: out, ErrWriter: errOut, HideHelpCommand: true, HideVersion: true,
		ExitErrHandler: func(*cli.Context, error) {}, Flags: cmd.flags(),
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("the argument %q belongs to no option", c.Args().First())
			}
			return cmd.call(c, out, errOut)
		},
	}
	return app.RunContext(ctx, append([]string{app.Name}, args...))
}

// flags makes the options of the table, and those that every command has.
func (cmd command) flags() []cli.Flag {
	var flags []cli.Flag
	for _, word := range strings.Fields(cmd.options) {
		names, kind, valued := strings.Cut(word, "=")
		short, long, _ := strings.Cut(names, "/")
		var aliases []string
		if long != "" {
			aliases = []string{long}
		}
		usage := optionUsage(cmd.name, short, long)
		if valued {
			flags = append(flags, &cli.StringFlag{Name: short, Aliases: aliases, Usage: usage, Required: strings.Contains(kind, "*"), Action: check(short, kind)})
		} else {
			flags = append(flags, &cli.BoolFlag{Name: short, Aliases: aliases, Usage: usage})
		}
	}
	flags = append(flags, &cli.StringFlag{Name: "n", Aliases: []string{"namesrvAddr"}, EnvVars: []string{"NAMESRV_ADDR"}, Usage: "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'"})
	if !cmd.change {
		flags = append(flags, &cli.BoolFlag{Name: "json", Usage: "print JSON"})
	}
	return flags
}

// check refuses a value that is no number where one is wanted.
func check(name, kind string) func(*cli.Context, string) error {
	if !strings.Contains(kind, "#") {
		return nil
	}
	return func(_ *cli.Context, value string) error {
		if _, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
			return fmt.Errorf("option -%s wants a number, not %q", name, value)
		}
		return nil
	}
}

// call is one run of a command.
type call struct {
	*admin.Client
	ctx  context.Context
	c    *cli.Context
	out  io.Writer
	errs io.Writer
}

func (cmd command) call(c *cli.Context, out, errOut io.Writer) error {
	credentials, err := toolsYml()
	if err != nil {
		return err
	}
	o := admin.Options{Credentials: credentials, Logger: zerolog.Nop()}
	for _, a := range strings.FieldsFunc(c.String("n"), func(r rune) bool { return r == ';' || r == ',' }) {
		o.Namesrv = append(o.Namesrv, strings.TrimSpace(a))
	}
	k := &call{Client: admin.New(o), ctx: c.Context, c: c, out: out, errs: errOut}
	defer k.Close()
	return explain(cmd.run(k))
}

// explain gives the refusal of a server Java's form, which scripts look for.
func explain(err error) error {
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return fmt.Errorf("CODE: %d  DESC: %s", refused.Code, refused.Remark)
	}
	if errors.Is(err, admin.ErrNoNamesrv) {
		return errors.New("no name server: give -n HOST:PORT or set NAMESRV_ADDR")
	}
	return err
}

// toolsYml reads accessKey, secretKey and securityToken from $ROCKETMQ_HOME/conf/tools.yml, which may be absent.
func toolsYml() (admin.Credentials, error) {
	var c admin.Credentials
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROCKETMQ_HOME"), "conf", "tools.yml"))
	if os.Getenv("ROCKETMQ_HOME") == "" || errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("cannot read the credentials: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch strings.TrimSpace(key) {
		case "accessKey":
			c.AccessKey = value
		case "secretKey":
			c.SecretKey = value
		case "securityToken":
			c.SecurityToken = value
		}
	}
	return c, nil
}

func (k *call) has(name string) bool   { return k.c.IsSet(name) }
func (k *call) str(name string) string { return strings.TrimSpace(k.c.String(name)) }

// boolean reads an option as Java's Boolean.parseBoolean does.
func (k *call) boolean(name string, otherwise bool) bool {
	if !k.has(name) {
		return otherwise
	}
	return strings.EqualFold(k.str(name), "true")
}

// num reads an option that the table declares a number.
func (k *call) num(name string, otherwise int64) int64 {
	if !k.has(name) {
		return otherwise
	}
	n, err := strconv.ParseInt(k.str(name), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("BUG: option -%s is not declared a number", name))
	}
	return n
}

func (k *call) printf(format string, args ...any) { fmt.Fprintf(k.out, format, args...) }

// show prints v as JSON when that was asked for, and otherwise what text prints.
func (k *call) show(v any, text func()) error {
	if !k.c.Bool("json") {
		text()
		return nil
	}
	b, err := body.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(k.out, "%s\n", b)
	}
	return err
}

// errNoTarget says that neither a broker nor a cluster was named.
var errNoTarget = errors.New("give a broker (-b) or a cluster (-c)")

// masters returns the broker of -b or the masters of -c.
func (k *call) masters() ([]string, error) {
	switch {
	case k.has("b"):
		return []string{k.str("b")}, nil
	case k.has("c"):
		return k.Masters(k.ctx, k.str("c"))
	}
	return nil, errNoTarget
}

// brokers returns the broker of -b or all of -c, slaves too.
func (k *call) brokers() ([]string, error) {
	if k.has("b") || !k.has("c") {
		return k.masters()
	}
	list, err := k.Brokers(k.ctx, k.str("c"))
	var out []string
	for _, b := range list {
		for _, id := range brokerIDs(b) {
			out = append(out, b.BrokerAddrs[id])
		}
	}
	return out, err
}

// each calls fn with each address that find gives.
func (k *call) each(find func() ([]string, error), fn func(addr string) error) error {
	addrs, err := find()
	for _, a := range addrs {
		if err := fn(a); err != nil {
			return err
		}
	}
	return err
}

// repeat calls fn once or, with option -i, every so many seconds until the process is stopped.
func (k *call) repeat(fn func() error) error {
	for {
		if err := fn(); err != nil || !k.has("i") {
			return err
		}
		if err := k.sleep(time.Duration(k.num("i", 0)) * time.Second); err != nil {
			return nil
		}
	}
}

func (k *call) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-k.ctx.Done():
		return k.ctx.Err()
	}
}
