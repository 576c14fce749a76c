// Package inspect looks into a message store without opening it: Check verifies all files against each
// other, Dump* print them, Repair rebuilds what the CommitLog can give back.
//
// Check and Dump open every file read-only and may run beside a live broker; what that broker has not
// written yet then misses at the tails, which is reported as a warning. Repair takes the store's lock.
//
// # How Check stays small
//
// First each queue folder is read once: names, sizes, where its units begin and end. Then the CommitLog is
// walked in its order, and each record's unit is read from its queue and compared. A queue is known to be
// right when as many of its units were met by a record as it has; only the queues for which the numbers
// differ are looked at unit by unit. Memory is a few hundred bytes for each queue, whatever the log holds.
//
// # What Repair leaves behind
//
// Nothing is deleted: what it replaces is moved, or copied when it is changed in place, below
// <root>/skylark/moved-<time>/. A damaged range of the log is overwritten by filler records (fill.go) that
// Java and Skylark walk over.
package inspect

import (
	"errors"
	"fmt"
	"time"
)

// Options say where the store is and how it was configured. Sizes that are 0 are found from the files.
type Options struct {
	Root           string   // storePathRootDir
	CommitLog      []string // folders of storePathCommitLog and readOnlyCommitLogStorePaths; none: <root>/commitlog
	LogFileSize    int64    // mappedFileSizeCommitLog
	QueueFileSize  int64    // mappedFileSizeConsumeQueue
	BatchFileSize  int64    // mapperFileSizeBatchConsumeQueue
	HashSlots      int64    // maxHashSlotNum; 0: Java's 5,000,000
	IndexEntries   int64    // maxIndexNum; 0: Java's 20,000,000
	DelayLevels    string   // messageDelayLevel; empty: Java's
	QueueFileLimit int      // files kept open at once; 0: 512

	// Now is the wall clock; nil: time.Now.
	Now func() time.Time

	locked bool // the lock is held by the caller
}

// Severity says how bad a finding is.
type Severity string

// The severities. Only Damaged makes a store not clean.
const (
	// Damaged means that something is lost, wrong, or keeps Java from starting.
	Damaged Severity = "DAMAGED"
	// Warning means something odd that a start repairs or that may be meant.
	Warning Severity = "WARNING"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Position int64    `json:"position"` // byte in the file
	Text     string   `json:"text"`
}

// String returns the finding as a line.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s@%d: %s", f.Severity, f.File, f.Position, f.Text)
}

// Summary counts what Check looked at.
type Summary struct {
	Running      bool  `json:"running"` // a broker holds the lock: tails may be stale
	Clean        bool  `json:"cleanStop"`
	LogFrom      int64 `json:"logFrom"`
	LogEnd       int64 `json:"logEnd"`
	LogFiles     int64 `json:"logFiles"`
	Records      int64 `json:"records"`
	Bytes        int64 `json:"bytes"` // of the records
	Fillers      int64 `json:"fillers"`
	Queues       int64 `json:"queues"`
	Units        int64 `json:"units"`
	IndexFiles   int64 `json:"indexFiles"`
	IndexEntries int64 `json:"indexEntries"`
	ConfigFiles  int64 `json:"configFiles"`
	// CompactionFiles counts log files of compaction topics, CompactionRecords what is in them.
	CompactionFiles   int64 `json:"compactionFiles"`
	CompactionRecords int64 `json:"compactionRecords"`
	Damaged           int64 `json:"damaged"`
	Warnings          int64 `json:"warnings"`
}

// String returns the summary as lines for people.
func (s Summary) String() string {
	state := "stopped cleanly"
	if !s.Clean {
		state = "not stopped cleanly, the next start recovers it"
	}
	if s.Running {
		state = "in use by a broker, what it has not written yet may show as a warning"
	}
	return fmt.Sprintf("store: %s\nlog: %d files, [%d,%d), %d records, %d bytes, %d fillers\nqueues: %d, %d units\nindex: %d files, %d entries\nconfig: %d files\nfindings: %d damaged, %d warnings",
		state, s.LogFiles, s.LogFrom, s.LogEnd, s.Records, s.Bytes, s.Fillers, s.Queues, s.Units, s.IndexFiles, s.IndexEntries, s.ConfigFiles, s.Damaged, s.Warnings)
}

// ErrNoStore means that there is no message store at the path.
var ErrNoStore = errors.New("no message store")
