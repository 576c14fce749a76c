// Package compaction keeps the last message of each key of the topics with cleanup.policy=COMPACTION, in Java's files.
// Java: org.apache.rocketmq.store.kv.
//
// Below compaction/ of the store each queue has two folders, compactionLog/<topic>/<queue id> and
// compactionCq/<topic>/<queue id>, with files in pairs of one name: a log file with copies of the CommitLog's records,
// in which only the physical offset is another, and a queue file with a unit of a batch queue for each
// (consumequeue.BatchUnit). New records go to the last pair. A round (Log.Compact) writes all pairs but the last anew
// without the values that a newer one has taken the place of, and without those that have no body, which delete their
// key. What is left keeps its queue offset, so that queues have gaps. compaction/position-checkpoint says up to where
// keys have been looked at.
//
// One goroutine at a time writes (package store has it); any number read.
//
// # Crash rules
//
// A record is durable before its unit is written, and the unit before Append returns: nothing else may be left of it
// once the CommitLog is cleaned. A round makes its files in skylark/compaction/, all durable, then puts the switch file
// (switching.go) into the log folder, whose presence means that they are to take their places; the next start goes
// on with that. Java, which stops at log files that have no queue file of their name, and at the reverse, takes a
// folder with a switch file for one that it cannot load: it starts without that queue. Where its own broker was killed
// in the middle of a round, the files it left are put together anew (heal.go).
//
// Two faults of Java 5.5.0 are not ours: what is written while its round puts files into place may be lost to it
// (CompactionLog.replaceFiles), and after a start it skips the files it found until its first round, once it has begun
// a new one (SparseConsumeQueue's cache; searchBcqByCacheEnable=false avoids that).
package compaction

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

// Dir is the folder of the store's root with all of it; LogDir and CqDir are below. Java: CompactionStore.
const (
	Dir    = "compaction"
	LogDir = "compactionLog"
	CqDir  = "compactionCq"
)

// Options of a Store. The keys are Java's.
type Options struct {
	FS      fsys.FS
	Root    string // storePathRootDir
	Handles *segment.Handles
	// LogFileSize and CqFileSize are compactionMappedFileSize and compactionCqMappedFileSize in bytes, see FileSizes.
	LogFileSize, CqFileSize int64
	// MapSize bounds the memory for the keys of a round, in bytes (maxOffsetMapSize).
	MapSize int64
	Logger  zerolog.Logger
}

// FileSizes returns the sizes of the files that the two keys mean: that of a queue file is a whole number of units,
// that of a log file a whole number of queue files, at least 5. Java: CompactionLog.getCompactionLogSize.
func FileSizes(log, cq int64) (logSize, cqSize int64) {
	cqSize = max(cq/consumequeue.BatchUnitSize, 2) * consumequeue.BatchUnitSize
	n, rest := log/cqSize, log%cqSize
	switch {
	case n < 5:
		n = 5
	case rest == 0 || rest >= cqSize/2:
		n++
	}
	return n * cqSize, cqSize
}

// Store is what the queues of a store share.
type Store struct {
	o         Options
	positions positions
}

// Open reads the positions; Log opens the queues.
func Open(o Options) (*Store, error) {
	o.LogFileSize, o.CqFileSize = FileSizes(o.LogFileSize, o.CqFileSize)
	s := &Store{o: o, positions: positions{fs: o.FS, path: filepath.Join(o.Root, Dir, "position-checkpoint")}}
	if err := s.positions.load(o.Logger); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the files. All logs were followed to their end before.
func (s *Store) Close() { s.o.Handles.Close() }

// Name names a queue.
type Name struct {
	Topic string
	ID    int32
}

// Queues returns the queues that have a folder, and finishes the removal of those that were being deleted. Java looks
// at compactionLog/ alone, too.
func (s *Store) Queues() ([]Name, error) {
	var out []Name
	root := filepath.Join(s.o.Root, Dir, LogDir)
	topics, err := s.o.FS.List(root)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if !t.Dir {
			continue
		}
		ids, err := s.o.FS.List(filepath.Join(root, t.Name))
		if err != nil {
			return nil, err
		}
		for _, e := range ids {
			id, err := strconv.ParseInt(e.Name, 10, 32)
			if !e.Dir || err != nil || id < 0 || strconv.FormatInt(id, 10) != e.Name {
				s.o.Logger.Warn().Str("path", filepath.Join(root, t.Name, e.Name)).Msg("not the folder of a queue, it is left alone")
				continue
			}
			n := Name{t.Name, int32(id)}
			gone, err := s.newLog(n).finishDelete()
			if err != nil {
				return nil, err
			}
			if !gone {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// newLog returns the log of a queue, not opened.
func (s *Store) newLog(n Name) *Log {
	id := strconv.Itoa(int(n.ID))
	stage := filepath.Join(s.o.Root, "skylark", "compaction", n.Topic, id)
	l := &Log{Name: n, place: place{&s.o, filepath.Join(s.o.Root, Dir, LogDir, n.Topic, id), filepath.Join(s.o.Root, Dir, CqDir, n.Topic, id)}, s: s,
		stageDir: stage, stage: place{&s.o, filepath.Join(stage, "log"), filepath.Join(stage, "cq")}}
	l.publish(nil)
	return l
}

// Log opens a queue, which need not have files yet.
func (s *Store) Log(n Name) (*Log, error) {
	n.Topic = strings.Clone(n.Topic)
	l := s.newLog(n)
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("cannot open the compaction log of queue %d of topic %s: %w", n.ID, n.Topic, err)
	}
	return l, nil
}

// ErrSync is wrapped by errors behind which nothing says what is durable: the store must not go on.
var ErrSync = errors.New("the compaction log cannot be made durable")

func syncError(path string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrSync, path, err)
}
