package config

import (
	"slices"
	"strings"
)

// Reason tells why a key is accepted but cannot have a use in Skylark.
type Reason string

// The reasons. Each completes the sentence "no use: ...".
const (
	// Dead keys are read by no code of Java 5.5.0, or their field has no setter.
	Dead Reason = "a setting changes nothing in Java 5.5.0 either"
	// Placed keys are overwritten by Java 5.5.0 when it starts.
	Placed Reason = "Java's broker overwrites it by the config folder of its store; here users and ACLs lie in skylark/auth.json of the store"
	// Netty keys size Netty's thread groups and buffer pools.
	Netty Reason = "tunes Netty, Skylark has its own network engine"
	// JVM keys choose lock types, lock counts and heap copies.
	JVM Reason = "tunes locks and memory of the JVM"
	// Mmap keys tune mapped files and the transient store pool in front of them.
	Mmap Reason = "tunes memory-mapped files, Skylark writes through file calls"
	// Pool keys tune memory in which Java keeps appends until they are committed to the page cache.
	Pool Reason = "every append goes to the page cache at once, where a kill does not lose it; there is no pool in front of it"
	// Steady keys let Java leave a few pages that wait unsynced for longer.
	Steady Reason = "whatever waits is made durable at each flush interval, however little it is"
	// Checked keys choose what recovery verifies.
	Checked Reason = "recovery always verifies checksum, lengths and offset of every record it reads"
	// Checkpoint keys choose how far back recovery goes.
	Checkpoint Reason = "recovery always begins at the checkpoint and puts back whatever queues and index miss"
	// Dispatch keys give the building of queues threads of its own.
	Dispatch Reason = "queues are filled by the append itself"
	// MinOffset keys pace the search for a queue's first offset.
	MinOffset Reason = "a queue's first offset is corrected when files of the log go"
	// Stop keys choose what an error of the disk means.
	Stop Reason = "a failed write or sync always stops all writes"
	// Version keys choose the version of records.
	Version Reason = "topics of more than 127 bytes always get records of version 2"
	// Delivery keys choose how delayed messages are delivered.
	Delivery Reason = "delayed messages that are due never wait for one another"
	// Shared keys split a disk among brokers.
	Shared Reason = "brokers that share a disk divide it by skylarkMaxStoreBytes and skylarkMinFreeBytes"
	// Log keys add lines to a log.
	Log Reason = "in Java it only adds to a log"
	// Bytes keys bound requests by their number.
	Bytes Reason = "what waits for the disk is bounded by its bytes"
	// Units keys bound how many files of a queue one pull looks at.
	Units Reason = "a pull looks at as many units as maxFilterMessageSize says, whatever files they are in"
	// RocksDB keys belong to the stores, queues and tables that Java keeps in RocksDB.
	RocksDB Reason = "RocksDB storage is not supported"
	// Controller keys belong to controller mode and its AutoSwitch replication.
	Controller Reason = "controller mode is not supported"
	// DLedger keys tune the DLedger log itself; its group and peers are not among them.
	DLedger Reason = "the DLedger commit log is not supported"
	// Tiered keys belong to the tiered store plug-in.
	Tiered Reason = "tiered storage is not supported"
	// Plugin keys name Java classes to load.
	Plugin Reason = "names a Java class, which cannot be loaded"
	// Drain keys choose whether a stop says GO_AWAY, and for how long.
	Drain Reason = "a stop always says GO_AWAY, and lasts until all that was taken is answered"
	// Timer keys size the threads of Java's timer.
	Timer Reason = "the timer is one goroutine"
	// Compaction keys size the threads that compact.
	Compaction Reason = "compaction is one goroutine"
	// Pop keys pace the threads that revive popped messages, and bound the keys for which pops are held.
	Pop Reason = "one goroutine revives, when there is something to revive; checkpoints and acknowledgements are always written without waiting; held pops are bounded by their number"
	// Tries keys say when a message that waited for its time is given up.
	Tries Reason = "no message that can be stored is given up"
	// NoCache keys size caches of users and ACLs.
	NoCache Reason = "all users and ACLs are in memory, there is no cache of them"
	// Container keys belong to the broker container.
	Container Reason = "there is no broker container"
)

// Unused returns why a key has no use in Skylark, and whether that is so. A name that
// several classes have is unused only when it is in all of them. Unknown keys and keys that
// are merely not built yet are not unused.
func Unused(name string) (Reason, bool) {
	var reason Reason
	for _, t := range tables {
		if !slices.ContainsFunc(t.rows, func(r row) bool { return r.name == name }) {
			continue
		}
		r, unused := Key{Class: t.class, Name: name}.Unused()
		if !unused {
			return "", false
		}
		reason = r
	}
	return reason, reason != ""
}

// Unused returns why this key of this class has no use in Skylark, and whether that is so.
func (k Key) Unused() (Reason, bool) {
	switch k.Class {
	case "ControllerConfig", "JraftConfig":
		return Controller, true
	case "tieredstore.MessageStoreConfig":
		return Tiered, true
	}
	for _, r := range rules {
		if slices.Contains(r.names, k.Name) || slices.ContainsFunc(r.parts, func(part string) bool {
			return strings.Contains(strings.ToLower(k.Name), part)
		}) {
			return r.reason, true
		}
	}
	return "", false
}

// rule gives one reason to the keys it names and to those whose name in lower case holds
// one of its parts.
type rule struct {
	reason Reason
	parts  []string
	names  []string
}

// rules are tried in order. What the keys do was looked up in the callers of their getters
// in the published sources of 5.5.0.
var rules = []rule{
	{reason: Dead, parts: []string{"swapmap", "swapedmap"}, names: []string{
		"aclEnable", "cleanOfflineBrokerInterval", "flushConsumerOffsetHistoryInterval", "highSpeedMode",
		"dispatchCqCacheNum", "dispatchCqThreads", "dispatchFromSenderThread", "enableAsyncReput",
		"enableCleanExpiredOffset", "mappedFileSwapEnable", "maxBatchDeleteFilesNum", "maxRecoveryCommitlogFiles",
		"maxSlaveResendLength", "maxTopicLength", "pullBatchMaxMessageCount", "putMessageTimeout",
		"putMsgIndexHightWater", "serverSocketBacklog", "maxReconnectIntervalTimeSeconds",
		"timerCheckMetricsWhen", "timerEnableDisruptor", "timerInterceptDelayLevel", "timerStopDequeue", "timerWarmEnable",
	}},
	{reason: Placed, names: []string{"authConfigPath"}},
	{reason: Pop, names: []string{
		"reviveMaxSlow", "reviveScanTime", "popPollingMapSize", "popPollingMapExpireTimeSeconds", "appendAckAsync", "appendCkAsync",
	}},
	{reason: Log, names: []string{"enablePopLog"}},
	{reason: Netty, parts: []string{"pooledbytebufallocator", "nettyworkergroup", "callbackexecutor"}, names: []string{
		"useEpollNativeSelector", "serverSelectorThreads", "serverWorkerThreads", "clientWorkerThreads",
	}},
	{reason: JVM, names: []string{
		"topicQueueLockNum",
		"useReentrantLockWhenPutMessage", "useABSLock", "spinLockCollisionRetreatOptimalDegree", "debugLockEnable",
		"transferMsgByHeap", "putMessageFutureThreadPoolNums", "putThreadPoolQueueCapacity",
	}},
	{reason: Mmap, parts: []string{"warmmapedfile", "withoutmmap"}, names: []string{
		"putConsumeQueueDataByFileChannel", "sharedByteBufferNum",
		"destroyMapedFileIntervalForcibly", "redeleteHangedFileInterval",
		"timerWheelSnapshotFlush", "timerWheelSnapshotIntervalMs",
	}},
	{reason: Pool, parts: []string{"transientstorepool"}, names: []string{
		"fastFailIfNoBufferInStorePool", "commitIntervalCommitLog", "commitCommitLogLeastPages",
		"commitCommitLogThoroughInterval", "wakeCommitWhenPutMessage",
	}},
	{reason: Steady, names: []string{
		"flushCommitLogLeastPages", "flushCommitLogThoroughInterval", "flushConsumeQueueLeastPages", "flushConsumeQueueThoroughInterval",
	}},
	{reason: Checked, names: []string{"checkCRCOnRecover", "checkCommitLogOffsetOnRecover"}},
	{reason: Checkpoint, names: []string{"messageIndexSafe", "recheckReputOffsetFromCq", "enableAcceleratedRecovery", "commitLogRecoverMaxNum"}},
	{reason: Dispatch, names: []string{"enableBuildConsumeQueueConcurrently", "batchDispatchRequestThreadPoolNums"}},
	{reason: MinOffset, names: []string{"correctLogicMinOffsetForceInterval", "correctLogicMinOffsetSleepInterval"}},
	{reason: Stop, names: []string{"enableRunningFlagsInFlush"}},
	{reason: Version, names: []string{"autoMessageVersionOnTopicLen"}},
	{reason: Delivery, names: []string{"enableScheduleAsyncDeliver", "scheduleAsyncDeliverMaxPendingLimit", "scheduleAsyncDeliverMaxResendNum2Blocked"}},
	{reason: Shared, names: []string{"replicasPerDiskPartition", "logicalDiskSpaceCleanForciblyThreshold"}},
	{reason: Log, names: []string{"enableLogConsumeQueueRepeatedlyBuildWhenRecover"}},
	{reason: Bytes, names: []string{"maxAsyncPutMessageRequests"}},
	{reason: Units, names: []string{"travelCqFileNumWhenGetMessage"}},
	{reason: RocksDB, parts: []string{"rocksdb", "combinecq", "combineassign", "popconsumerkv"}, names: []string{
		"configManagerVersion", "persistConsumerOffsetIncrementally", "bottomMostCompressionTypeForConsumeQueueStore",
		"memTableFlushIntervalMs", "popReviveConcurrency", "popReviveMaxAttemptTimes",
		"popReviveMaxReturnSizePerRead", "popReviveSkipIfGroupAbsent", "timerRecallToTimeWheelEnable", "timerRecallToTimelineEnable",
		"timerReputServiceCorePoolSize", "timerReputServiceMaxPoolSize", "timerReputServiceQueueCapacity",
	}},
	{reason: Controller, parts: []string{"controller"}, names: []string{
		"checkSyncStateSetPeriod", "brokerElectionPriority", "allAckInSyncStateSet", "asyncLearner",
		"haMaxTimeSlaveNotCatchup", "storePathBrokerIdentity", "storePathEpochFile", "syncFromLastFile",
		"syncBrokerMetadataPeriod",
	}},
	{reason: DLedger, names: []string{"enableBatchPush", "storePathDLedgerCommitLog"}},
	{reason: Plugin, names: []string{
		"messageStorePlugIn", "authenticationProvider", "authenticationStrategy", "authorizationProvider", "authorizationStrategy",
	}},
	{reason: Timer, names: []string{"timerGetMessageThreadNum", "timerPutMessageThreadNum"}},
	{reason: Drain, names: []string{"enableShutdownGracefully", "shutdownWaitTimeSeconds"}},
	{reason: Compaction, names: []string{"compactionThreadNum"}},
	{reason: Tries, names: []string{"timerEnableRetryUntilSuccess", "timerSkipUnknownError"}},
	{reason: NoCache, names: []string{
		"aclCacheExpiredSecond", "aclCacheMaxNum", "aclCacheRefreshSecond", "userCacheExpiredSecond", "userCacheMaxNum", "userCacheRefreshSecond",
	}},
	{reason: Container, names: []string{"inBrokerContainer"}},
}
