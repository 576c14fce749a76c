// Package broker puts a broker together: the store, the tables, the handlers and the servers. It holds no
// behaviour of its own; broker.go opens and closes, routes.go is the table of request codes.
package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/broker/admin"
	"github.com/skylarkmq/skylark/broker/assign"
	"github.com/skylarkmq/skylark/broker/auth"
	"github.com/skylarkmq/skylark/broker/client"
	"github.com/skylarkmq/skylark/broker/cold"
	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/broker/metrics"
	"github.com/skylarkmq/skylark/broker/metrics/export"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/order"
	"github.com/skylarkmq/skylark/broker/peer"
	"github.com/skylarkmq/skylark/broker/pop"
	"github.com/skylarkmq/skylark/broker/pull"
	"github.com/skylarkmq/skylark/broker/relay"
	"github.com/skylarkmq/skylark/broker/schedule"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/statictopic"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/broker/transaction"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/server"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/timer"
)

// Broker is a running broker.
type Broker struct {
	o       Options                 // as of the start: what may change must be read from live
	live    atomic.Pointer[Options] // as of now, never changed in place
	started time.Time

	updating      sync.Mutex // a change of the configuration
	configVersion atomic.Pointer[body.DataVersion]
	retimed       chan struct{} // intervals have changed

	store    *store.Store
	topics   *topic.Table
	mappings *mapping.Table
	groups   *group.Table
	offsets  *offset.Table
	sessions *session.Table
	filters  *filter.Table
	locks    *order.Locks
	auth     *auth.Table

	stats     *stats.Stats
	registrar atomic.Pointer[peer.Registrar] // set when the server already listens
	sender    *send.Sender
	puller    *pull.Puller
	cold      *cold.Control
	scheduler *schedule.Scheduler
	relay     *relay.Relay
	timer     *timer.Timer // nil: timerWheelEnable is false
	trans     *transaction.Transactions
	popper    *pop.Popper
	static    *statictopic.Static
	assigner  *assign.Assigner
	clients   *client.Handlers
	admin     *admin.Handlers
	native    *metrics.Native
	exporter  *export.Exporter

	mux    *mux.Mux
	lanes  lanes
	server *server.Server

	fatal    chan error // a disk error of the store
	stop     chan struct{}
	keepers  sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// Open recovers the store, loads the tables, listens and registers. Errors that Java gives an exit status
// of its own are *StartError.
func Open(o Options) (*Broker, error) {
	if o.overrides == nil {
		if err := o.LoadOverrides(); err != nil {
			return nil, err
		}
	}
	o, err := o.validate()
	if err != nil {
		return nil, err
	}
	o.KnownKeys = properties.Names(&o, &o.Store, o.KnownKeys)
	b := &Broker{o: o, started: time.Now(), fatal: make(chan error, 1), stop: make(chan struct{}), retimed: make(chan struct{}, 1)}
	b.live.Store(&o)
	b.configVersion.Store(&body.DataVersion{Timestamp: b.started.UnixMilli()})
	if err := b.open(); err != nil {
		b.closeErr = errors.Join(err, b.Close())
		return nil, fmt.Errorf("cannot start broker %s: %w", o.BrokerName, err)
	}
	return b, nil
}

func (b *Broker) open() error {
	// The store first: it locks the folder that the tables lie in, and opens those of topics and filters.
	if err := b.openStore(); err != nil {
		return err
	}
	b.warnOfMissing()
	if err := b.openTables(); err != nil {
		return err
	}
	b.warnOfUnknownTopics()
	b.mux = mux.New(mux.Options{Logger: b.o.Logger, FastPort: int(b.o.ListenPort) - 2, SlowRequest: ms(b.o.Store.SlowMillis)})
	b.lanes = b.openLanes()
	if err := b.openHandlers(); err != nil {
		return err
	}
	b.openStatic()
	b.addRoutes()
	err := b.openMetrics()
	if err != nil {
		return err
	}
	b.server, err = server.Open(server.Options{Logger: b.o.Logger, Bind: b.o.BindAddress, Ports: []int{int(b.o.ListenPort), int(b.o.ListenPort) - 2},
		Mux: b.mux, MaxIdle: time.Duration(b.o.ServerChannelMaxIdleTimeSeconds) * time.Second})
	if err != nil {
		return err
	}
	b.keepers.Go(b.keep)
	return b.register()
}

// register enters the broker at its name servers, and again now and then. Those that are down are tried
// again; the broker serves all the same.
func (b *Broker) register() error {
	b.updating.Lock() // from then on who changes namesrvAddr finds the registrar
	r, err := b.openRegistrar()
	b.updating.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerWait)
	defer cancel()
	_ = r.Register(ctx)
	return nil
}

func (b *Broker) openRegistrar() (*peer.Registrar, error) {
	o := b.live.Load()
	url := o.addressServer()
	if o.NamesrvAddr == "" && url == "" {
		b.o.Logger.Warn().Msg("no name server is set (namesrvAddr), clients cannot find this broker")
	}
	r, err := peer.Open(peer.Options{Logger: o.Logger, ClusterName: o.BrokerClusterName, BrokerName: o.BrokerName, BrokerID: o.BrokerID,
		BrokerAddr: o.Addr(), HAServerAddr: net.JoinHostPort(o.BrokerIP2, fmt.Sprint(o.HaListenPort)), NameServers: o.NamesrvAddr,
		Period: time.Duration(o.RegisterNameServerPeriod) * time.Millisecond, Timeout: time.Duration(o.RegisterBrokerTimeoutMills) * time.Millisecond,
		ForceRegister: o.ForceRegister, CompressedRegister: o.CompressedRegister, Permission: func() int32 { return b.live.Load().BrokerPermission },
		Topics: b.topics, Mappings: b.mappings.Infos, OnOrderTopics: b.topics.MarkOrder, DNSLookup: o.FetchNameSrvAddrByDNSLookup,
		AddressServer: url, FetchEvery: ms(o.FetchNamesrvAddrInterval)})
	if err == nil {
		b.registrar.Store(r)
	}
	return r, err
}

// openFirst opens the tables that the store asks when it recovers: topics, of the form of their queues, and filters, of
// bit maps. The store calls it when the folder is locked.
func (b *Broker) openFirst() error {
	o := &b.o
	var err error
	b.topics, err = topic.Open(topic.Options{Path: o.config("topics.json"), Logger: o.Logger, BrokerName: o.BrokerName, ClusterName: o.BrokerClusterName,
		DefaultTopicQueueNums: o.DefaultTopicQueueNums, AutoCreateTopicEnable: o.AutoCreateTopicEnable, ClusterTopicEnable: o.ClusterTopicEnable,
		BrokerTopicEnable: o.BrokerTopicEnable, TraceTopicEnable: o.TraceTopicEnable, MsgTraceTopicName: o.MsgTraceTopicName,
		TimerWheelEnable: o.TimerWheelEnable, ReviveQueueNum: o.ReviveQueueNum, EnableLmq: o.Store.EnableLmq, OnChange: b.topicsChanged})
	if err != nil {
		return err
	}
	b.filters, err = filter.Open(filter.Options{Path: o.config("consumerFilter.json"), Logger: o.Logger, CleanTimeSpan: time.Duration(o.FilterDataCleanTimeSpan) * time.Millisecond,
		MaxErrorRate: o.MaxErrorRateOfBloomFilter, ExpectedConsumers: o.ExpectConsumerNumUseFilter})
	return err
}

// batchTopic tells the store which topics have batch queues.
func (b *Broker) batchTopic(name string) (batch, known bool) {
	c := b.topics.Get(name)
	return c != nil && c.Attributes[topic.AttrQueueType] == topic.QueueTypeBatch, c != nil
}

func (b *Broker) openTables() error {
	o := &b.o
	var err error
	b.mappings, err = mapping.Open(mapping.Options{Path: o.config("topicQueueMapping.json"), Logger: o.Logger, BrokerName: o.BrokerName,
		OnChange: func(topic string) { b.puller.Moved(topic) }}) // the puller is made behind the table, before any request
	if err != nil {
		return err
	}
	b.groups, err = group.Open(group.Options{Path: o.config("subscriptionGroup.json"), Logger: o.Logger, AutoCreateSubscriptionGroup: o.AutoCreateSubscriptionGroup,
		EnableCreateSysGroup: o.EnableCreateSysGroup, EnableLmq: o.Store.EnableLmq})
	if err != nil {
		return err
	}
	offsets := offset.Options{Path: o.config("consumerOffset.json"), Logger: o.Logger, UseServerSideResetOffset: o.UseServerSideResetOffset}
	if o.Store.EnableLmq {
		offsets.Former, offsets.Path = offsets.Path, o.config(lmqOffsets)
	}
	b.offsets, err = offset.Open(offsets)
	if err != nil {
		return err
	}
	b.auth, err = auth.Open(auth.Options{Path: o.private("auth.json"), Logger: o.Logger, Settings: o.Settings})
	if err != nil {
		return err
	}
	b.locks = order.New(time.Now)
	b.sessions = session.Open(session.Options{Logger: o.Logger, ChannelExpiredTimeout: time.Duration(o.ChannelExpiredTimeout) * time.Millisecond,
		NotifyEnabled: func() bool { return b.live.Load().NotifyConsumerIdsChangedEnable }, Compile: compileFilter,
		Subscribed: b.filters.Register, Left: b.filters.Unregister})
	return nil
}

// compileFilter keeps with a subscription what pulling needs of it.
func compileFilter(d *body.SubscriptionData) any { return pull.NewFilter(d) }

func (b *Broker) openStore() error {
	o := b.o.Store
	o.Logger = b.o.Logger
	// What listens is made behind the store and asks for the messages of its queues only then.
	o.Listener = b.arrived
	o.OnFatal = func(err error) { b.fatal <- err }
	o.Locked, o.BatchTopic = b.openFirst, b.batchTopic
	o.CompactedTopic = func(name string) bool { return topic.Compacted(b.topics.Get(name)) }
	var bits []byte // BitMap is called by one goroutine at a time
	o.BitMap = func(r *message.Record) []byte {
		var ok bool
		if bits, ok = b.filters.AppendBitMap(bits[:0], r.Topic, r.Properties); !ok {
			return nil
		}
		return bits
	}
	o.BitMapLengthConsumeQueueExt = math.MaxInt32 // the filters know; Java sets it to what they say: ConsumerFilterManager
	var err error
	if b.store, err = store.Open(o); err != nil {
		return err
	}
	for _, c := range b.topics.All() {
		b.compact(c.TopicName)
	}
	return nil
}

// compact tells the store, once it is open, of a topic that is compacted.
func (b *Broker) compact(name string) {
	if b.store != nil && topic.Compacted(b.topics.Get(name)) {
		b.store.Compact(name)
	}
}

func (b *Broker) openHandlers() error {
	o, settings := &b.o, b.settings()
	b.stats = stats.Open(stats.Options{ClusterName: o.BrokerClusterName, IsSystem: b.topics.IsSystem,
		FoldLMQ: o.Store.EnableLmq && !o.EnableLmqStats})
	b.sender = send.New(send.Options{Logger: o.Logger, BrokerIP: o.BrokerIP1, ClusterName: o.BrokerClusterName, StoreHost: o.storeHost(),
		Settings: settings.send, Store: b.store, Topics: b.topics, Mappings: b.mappings, Group: b.groups.Get, OrderLocked: b.locks.HasUnexpired,
		Validate: topic.ValidateName, NoSend: topic.NoSend, Stats: b.stats, Observe: b.mux.Observe,
		BrokerName: o.BrokerName, Journal: b.mux.Journal(),
		CountHalf: func(topic string) { b.trans.CountHalf(topic) }})
	b.cold = cold.New(cold.Options{GroupThreshold: o.CgColdReadThreshold, GlobalThreshold: o.GlobalColdReadThreshold, Logger: o.Logger, ReadAhead: b.store.ReadAhead})
	b.puller = pull.New(pull.Options{Logger: o.Logger, BrokerIP: o.BrokerIP1, Settings: settings.pull,
		Store: b.store, Topic: b.topics.Get, Mappings: b.mappings, Remote: b.call, Group: b.groups.Get, Consumers: b.consumers, Offsets: b.offsets,
		Filters: b.filters, Cold: b.coldControl(), ConsumeType: b.sessions.ConsumeType, Member: b.sessions.Member,
		Forbidden: func(g, t string) bool { return b.groups.Forbidden(g, t)&group.ForbidRead != 0 }, Count: b.stats.Pull, Missed: b.stats.Miss})
	b.relay = relay.New(relay.Options{Logger: o.Logger, BrokerName: o.BrokerName, Settings: settings.relay, StoreHost: message.HostOf(o.storeHost()),
		Topics: b.topics, Groups: b.groups, Offsets: b.offsets, Sessions: b.sessions, Store: b.store, Put: b.sender.Put,
		UseServerSideResetOffset: o.UseServerSideResetOffset, Stored: b.stats.Reply})
	var err error
	b.scheduler, err = schedule.Open(schedule.Options{Logger: o.Logger, Path: o.config("delayOffset.json"), Store: b.store, Put: b.sender.Put,
		Delivered:    func(topic string, bytes int) { b.stats.Scheduled(store.ScheduleTopic, topic, bytes) },
		PersistEvery: time.Duration(o.FlushDelayOffsetInterval) * time.Millisecond})
	if err != nil {
		return err
	}
	b.trans = transaction.Open(b.transactionOptions())
	if !o.TimerWheelEnable {
		return b.openPop()
	}
	b.timer, err = timer.Open(timer.Options{Logger: o.Logger, Store: b.store, Put: b.sender.Put, Count: b.stats.Put, Entered: b.stats.TimerEntered, Left: b.stats.TimerLeft, MetricsPath: o.config("timermetrics"),
		Precision: timer.Precision(int64(o.TimerPrecisionMs)), RollWindow: int64(o.TimerRollWindowSlot), LogFileSize: int64(o.MappedFileSizeTimerLog),
		FlushInterval: time.Duration(o.TimerFlushIntervalMs) * time.Millisecond, StopEnqueue: o.TimerStopEnqueue, AppendTopicToKeys: o.AppendTopicForTimerDeleteKey})
	if err != nil {
		return err
	}
	return b.openPop()
}

func (b *Broker) transactionOptions() transaction.Options {
	o := &b.o
	return transaction.Options{Logger: o.Logger, BrokerName: o.BrokerName, StoreHost: message.HostOf(o.storeHost()), Path: o.config("transactionMetrics"),
		Store: b.store, Offsets: b.offsets, Topics: b.topics, Producers: b.sessions, Put: b.sender.Put, PutFinal: b.sender.PutDelayed, Stats: b.stats,
		Settings: b.settings().transaction, MetricsInterval: ms(o.TransactionMetricFlush)}
}

// coldControl returns what slows down reads of cold data, nil when nothing is to.
func (b *Broker) coldControl() pull.Cold {
	if !b.o.Store.ColdDataFlowControlEnable {
		return nil
	}
	return b.cold
}

// consumers tells pulling what a group's heartbeats have said of a topic.
func (b *Broker) consumers(group, topic string) pull.Consumers {
	sub, known, broadcasting := b.sessions.Find(group, topic)
	c := pull.Consumers{Known: known, Broadcasting: broadcasting}
	if sub != nil {
		c.Filter, _ = sub.Filter.(*pull.Filter)
	}
	return c
}

// topicsChanged announces new and changed topics to the name servers, and the store learns which are compacted.
// A client that has just made a topic asks for its route next, so this waits for them, but not long.
func (b *Broker) topicsChanged(names ...string) {
	for _, name := range names {
		b.compact(name)
	}
	r := b.registrar.Load()
	if r == nil {
		return // the broker is being opened and not announced yet
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerWait)
	defer cancel()
	_ = r.Register(ctx) // the registrar logs failures and tries again
}

// registerWait bounds how long making a topic waits for the name servers.
const registerWait = time.Second

// keep writes consumer offsets now and then.
func (b *Broker) keep() {
	every := func() time.Duration { return ms(int64(max(b.live.Load().FlushConsumerOffsetInterval, 100))) }
	t := time.NewTicker(every())
	defer t.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-b.retimed:
			t.Reset(every())
		case <-t.C:
			if err := b.offsets.Persist(); err != nil {
				b.o.Logger.Error().Err(err).Msg("cannot write consumer offsets, trying again")
			}
			b.locks.Expire()
			b.filters.Clean()
		}
	}
}

// retime has intervals begin anew.
func (b *Broker) retime() {
	select {
	case b.retimed <- struct{}{}:
	default:
	}
}

// Wait returns when ctx ends or the store can no longer write, which is logged.
func (b *Broker) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case err := <-b.fatal:
		b.o.Logger.Error().Err(err).Msg("the store failed; messages are still served, none is taken")
		<-ctx.Done()
	}
}

// drainTime bounds how long the last replies may take to leave.
const drainTime = 2 * time.Second

// quietTime is how long connections may stay open for clients that go on asking though they are told to leave.
const quietTime = 200 * time.Millisecond

// Close stops in the reverse order of Open: it leaves the name servers, tells clients to go on elsewhere, answers what
// is held, finishes what is queued, writes everything down. Closing twice is fine.
func (b *Broker) Close() error {
	b.closing.Do(func() { b.closeErr = b.close() })
	return b.closeErr
}

// settle has messages that event loops have taken stored and answered.
func (b *Broker) settle() {
	if b.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	b.server.Drain(ctx) // none of them is in the middle of a send
	b.sender.Settle(ctx)
}

func (b *Broker) close() error {
	var errs []error
	if r := b.registrar.Load(); r != nil {
		errs = append(errs, r.Close())
	}
	errs = append(errs, b.exporter.Close())
	close(b.stop)
	b.keepers.Wait()
	if b.server != nil {
		b.server.Refuse()
	}
	if b.mux != nil {
		b.mux.Leave()
	}
	if b.puller != nil {
		b.puller.Close()
	}
	if b.scheduler != nil {
		errs = append(errs, b.scheduler.Close())
	}
	if b.relay != nil {
		b.relay.Close()
	}
	if b.timer != nil {
		errs = append(errs, b.timer.Close())
	}
	if b.popper != nil {
		b.popper.Release()
	}
	if b.mux != nil {
		b.mux.Close()
	}
	b.settle()
	if b.static != nil {
		b.static.Close()
	}
	if b.trans != nil {
		errs = append(errs, b.trans.Close())
	}
	errs = append(errs, b.closePop())
	if b.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		b.server.Drain(ctx)
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), quietTime)
		b.server.Quiet(ctx)
		cancel()
		errs = append(errs, b.server.Close())
	}
	if b.sessions != nil {
		b.sessions.Close()
	}
	if b.filters != nil {
		errs = append(errs, b.filters.Close())
	}
	if b.stats != nil {
		b.stats.Close()
	}
	if b.offsets != nil {
		errs = append(errs, b.offsets.Close())
	}
	if b.groups != nil {
		errs = append(errs, b.groups.Close())
	}
	if b.mappings != nil {
		errs = append(errs, b.mappings.Close())
	}
	if b.topics != nil {
		errs = append(errs, b.topics.Close())
	}
	if b.store != nil {
		errs = append(errs, b.store.Close())
	}
	return errors.Join(errs...)
}
