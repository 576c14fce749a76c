package compaction

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/segment"
)

const (
	root    = "/data/store"
	logSize = 46 * 8 * 5
	cqSize  = 46 * 8 // seven messages and the end
)

var queue = Name{"T", 3}

func options(fs fsys.FS, dir string) Options {
	return Options{FS: fs, Root: dir, Handles: segment.NewHandles(fs, 4), LogFileSize: logSize - 1, CqFileSize: cqSize + 1, MapSize: 1 << 20, Logger: zerolog.Nop()}
}

func open(fs fsys.FS, dir string) (*Log, error) {
	s, err := Open(options(fs, dir))
	if err != nil {
		return nil, err
	}
	if _, err := s.Queues(); err != nil {
		return nil, err
	}
	return s.Log(queue)
}

// record makes a message; a body "" deletes the key.
func record(t testing.TB, offset int64, key, body string) Message {
	m := message.Message{Topic: queue.Topic, QueueID: queue.ID, Body: []byte(body), BornTimestamp: 1}
	b, err := message.AppendRecord(nil, &m, message.Properties{{Name: message.PropertyKeys, Value: key}, {Name: message.PropertyTags, Value: "tag"}}.String())
	require.NoError(t, err)
	message.Patch(b, offset, 1_000_000+offset*200, 1_700_000_000_000+offset)
	return Message{Record: b, QueueOffset: offset, TagsCode: message.TagsCode("tag"), StoreTimestamp: 1_700_000_000_000 + offset}
}

// entry is a message as it was read.
type entry struct {
	offset    int64
	key, body string
}

// all reads a log and holds each message against its unit.
func all(l *Log, from int64) ([]entry, error) {
	var out []entry
	err := l.Each(from, func(u consumequeue.BatchUnit, read func([]byte) ([]byte, error)) (bool, error) {
		b, err := read(nil)
		if err != nil {
			return false, err
		}
		r, err := message.Parse(b, true)
		switch {
		case err != nil:
			return false, fmt.Errorf("offset %d: %w", u.Base, err)
		case r.QueueOffset != u.Base || r.PhysicalOffset != u.PhysicalOffset || r.Size != int(u.Size) || r.Topic != queue.Topic || r.QueueID != queue.ID:
			return false, fmt.Errorf("unit %+v and record %+v do not fit", u, r)
		case u.TagsCode != message.TagsCode("tag") || u.StoreTimestamp != r.StoreTimestamp || u.Messages != 1:
			return false, fmt.Errorf("unit %+v", u)
		case len(out) > 0 && out[len(out)-1].offset >= u.Base:
			return false, fmt.Errorf("offset %d behind %d", u.Base, out[len(out)-1].offset)
		}
		out = append(out, entry{u.Base, Key(r.Properties), string(r.Body)})
		return true, nil
	})
	return out, err
}

func offsets(es []entry) (out []int64) {
	for _, e := range es {
		out = append(out, e.offset)
	}
	return out
}

func never() error { return nil }

// java returns why Java's broker would not start on a folder, and whether it would serve the queue: what
// CompactionStore.load, MappedFileQueue.load and CompactionLog.TopicPartitionLog.init do.
func java(fs fsys.FS, dir string) (why string, serves bool) {
	logDir, cqDir := filepath.Join(dir, Dir, LogDir, queue.Topic, "3"), filepath.Join(dir, Dir, CqDir, queue.Topic, "3")
	isDir := func(path string) bool {
		up, _ := fs.List(filepath.Dir(path))
		for _, e := range up {
			if e.Name == filepath.Base(path) {
				return e.Dir
			}
		}
		return false
	}
	if !isDir(logDir) || !isDir(cqDir) { // not loaded at the start, but with the first message
		logs, _ := fs.List(logDir)
		cqs, _ := fs.List(cqDir)
		return "", len(logs)+len(cqs) == 0
	}
	load := func(dir string, size int64) (names []string, ok bool, why string) {
		entries, _ := fs.List(dir)
		for i, e := range entries {
			switch {
			case e.Dir || e.Size == 0 && i == len(entries)-1:
				continue
			case e.Size != size:
				return nil, false, "" // an IOException, of which loadAndGetClog makes no log
			}
			if _, isName := parseName(e.Name); !isName {
				return nil, false, "NumberFormatException for " + e.Name
			}
			names = append(names, e.Name)
		}
		return names, true, ""
	}
	logs, ok, why := load(logDir, logSize)
	if !ok {
		return why, false
	}
	cqs, ok, why := load(cqDir, cqSize)
	if !ok {
		return why, false
	}
	if n := len(cqs); n > 0 { // log files behind the last unit's record are removed
		if f, err := fs.Open(filepath.Join(cqDir, cqs[n-1]), false); err == nil {
			b := make([]byte, unitSize)
			_, err = f.ReadAt(b, 0)
			if err == nil && valid(consumequeue.GetBatchUnit(b)) {
				for len(logs) > 0 && logs[len(logs)-1] > cqs[n-1] {
					logs = logs[:len(logs)-1]
				}
			}
			_ = f.Close()
		}
	}
	if strings.Join(logs, " ") != strings.Join(cqs, " ") {
		return fmt.Sprintf("log files %v and queue files %v", logs, cqs), false
	}
	return "", true
}
