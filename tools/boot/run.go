package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/tools/config"
	"github.com/skylarkmq/skylark/tools/ops"
)

// newLogger returns the program's logger: lines for people, or JSON when SKYLARK_LOG is "json", on stderr, on stdout when
// SKYLARK_LOG_OUTPUT is "stdout", or into a file of the folder SKYLARK_LOG_DIR, named after the server. Its level is
// zerolog's global one, which can change.
func newLogger(c *cli.Context) (zerolog.Logger, error) {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	w := c.App.ErrWriter
	prints := c.Bool("printConfigItem") || c.Bool("printImportantConfig") // stdout is for the settings then
	if os.Getenv("SKYLARK_LOG_OUTPUT") == "stdout" && !prints {
		w = c.App.Writer
	}
	if dir := os.Getenv("SKYLARK_LOG_DIR"); dir != "" && !prints {
		f, err := openLogFile(dir, c.Command.Name)
		if err != nil {
			return zerolog.Nop(), &exitError{statusFailed, err}
		}
		w = f // it is open as long as the process
	}
	if os.Getenv("SKYLARK_LOG") != "json" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "2006-01-02 15:04:05.000", NoColor: true}
	}
	level := zerolog.InfoLevel
	if l, err := zerolog.ParseLevel(os.Getenv("SKYLARK_LOG_LEVEL")); err == nil && l != zerolog.NoLevel {
		level = l
	}
	zerolog.SetGlobalLevel(level)
	return zerolog.New(w).Level(zerolog.TraceLevel).With().Timestamp().Logger(), nil
}

// setLogLevel changes from which level on lines are logged; "" changes nothing.
func setLogLevel(level string) {
	if l, err := zerolog.ParseLevel(level); err == nil && level != "" {
		zerolog.SetGlobalLevel(l)
	}
}

// bind reads the file of -c into targets and says what it did as Java does.
func bind(c *cli.Context, log zerolog.Logger, known properties.Keys, targets ...any) error {
	path := c.String("configFile")
	if path == "" {
		bindEnvironment(log, targets...)
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return &exitError{statusFailed, fmt.Errorf("cannot read configuration: %w", err)}
	}
	p, err := properties.Parse(b)
	if err != nil {
		return &exitError{statusFailed, fmt.Errorf("cannot read configuration %s: %w", path, err)}
	}
	for _, w := range properties.Bind(p, append(targets, known)...) {
		log.Warn().Str("file", path).Msg(w)
	}
	for key := range p.All() {
		if why, unused := config.Unused(key); unused {
			log.Info().Str("file", path).Msgf("option %s is accepted and has no use here: %v", key, why)
		}
	}
	warnOfNotBuilt(c, log, p, properties.Names(targets...))
	bindEnvironment(log, targets...)
	fmt.Fprintf(c.App.Writer, "load config properties file OK, %s\n", path)
	return nil
}

// warnOfNotBuilt names the keys of this kind of server that the file changes while nothing here heeds them yet.
func warnOfNotBuilt(c *cli.Context, log zerolog.Logger, p *properties.Properties, used properties.Keys) {
	keys := config.Broker()
	if c.Command.Name == "namesrv" {
		keys = config.Namesrv()
	}
	for key, value := range p.All() {
		if _, unused := config.Unused(key); unused || slices.Contains(used, key) {
			continue
		}
		if i := slices.IndexFunc(keys, func(k config.Key) bool { return k.Name == key }); i >= 0 && keys[i].Default != strings.TrimSpace(value) {
			log.Warn().Str("file", c.String("configFile")).Msgf("option %s is accepted and not built yet: %s=%s changes nothing", key, key, value)
		}
	}
}

func print(c *cli.Context, targets ...any) error {
	_, err := fmt.Fprint(c.App.Writer, properties.Text(properties.List(targets...)))
	return err
}

func namesrvOptions(c *cli.Context, log zerolog.Logger) (namesrv.Options, error) {
	o := namesrv.DefaultOptions()
	o.Logger, o.KnownKeys, o.SetLogLevel = log, config.Known(), setLogLevel
	namesrvEnvironment(&o)
	if err := bind(c, log, config.Known(), &o); err != nil {
		return o, err
	}
	if err := loaded(c, o.LoadOverrides()); err != nil {
		return o, err
	}
	setLogLevel(o.LogLevel)
	return o, nil
}

// loaded gives an error of what was changed at run time its exit status.
func loaded(c *cli.Context, err error) error {
	if err != nil {
		return &exitError{statusFailed, inFile(c, err)}
	}
	return nil
}

func runNamesrv(c *cli.Context) error {
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	o, err := namesrvOptions(c, log)
	if err != nil {
		return err
	}
	if c.Bool("printConfigItem") {
		return print(c, &o)
	}
	h, err := startOps(c, log, o.HTTPListen, nil)
	if err != nil {
		return err
	}
	s, err := startNamesrv(c, o, h)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	h.Serving()
	removePid, err := writePid()
	if err == nil {
		waitForStop(c.Context)
		removePid()
	}
	h.Stopping()
	if err = errors.Join(err, s.Close(), h.Close()); err != nil {
		return &exitError{statusFailed, err}
	}
	return stopped(c.Context)
}

// inFile adds the configuration file to the error of a start.
func inFile(c *cli.Context, err error) error {
	if path := c.String("configFile"); path != "" {
		return fmt.Errorf("cannot start with %s: %w", path, err)
	}
	return err
}

// startOps says in the log what starts, and opens the HTTP listener for operators, if there is to be one; p is the progress of the store that
// will be opened.
func startOps(c *cli.Context, log zerolog.Logger, listen string, p *store.Progress) (*ops.Server, error) {
	id, at := source()
	log.Info().Str("version", Version).Str("commit", id).Str("committed", at).Str("go", runtime.Version()).Int("pid", os.Getpid()).Msgf("skylark %s starts", c.Command.Name)
	h, err := ops.Open(ops.Options{Listen: listen, Logger: log, Version: Version, Commit: id, Progress: p})
	if err != nil {
		return nil, &exitError{statusFailed, inFile(c, err)}
	}
	return h, nil
}

func startNamesrv(c *cli.Context, o namesrv.Options, h *ops.Server) (*namesrv.Server, error) {
	s, err := namesrv.Open(o)
	if err != nil {
		return nil, &exitError{statusFailed, inFile(c, err)}
	}
	h.SetNamesrv(s)
	fmt.Fprintf(c.App.Writer, "The Name Server boot success. serializeType=JSON, address %s\n", s.Addr())
	return s, nil
}

func brokerOptions(c *cli.Context, log zerolog.Logger) (broker.Options, error) {
	o := broker.DefaultOptions()
	o.Logger, o.Store.Logger, o.KnownKeys, o.SetLogLevel = log, log, config.Known(), setLogLevel
	brokerEnvironment(log, &o)
	if err := bind(c, log, config.Known(), &o, &o.Store); err != nil {
		return o, err
	}
	if err := loaded(c, o.LoadOverrides()); err != nil {
		return o, err
	}
	setLogLevel(o.LogLevel)
	if n := c.String("namesrvAddr"); n != "" {
		o.NamesrvAddr = n
	}
	return o, nil
}

// important are the keys -m prints. Java: @ImportantField of BrokerConfig and MessageStoreConfig.
const important = " namesrvAddr listenPort brokerRole accessMessageInMemoryMaxRatio fetchNameSrvAddrByDnsLookup msgTraceTopicName traceTopicEnable brokerIP1 brokerName brokerClusterName brokerId autoCreateTopicEnable autoCreateSubscriptionGroup " +
	"storePathRootDir storePathCommitLog flushIntervalCommitLog flushDiskType maxTransferBytesOnMessageInMemory maxTransferCountOnMessageInMemory " +
	"maxTransferBytesOnMessageInDisk maxTransferCountOnMessageInDisk rejectTransactionMessage "

func runBroker(c *cli.Context) error {
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	o, err := brokerOptions(c, log)
	if err != nil {
		return err
	}
	if c.Bool("printConfigItem") {
		return print(c, &o, &o.Store)
	}
	if c.Bool("printImportantConfig") {
		var kept []properties.KV
		for _, kv := range properties.List(&o, &o.Store) {
			if strings.Contains(important, " "+kv.Key+" ") {
				kept = append(kept, kv)
			}
		}
		_, err := fmt.Fprint(c.App.Writer, properties.Text(kept))
		return err
	}
	o.Store.Progress = &store.Progress{}
	h, err := startOps(c, log, o.HTTPListen, o.Store.Progress)
	if err != nil {
		return err
	}
	b, err := startBroker(c, o)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	h.SetBroker(b)
	h.Serving()
	removePid, err := writePid()
	if err == nil {
		b.Wait(c.Context)
		removePid()
	}
	h.Stopping()
	if err = errors.Join(err, b.Close(), h.Close()); err != nil {
		return &exitError{statusFailed, err}
	}
	return stopped(c.Context)
}

func startBroker(c *cli.Context, o broker.Options) (*broker.Broker, error) {
	b, err := broker.Open(o)
	if err != nil {
		var se *broker.StartError
		if errors.As(err, &se) {
			return nil, &exitError{se.Status, inFile(c, err)}
		}
		return nil, &exitError{statusFailed, inFile(c, err)}
	}
	line := fmt.Sprintf("The broker[%s, %s] boot success. serializeType=JSON", o.BrokerName, o.Addr())
	if o.NamesrvAddr != "" {
		line += " and name server is " + o.NamesrvAddr
	}
	fmt.Fprintln(c.App.Writer, line)
	return b, nil
}

// statusTerminated is what a JVM exits with on SIGTERM after its shutdown hooks, 128 + 15; service units
// written for Java expect it.
const statusTerminated = 143

// stopped is the end of a server that was asked to stop: 128 + the signal, as a JVM's.
func stopped(ctx context.Context) error {
	var s stopSignal
	if errors.As(context.Cause(ctx), &s) {
		return &exitError{status: 128 + int(s.Signal)}
	}
	return &exitError{status: statusTerminated}
}

func runStandalone(c *cli.Context) error {
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.String("dir"))
	if err != nil {
		return &exitError{statusFailed, err}
	}
	no := namesrv.DefaultOptions()
	no.Logger = log
	no.ListenPort = int32(c.Int("namesrvPort"))
	no.KVConfigPath = filepath.Join(dir, "namesrv", "kvConfig.json")
	no.ConfigStorePath = filepath.Join(dir, "namesrv", "namesrv.properties")
	bo := broker.DefaultOptions()
	bo.Logger, bo.Store.Logger, bo.KnownKeys, no.KnownKeys = log, log, config.Known(), config.Known()
	bo.SetLogLevel, no.SetLogLevel = setLogLevel, setLogLevel
	brokerEnvironment(log, &bo)
	bo.BrokerName, bo.BrokerIP1, bo.BrokerIP2 = "broker-a", "127.0.0.1", "127.0.0.1"
	bo.ListenPort = int32(c.Int("port"))
	bo.Store.StorePathRootDir = filepath.Join(dir, "store")
	if err := bind(c, log, config.Known(), &bo, &bo.Store); err != nil {
		return err
	}
	if err := loaded(c, bo.LoadOverrides()); err != nil {
		return err
	}
	setLogLevel(bo.LogLevel)
	bo.NamesrvAddr = fmt.Sprintf("127.0.0.1:%d", no.ListenPort)
	bo.Store.Progress = &store.Progress{}
	h, err := startOps(c, log, bo.HTTPListen, bo.Store.Progress)
	if err != nil {
		return err
	}
	ns, err := startNamesrv(c, no, h)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	b, err := startBroker(c, bo)
	if err != nil {
		return errors.Join(err, ns.Close(), h.Close())
	}
	h.SetBroker(b)
	h.Serving()
	fmt.Fprintf(c.App.Writer, "\nSkylark is ready. Clients connect to the name server at 127.0.0.1:%d; data is in %s. Ctrl-C stops it.\n", no.ListenPort, dir)
	removePid, err := writePid()
	if err == nil {
		b.Wait(c.Context)
		removePid()
	}
	h.Stopping()
	if err = errors.Join(err, b.Close(), ns.Close(), h.Close()); err != nil {
		return &exitError{statusFailed, err}
	}
	return nil
}
