package store

import "time"

// Tune gives the options that may change while the store runs the values they have in o, which is as Options
// returned it but for these: those that takeTunable names. They are what reads and writes see from their next
// look on, and what runs at intervals begins anew. A flushDiskType other than the two changes nothing.
//
// When SYNC_FLUSH is left, messages stay hidden until they are durable as long as one from before is, so that a
// queue keeps its order.
func (s *Store) Tune(o Options) {
	s.tuning.Lock()
	defer s.tuning.Unlock()
	next := *s.live.Load()
	next.takeTunable(&o)
	s.tune(next)
	s.flushNow()
	s.tidySoon()
	select {
	case s.keeper.tuned <- struct{}{}:
	default: // it has not looked since the last time
	}
}

// tune makes o what is read from now on.
func (s *Store) tune(o Options) {
	s.memory.Store(s.total * int64(o.AccessMessageInMemoryMaxRate) / 100)
	s.live.Store(&o)
}

// takeTunable copies the options that Tune changes.
func (o *Options) takeTunable(from *Options) {
	o.MaxMessageSize = from.MaxMessageSize
	if from.FlushDiskType == AsyncFlush || from.FlushDiskType == SyncFlush {
		o.FlushDiskType = from.FlushDiskType
	}
	o.FlushIntervalCommitLog = max(from.FlushIntervalCommitLog, leastInterval)
	o.FlushCommitLogTimed, o.WakeFlushWhenPutMessage = from.FlushCommitLogTimed, from.WakeFlushWhenPutMessage
	o.SyncFlushTimeout = max(from.SyncFlushTimeout, 1)
	o.FlushIntervalConsumeQueue = max(from.FlushIntervalConsumeQueue, leastInterval)
	o.AccessMessageInMemoryMaxRate = from.AccessMessageInMemoryMaxRate
	o.MaxTransferBytesInMemory, o.MaxTransferCountInMemory = from.MaxTransferBytesInMemory, from.MaxTransferCountInMemory
	o.MaxTransferBytesInDisk, o.MaxTransferCountInDisk = from.MaxTransferBytesInDisk, from.MaxTransferCountInDisk
	o.IndexFileReadEnable, o.OsPageCacheBusyTimeOutMills = from.IndexFileReadEnable, from.OsPageCacheBusyTimeOutMills
	o.DefaultQueryMaxNum, o.MaxMsgsNumBatch, o.MaxFilterMessageSize = from.DefaultQueryMaxNum, from.MaxMsgsNumBatch, from.MaxFilterMessageSize

	o.FileReservedTime, o.DeleteWhen = from.FileReservedTime, from.DeleteWhen
	o.DiskMaxUsedSpaceRatio, o.DiskSpaceCleanForciblyRatio = from.DiskMaxUsedSpaceRatio, from.DiskSpaceCleanForciblyRatio
	o.DiskSpaceWarningLevelRatio, o.CleanFileForciblyEnable = from.DiskSpaceWarningLevelRatio, from.CleanFileForciblyEnable
	o.CleanResourceInterval = max(from.CleanResourceInterval, leastRoundInterval)
	o.DeleteCommitLogFilesInterval, o.DeleteConsumeQueueFilesInterval = from.DeleteCommitLogFilesInterval, from.DeleteConsumeQueueFilesInterval
	o.DeleteFileBatchMax = from.DeleteFileBatchMax
	o.MaxStoreBytes, o.MinFreeBytes = from.MaxStoreBytes, from.MinFreeBytes
}

// flushFirst reports whether messages are to be durable before they are visible.
func (s *Store) flushFirst(o *Options) bool {
	return o.FlushDiskType == SyncFlush || s.fl.hidden.Load() > 0
}

// retime gives t a new interval, in ms, when it has changed, and reports whether it has.
func retime(t *time.Ticker, every *int32, now int32) bool {
	if *every == now {
		return false
	}
	*every = now
	t.Reset(time.Duration(now) * time.Millisecond)
	return true
}
