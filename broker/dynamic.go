package broker

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/dynamic"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/retention"
)

// Bounds of values that no key of Java bounds: far from what anybody needs, and harmless.
const (
	mostMs       = 7 * 24 * 3600 * 1000
	mostMessage  = 15 << 20 // a frame has 16 MiB. Java: NettySystemConfig, com.rocketmq.remoting.frameMaxLength
	mostTransfer = 15 << 20
)

// allowed are the keys that UPDATE_BROKER_CONFIG may change. Each has an owner, which settings.go tells of it.
// Left out are, next to what can do harm from afar (paths, names, addresses, access, formats on disk), those that
// are read once at the start.
func allowed() dynamic.Allowed {
	ms, number, one := dynamic.Range(0, mostMs), dynamic.Range(0, math.MaxInt32), dynamic.Range(1, math.MaxInt32)
	return dynamic.Allowed{
		"skylarkLogLevel": dynamic.LogLevel, "namesrvAddr": addresses, "brokerPermission": permission,
		"autoCreateTopicEnable": dynamic.Bool, "autoCreateSubscriptionGroup": dynamic.Bool, "traceTopicEnable": dynamic.Bool,
		"traceOn": dynamic.Bool, "regionId": region, "rejectTransactionMessage": dynamic.Bool, "storeReplyMessageEnable": dynamic.Bool,
		"startAcceptSendRequestTimeStamp": dynamic.Range(0, math.MaxInt64), "maxMessageSize": dynamic.Range(1<<10, mostMessage),
		"recallMessageEnable": dynamic.Bool, "allowRecallWhenBrokerNotWriteable": dynamic.Bool,
		"timerMaxDelaySec": dynamic.Range(1, math.MaxInt32), "timerCongestNumEachSlot": one, "timerStopEnqueue": dynamic.Bool,
		"enableMixedMessageType": dynamic.Bool, "enableSplitMetadata": dynamic.Bool, "splitMetadataSize": dynamic.Range(1, 1<<20),
		"validateSystemTopicWhenUpdateTopic": dynamic.Bool, "clearRetryTopicWhenDeleteTopic": dynamic.Bool,

		"longPollingEnable": dynamic.Bool, "shortPollingTimeMills": ms, "litePullMessageEnable": dynamic.Bool, "rejectPullConsumerEnable": dynamic.Bool, "slaveReadEnable": dynamic.Bool,
		"enablePropertyFilter": dynamic.Bool, "filterSupportRetry": dynamic.Bool, "notifyConsumerIdsChangedEnable": dynamic.Bool,
		"channelExpiredTimeout": dynamic.Range(10_000, mostMs), "flushConsumerOffsetInterval": dynamic.Range(100, mostMs),
		"brokerFastFailureEnable": dynamic.Bool, "waitTimeMillsInSendQueue": ms, "waitTimeMillsInPullQueue": ms,
		"waitTimeMillsInLitePullQueue": ms, "waitTimeMillsInHeartbeatQueue": ms, "waitTimeMillsInTransactionQueue": ms,
		"waitTimeMillsInAckQueue": ms, "waitTimeMillsInAdminBrokerQueue": ms,

		"transactionTimeOut": ms, "transactionCheckInterval": dynamic.Range(100, mostMs), "transactionCheckMax": one,
		"transactionOpBatchInterval": dynamic.Range(1, mostMs), "transactionOpMsgMaxSize": dynamic.Range(64, 1<<20),

		"popFromRetryProbability": dynamic.Range(0, 100), "popResponseReturnActualRetryTopic": dynamic.Bool,
		"enablePopMessageThreshold": dynamic.Bool, "popInflightMessageThreshold": dynamic.Range(1, math.MaxInt64),
		"enablePopBatchAck": dynamic.Bool, "skipWhenCKRePutReachMaxTimes": dynamic.Bool,
		"useMessageFilterForNotification": dynamic.Bool, "maxMessageFilterNumForNotification": number,

		"flushDiskType": dynamic.OneOf(store.AsyncFlush, store.SyncFlush), "flushIntervalCommitLog": dynamic.Range(10, 60_000),
		"flushCommitLogTimed": dynamic.Bool, "wakeFlushWhenPutMessage": dynamic.Bool, "syncFlushTimeout": dynamic.Range(1, mostMs),
		"flushIntervalConsumeQueue": dynamic.Range(10, 60_000), "accessMessageInMemoryMaxRatio": dynamic.Range(0, 100),
		"maxTransferBytesOnMessageInMemory": dynamic.Range(1, mostTransfer), "maxTransferCountOnMessageInMemory": one,
		"maxTransferBytesOnMessageInDisk": dynamic.Range(1, mostTransfer), "maxTransferCountOnMessageInDisk": one,
		"indexFileReadEnable": dynamic.Bool, "osPageCacheBusyTimeOutMills": dynamic.Range(1, mostMs), "defaultQueryMaxNum": dynamic.Range(1, 10_000), "maxMsgsNumBatch": dynamic.Range(1, 10_000),
		"maxFilterMessageSize": dynamic.Range(20, 64<<20),

		"fileReservedTime": one, "deleteWhen": hours, "diskMaxUsedSpaceRatio": dynamic.Range(10, 100),
		"diskSpaceCleanForciblyRatio": dynamic.Range(10, 100), "diskSpaceWarningLevelRatio": dynamic.Range(10, 100),
		"cleanFileForciblyEnable": dynamic.Bool, "cleanResourceInterval": dynamic.Range(100, 3600_000), "deleteFileBatchMax": one,
		"deleteCommitLogFilesInterval": dynamic.Range(0, 60_000), "deleteConsumeQueueFilesInterval": dynamic.Range(0, 60_000),
		"skylarkMaxStoreBytes": dynamic.Range(0, math.MaxInt64), "skylarkMinFreeBytes": dynamic.Range(0, math.MaxInt64),
	}
}

// DynamicKeys returns the keys that may change while a broker runs.
func DynamicKeys() properties.Keys {
	var keys properties.Keys
	for key := range allowed() {
		keys = append(keys, key)
	}
	return keys
}

// permission allows what brokerPermission may be: readable and writable bits, and Java's inherit bit.
func permission(value string) string {
	if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= 7 {
		return ""
	}
	return "it is no permission: 2 is write, 4 is read, 6 both, 0 neither"
}

// addresses allows a list of name servers.
func addresses(value string) string {
	some := false
	for addr := range strings.SplitSeq(value, ";") {
		if addr = strings.TrimSpace(addr); addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(addr)
		if n, numeric := strconv.Atoi(port); err != nil || host == "" || numeric != nil || n < 1 || n > 65535 {
			return fmt.Sprintf("%.80q is not like host:port", addr)
		}
		some = true
	}
	if !some {
		return "it names no name server"
	}
	return ""
}

// hours allows what deleteWhen may be.
func hours(value string) string {
	if _, err := retention.ParseHours(value); err != nil {
		return err.Error()
	}
	return ""
}

// region allows a name that becomes a property of messages.
func region(value string) string {
	if value == "" || len(value) > 255 {
		return "it has no character, or more than 255"
	}
	return ""
}

func (o *Options) overridesPath() string {
	return o.private(dynamic.File)
}

// LoadOverrides gives o what UPDATE_BROKER_CONFIG has changed at earlier times. Open does it if nobody has: who
// wants other settings to go before must do it first. Errors are those of a file that cannot be used.
func (o *Options) LoadOverrides() (err error) {
	o.overrides, err = allowed().Restore(o.overridesPath(), o.Logger, fsys.ReadConfig, o, &o.Store)
	return err
}

// Overrides returns what LoadOverrides has loaded.
func (o *Options) Overrides() *properties.Properties { return o.overrides }
