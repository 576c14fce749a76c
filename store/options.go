package store

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Flush disk types. Java: FlushDiskType.
const (
	AsyncFlush = "ASYNC_FLUSH"
	SyncFlush  = "SYNC_FLUSH"
)

// Options are the keys of Java's MessageStoreConfig that this store uses, under Java's names, and what
// the program adds. DefaultOptions gives Java's defaults.
type Options struct {
	StorePathRootDir             string `prop:"storePathRootDir"`                      // ~/store
	StorePathCommitLog           string `prop:"storePathCommitLog"`                    // <root>/commitlog; several: see CommitLogDirs
	ReadOnlyCommitLogStorePaths  string `prop:"readOnlyCommitLogStorePaths,omitempty"` // folders that get no new file
	MappedFileSizeCommitLog      int64  `prop:"mappedFileSizeCommitLog"`
	MappedFileSizeConsumeQueue   int64  `prop:"mappedFileSizeConsumeQueue"` // bytes, rounded up to whole units
	MaxMessageSize               int32  `prop:"maxMessageSize"`             // bytes of a body, or of a whole batch
	FlushDiskType                string `prop:"flushDiskType"`
	FlushIntervalCommitLog       int32  `prop:"flushIntervalCommitLog"`        // ms
	FlushCommitLogTimed          bool   `prop:"flushCommitLogTimed"`           // false: WakeFlushWhenPutMessage counts
	WakeFlushWhenPutMessage      bool   `prop:"wakeFlushWhenPutMessage"`       // ASYNC_FLUSH: begin a flush at each write
	SyncFlushTimeout             int32  `prop:"syncFlushTimeout"`              // ms, until ErrFlushTimeout
	FlushIntervalConsumeQueue    int32  `prop:"flushIntervalConsumeQueue"`     // ms
	MessageDelayLevel            string `prop:"messageDelayLevel"`             // "1s 5s ..."
	OsPageCacheBusyTimeOutMills  int64  `prop:"osPageCacheBusyTimeOutMills"`   // ms
	AccessMessageInMemoryMaxRate int32  `prop:"accessMessageInMemoryMaxRatio"` // % of RAM
	AccessMessageInMemoryHotRate int32  `prop:"accessMessageInMemoryHotRatio"` // % of RAM; what lies farther back is cold
	ColdDataFlowControlEnable    bool   `prop:"coldDataFlowControlEnable"`     // count and slow down reads of cold data
	DataReadAheadEnable          bool   `prop:"dataReadAheadEnable"`           // the kernel may read ahead in the CommitLog
	MaxTransferBytesInMemory     int32  `prop:"maxTransferBytesOnMessageInMemory"`
	MaxTransferCountInMemory     int32  `prop:"maxTransferCountOnMessageInMemory"`
	MaxTransferBytesInDisk       int32  `prop:"maxTransferBytesOnMessageInDisk"`
	MaxTransferCountInDisk       int32  `prop:"maxTransferCountOnMessageInDisk"`
	MessageIndexEnable           bool   `prop:"messageIndexEnable"`
	IndexFileWriteEnable         bool   `prop:"indexFileWriteEnable"` // false: as without MessageIndexEnable
	IndexFileReadEnable          bool   `prop:"indexFileReadEnable"`  // false: queries by key find nothing
	StoreType                    string `prop:"storeType"`            // "default"; there is no other
	MaxHashSlotNum               int32  `prop:"maxHashSlotNum"`       // slots of an index file
	MaxIndexNum                  int32  `prop:"maxIndexNum"`          // entries of an index file
	DefaultQueryMaxNum           int32  `prop:"defaultQueryMaxNum"`
	MaxMsgsNumBatch              int32  `prop:"maxMsgsNumBatch"`      // most messages of a query
	MaxFilterMessageSize         int32  `prop:"maxFilterMessageSize"` // bytes of units looked at by one pull

	MapperFileSizeBatchConsumeQueue int64 `prop:"mapperFileSizeBatchConsumeQueue"` // bytes, rounded up to whole units

	// EnabledAppendPropCRC gives each record a checksum over the whole of it, as its last property; its properties may
	// then have message.MaxSeal bytes less. ForceVerifyPropCRC has recovery look at it, where there is one. (Java then takes
	// a record without one for damaged.)
	EnabledAppendPropCRC bool `prop:"enabledAppendPropCRC"`
	ForceVerifyPropCRC   bool `prop:"forceVerifyPropCRC"`

	// Light queues: without one of the first two a message goes to no queue but its own. The quota is for the sender.
	EnableLmq             bool  `prop:"enableLmq"`
	EnableMultiDispatch   bool  `prop:"enableMultiDispatch"`
	EnableLmqQuota        bool  `prop:"enableLmqQuota"`
	MaxLmqConsumeQueueNum int32 `prop:"maxLmqConsumeQueueNum"` // light queues

	EnableConsumeQueueExt         bool  `prop:"enableConsumeQueueExt"`
	MappedFileSizeConsumeQueueExt int64 `prop:"mappedFileSizeConsumeQueueExt"` // bytes
	EnableCalcFilterBitMap        bool  `prop:"enableCalcFilterBitMap"`
	BitMapLengthConsumeQueueExt   int32 `prop:"bitMapLengthConsumeQueueExt"` // bits

	// EnableCompaction keeps the last message of each key of topics with cleanup.policy=COMPACTION (package compaction).
	EnableCompaction           bool  `prop:"enableCompaction"`
	CompactionScheduleInternal int32 `prop:"compactionScheduleInternal"` // ms between two rounds
	CompactionMappedFileSize   int32 `prop:"compactionMappedFileSize"`   // bytes, see compaction.FileSizes
	CompactionCqMappedFileSize int32 `prop:"compactionCqMappedFileSize"` // bytes
	MaxOffsetMapSize           int32 `prop:"maxOffsetMapSize"`           // bytes of memory for the keys of a round

	FileReservedTime                int32  `prop:"fileReservedTime"`            // hours
	DeleteWhen                      string `prop:"deleteWhen"`                  // hours of the day, "04;16"
	DiskMaxUsedSpaceRatio           int32  `prop:"diskMaxUsedSpaceRatio"`       // %, 10 to 95
	DiskSpaceCleanForciblyRatio     int32  `prop:"diskSpaceCleanForciblyRatio"` // %, 30 to 85
	DiskSpaceWarningLevelRatio      int32  `prop:"diskSpaceWarningLevelRatio"`  // %, 35 to 90
	CleanFileForciblyEnable         bool   `prop:"cleanFileForciblyEnable"`
	CleanResourceInterval           int32  `prop:"cleanResourceInterval"`           // ms
	DeleteCommitLogFilesInterval    int32  `prop:"deleteCommitLogFilesInterval"`    // ms
	DeleteConsumeQueueFilesInterval int32  `prop:"deleteConsumeQueueFilesInterval"` // ms
	DeleteFileBatchMax              int32  `prop:"deleteFileBatchMax"`

	// Skylark's own: bytes that all CommitLog files together may have, and bytes that must stay free on each
	// disk of the store; 0: no limit. For either the oldest files go whatever their age; with less than
	// MinFreeBytes left no message is taken.
	MaxStoreBytes int64 `prop:"skylarkMaxStoreBytes"`
	MinFreeBytes  int64 `prop:"skylarkMinFreeBytes"`

	// SlowMillis is from when on writing or syncing the log, ms, is logged as slow, and a request that keeps a worker
	// for so long; 0: never.
	SlowMillis int64 `prop:"skylarkSlowMillis"`

	// MultiPathSplitter stands between the folders of a path, literally; "": a comma. Java: the system property
	// rocketmq.broker.multiPathSplitter.
	MultiPathSplitter string
	Logger            zerolog.Logger
	// FS is the file system, the real one when nil.
	FS fsys.FS
	// Progress is told how far Open has come; nil: nobody asks.
	Progress *Progress
	// Listener is told of each message on a queue with Waiters, on the append goroutine (in SYNC_FLUSH the
	// flush goroutine). It must not block, nor keep the record, which is nil for a message whose sender was
	// told ErrFlushTimeout.
	Listener func(q *consumequeue.Queue, queueOffset, tagsCode int64, record []byte)
	// Locked is called when the folder is locked, before anything else in it is read; an error fails Open. The
	// broker reads its topics there, so that it can answer BatchTopic.
	Locked func() error
	// BatchTopic reports whether the queues of a topic are to be of the form BatchCQ, asked when the first of them
	// is made or loaded; known is false for a topic there is not, whose queues keep the form they have. nil: none is.
	BatchTopic func(topic string) (batch, known bool)
	// BitMap returns, with EnableConsumeQueueExt and EnableCalcFilterBitMap, the bit map of the filters that a record
	// matches, nil for none; it is kept with the record's unit (consumequeue.Queue.ExtAt). It is called on the append
	// goroutine (in SYNC_FLUSH the flush goroutine), in Open by recovery, and must keep neither r nor what r points
	// to. Its result is at most BitMapLengthConsumeQueueExt / 8 bytes. nil: no record has one.
	// Java: CommitLogDispatcherCalcBitMap.
	BitMap func(r *message.Record) []byte
	// CompactedTopic reports whether a topic has cleanup.policy=COMPACTION, asked by Open for those that have compaction
	// logs; Compact tells of the others. nil: none has.
	CompactedTopic func(topic string) bool
	// OnFatal is called once, on a goroutine of the store, when a disk error has made the store refuse writes.
	OnFatal func(err error)
	// CacheBytes bounds the read cache; 0: 24 MiB.
	CacheBytes int
	// MaxQueuedBytes bounds the records that wait for the append goroutine; 0: 64 MiB.
	MaxQueuedBytes int64
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
	// syncAllAbove is manyFiles but in tests.
	syncAllAbove int
	// DiskUsage returns the space of the disk that a folder lies on; nil: fsys.DiskOf.
	DiskUsage func(dir string) (fsys.Disk, error)
}

// defaultStoreType keeps ConsumeQueues in files. Java: StoreType.DEFAULT.
const defaultStoreType = "default"

// DefaultOptions returns Java's defaults (MessageStoreConfig, 5.5.0).
func DefaultOptions() Options {
	home, _ := os.UserHomeDir()
	return Options{
		StorePathRootDir:             filepath.Join(home, "store"),
		MappedFileSizeCommitLog:      1 << 30,
		MappedFileSizeConsumeQueue:   300000 * consumequeue.UnitSize,
		MaxMessageSize:               4 << 20,
		FlushDiskType:                AsyncFlush,
		FlushIntervalCommitLog:       500,
		SyncFlushTimeout:             5000,
		FlushIntervalConsumeQueue:    1000,
		MessageDelayLevel:            "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
		OsPageCacheBusyTimeOutMills:  1000,
		AccessMessageInMemoryMaxRate: 40,
		AccessMessageInMemoryHotRate: 26,
		DataReadAheadEnable:          true,
		MaxTransferBytesInMemory:     256 << 10,
		MaxTransferCountInMemory:     32,
		MaxTransferBytesInDisk:       64 << 10,
		MaxTransferCountInDisk:       8,
		FlushCommitLogTimed:          true,
		MessageIndexEnable:           true,
		IndexFileWriteEnable:         true,
		IndexFileReadEnable:          true,
		StoreType:                    defaultStoreType,
		MaxHashSlotNum:               5_000_000,
		MaxIndexNum:                  20_000_000,
		DefaultQueryMaxNum:           32,
		MaxMsgsNumBatch:              64,
		MaxFilterMessageSize:         16000,
		SlowMillis:                   1000,

		MapperFileSizeBatchConsumeQueue: 300000 * consumequeue.BatchUnitSize,
		MaxLmqConsumeQueueNum:           20000,
		MappedFileSizeConsumeQueueExt:   48 << 20, BitMapLengthConsumeQueueExt: 64,

		EnableCompaction: true, CompactionScheduleInternal: 15 * 60 * 1000, CompactionMappedFileSize: 100 << 20, CompactionCqMappedFileSize: 10 << 20,
		MaxOffsetMapSize: 100 << 20,

		FileReservedTime: 72, DeleteWhen: "04",
		DiskMaxUsedSpaceRatio: 75, DiskSpaceCleanForciblyRatio: 85, DiskSpaceWarningLevelRatio: 90, CleanFileForciblyEnable: true,
		CleanResourceInterval: 10000, DeleteCommitLogFilesInterval: 100, DeleteConsumeQueueFilesInterval: 100, DeleteFileBatchMax: 10,
	}
}

// Bounds of intervals, ms: less would only keep the disk busy.
const (
	leastInterval      = 10
	leastRoundInterval = 100
)

func (o Options) withDefaults() (Options, error) {
	if o.StorePathRootDir == "" {
		return o, fmt.Errorf("storePathRootDir is not set")
	}
	if o.StorePathCommitLog == "" {
		o.StorePathCommitLog = filepath.Join(o.StorePathRootDir, "commitlog")
	}
	if strings.Contains(o.StorePathRootDir, o.splitter()) {
		return o, fmt.Errorf("storePathRootDir %q has a %q in it: it names one folder, and Java cannot keep a store in one of such a name; storePathCommitLog can name several", o.StorePathRootDir, o.splitter())
	}
	if dirs, _ := o.CommitLogDirs(); len(dirs) == 0 {
		return o, fmt.Errorf("no folder of storePathCommitLog %q can be written to, readOnlyCommitLogStorePaths is %q", o.StorePathCommitLog, o.ReadOnlyCommitLogStorePaths)
	}
	if o.MappedFileSizeCommitLog < 4<<10 {
		return o, fmt.Errorf("mappedFileSizeCommitLog %d is too small", o.MappedFileSizeCommitLog)
	}
	o.MappedFileSizeConsumeQueue = wholeUnits(o.MappedFileSizeConsumeQueue, consumequeue.UnitSize)
	o.MapperFileSizeBatchConsumeQueue = wholeUnits(o.MapperFileSizeBatchConsumeQueue, consumequeue.BatchUnitSize)
	if o.MappedFileSizeConsumeQueueExt < 64 || o.MappedFileSizeConsumeQueueExt > math.MaxInt32 {
		return o, fmt.Errorf("mappedFileSizeConsumeQueueExt %d is not between 64 and %d", o.MappedFileSizeConsumeQueueExt, math.MaxInt32)
	}
	switch o.FlushDiskType {
	case AsyncFlush, SyncFlush:
	default:
		return o, fmt.Errorf("flushDiskType %q is neither %s nor %s", o.FlushDiskType, AsyncFlush, SyncFlush)
	}
	if !strings.EqualFold(o.StoreType, defaultStoreType) && o.StoreType != "" {
		o.Logger.Warn().Str("storeType", o.StoreType).Msg("queues are kept in files, there is no other store; a folder with queues in RocksDB is refused")
	}
	if o.FS == nil {
		o.FS = fsys.OS{}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 24 << 20
	}
	if o.MaxQueuedBytes == 0 {
		o.MaxQueuedBytes = 64 << 20
	}
	if o.syncAllAbove == 0 {
		o.syncAllAbove = manyFiles
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	if o.DiskUsage == nil {
		o.DiskUsage = fsys.DiskOf
	}
	o.CleanResourceInterval = max(o.CleanResourceInterval, leastRoundInterval)
	o.FlushIntervalCommitLog = max(o.FlushIntervalCommitLog, leastInterval)
	o.SyncFlushTimeout = max(o.SyncFlushTimeout, 1)
	o.FlushIntervalConsumeQueue = max(o.FlushIntervalConsumeQueue, leastInterval)
	return o, nil
}

func (o *Options) splitter() string { return cmp.Or(o.MultiPathSplitter, ",") }

// SplitPath returns the folders that a path names, without empty ones and blanks around them.
// Java: MixAll.MULTI_PATH_SPLITTER.
func (o *Options) SplitPath(path string) []string {
	var out []string
	for p := range strings.SplitSeq(path, o.splitter()) {
		if p = strings.TrimSpace(p); p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// CommitLogDirs returns the folders of the CommitLog: those that its files are made in, and those that only
// hold some, which are named by readOnlyCommitLogStorePaths and may or may not be in storePathCommitLog too.
// Java: MultiPathMappedFileQueue; it looks at read-only folders only when storePathCommitLog has a separator.
func (o *Options) CommitLogDirs() (dirs, readOnly []string) {
	for _, p := range o.SplitPath(o.ReadOnlyCommitLogStorePaths) {
		if p = filepath.Clean(p); !slices.Contains(readOnly, p) {
			readOnly = append(readOnly, p)
		}
	}
	for _, p := range o.SplitPath(cmp.Or(o.StorePathCommitLog, filepath.Join(o.StorePathRootDir, "commitlog"))) {
		if p = filepath.Clean(p); !slices.Contains(readOnly, p) && !slices.Contains(dirs, p) {
			dirs = append(dirs, p)
		}
	}
	return dirs, readOnly
}

// wholeUnits rounds the size of a queue's file up.
func wholeUnits(size, unit int64) int64 { return max((size+unit-1)/unit, 1) * unit }
