package broker

import (
	"time"

	"github.com/skylarkmq/skylark/broker/admin"
	"github.com/skylarkmq/skylark/broker/client"
	"github.com/skylarkmq/skylark/broker/pop"
	"github.com/skylarkmq/skylark/broker/pull"
	"github.com/skylarkmq/skylark/broker/relay"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/broker/transaction"
	"github.com/skylarkmq/skylark/store/timer"
)

// settings is what the owners of the keys that may change are told, at first and whenever one has changed.
type settings struct {
	send        send.Settings
	pull        pull.Settings
	pop         pop.Settings
	relay       relay.Settings
	client      client.Settings
	transaction transaction.Settings
	admin       admin.Settings
	waits       waits

	autoTopic, autoGroup, traceTopic bool
	stopEnqueue                      bool // of the timer
	channelExpired                   time.Duration
	nameServers, logLevel            string
}

// waits are how long requests may wait in the lanes of these names.
type waits struct {
	send, pull, litePull, heartbeat, transaction, ack, admin time.Duration
	fastFailure                                              bool // what waits while the disk has stalled is given back
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// settings makes of the options what their owners are told. num counts the messages in a slot of the timer.
func (o *Options) settings(num func(slot int64) int64) settings {
	readable, writable := o.BrokerPermission&topic.PermRead != 0, o.BrokerPermission&topic.PermWrite != 0
	invisible := time.Duration(o.TimerMaxDelaySec) * time.Second
	s := settings{
		send: send.Settings{Writable: writable, RejectTransaction: o.RejectTransactionMessage, TraceOn: o.TraceOn, RegionID: o.RegionID,
			AcceptFrom: o.StartAcceptSendRequest, MaxMessageSize: o.Store.MaxMessageSize, Recall: o.RecallMessageEnable, RecallReadOnly: o.AllowRecallWhenBrokerNotWriteable},
		pull: pull.Settings{Readable: readable, SlaveRead: o.SlaveReadEnable, LitePull: o.LitePullMessageEnable, LongPolling: o.LongPollingEnable, ShortPolling: ms(o.ShortPollingTimeMills),
			PropertyFilter: o.EnablePropertyFilter, FilterSupportRetry: o.FilterSupportRetry, RejectPullConsumer: o.RejectPullConsumerEnable},
		pop: o.Config.Settings(),
		relay: relay.Settings{RegionID: o.RegionID, TraceOn: o.TraceOn, StoreReplyMessageEnable: o.StoreReplyMessageEnable,
			AcceptFrom: o.StartAcceptSendRequest},
		client: client.Settings{PropertyFilter: o.EnablePropertyFilter, RejectPullConsumer: o.RejectPullConsumerEnable},
		transaction: transaction.Settings{TimeOut: ms(o.TransactionTimeOut), CheckInterval: ms(o.TransactionCheckInterval), CheckMax: int(o.TransactionCheckMax),
			OpBatchInterval: ms(o.TransactionOpBatchInterval), OpMsgMaxSize: int(o.TransactionOpMsgMaxSize),
			ReservedTime: time.Duration(o.Store.FileReservedTime) * time.Hour},
		admin: admin.Settings{ValidateSystemTopicWhenUpdateTopic: o.ValidateSystemTopic, EnableMixedMessageType: o.EnableMixedMessageType,
			ClearRetryTopicWhenDeleteTopic: o.ClearRetryTopicWhenDelete, EnableSplitMetadata: o.EnableSplitMetadata, SplitMetadataSize: o.SplitMetadataSize},
		autoTopic: o.AutoCreateTopicEnable, autoGroup: o.AutoCreateSubscriptionGroup, traceTopic: o.TraceTopicEnable,
		stopEnqueue: o.TimerStopEnqueue, channelExpired: ms(o.ChannelExpiredTimeout), nameServers: o.NamesrvAddr, logLevel: o.LogLevel,
	}
	s.pop.Readable, s.pop.MaxInvisible = readable, invisible
	if o.TimerWheelEnable {
		s.send.Timer = &send.TimerLimits{Precision: timer.Precision(int64(o.TimerPrecisionMs)), MaxDelay: invisible.Milliseconds(),
			CongestNum: int64(o.TimerCongestNumEachSlot), Num: num, AppendTopicToKeys: o.AppendTopicForTimerDeleteKey}
	}
	if o.BrokerFastFailureEnable {
		s.waits = waits{send: ms(o.WaitTimeMillsInSendQueue), pull: ms(o.WaitTimeMillsInPullQueue), litePull: ms(o.WaitTimeMillsInLitePullQueue),
			heartbeat: ms(o.WaitTimeMillsInHeartbeatQueue), transaction: ms(o.WaitTimeMillsInTransactionQueue), ack: ms(o.WaitTimeMillsInAckQueue),
			admin: ms(o.WaitTimeMillsInAdminBrokerQueue), fastFailure: true}
	}
	return s
}

// timerNum counts the messages in a slot of the timer, which is made behind those who ask; no message can come
// before.
func (b *Broker) timerNum(slot int64) int64 { return b.timer.Num(slot) }

// settings are those of now.
func (b *Broker) settings() settings { return b.live.Load().settings(b.timerNum) }

// apply tells the owners what has changed. What the options of now share with old is told again, which is harmless.
func (b *Broker) apply(old *Options) {
	o, s := b.live.Load(), b.settings()
	b.store.Tune(o.Store)
	b.sender.Set(s.send)
	b.puller.Set(s.pull)
	b.popper.Set(s.pop)
	b.relay.Set(s.relay)
	b.clients.Set(s.client)
	b.trans.Set(s.transaction)
	b.admin.Set(s.admin)
	b.lanes.set(s.waits)
	b.sessions.SetChannelExpiredTimeout(s.channelExpired)
	if b.timer != nil {
		b.timer.SetStopEnqueue(s.stopEnqueue)
	}
	b.groups.SetAutoCreate(s.autoGroup)
	b.topics.SetAutoCreate(s.autoTopic)
	if s.traceTopic {
		b.topics.EnsureTrace()
	}
	if s.logLevel != old.LogLevel && o.SetLogLevel != nil {
		o.SetLogLevel(s.logLevel)
	}
	// A registrar that is still to be opened looks at the options itself.
	if r := b.registrar.Load(); r != nil && s.nameServers != old.NamesrvAddr {
		if err := r.SetNameServers(s.nameServers); err != nil {
			b.o.Logger.Error().Err(err).Msg("BUG: name servers that were checked are refused")
		}
	}
	if o.BrokerPermission != old.BrokerPermission {
		b.topics.Touch(topic.SelfTest) // all topics are registered with it
	}
	b.retime()
}
