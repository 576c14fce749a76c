package consumer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// noOffset means that a group has no offset of a queue.
const noOffset = -1

// offsets are how far a group is: what is to be stored, at the brokers or in a file. Java: OffsetStore.
type offsets struct {
	inst  *instance.Instance
	group string
	file  string // of broadcasts; empty: brokers have them

	saving sync.Mutex // one stores at a time, so that none overtakes another; before mu
	mu     sync.Mutex
	all    map[client.MessageQueue]int64
	stored map[client.MessageQueue]int64
}

func newOffsets(inst *instance.Instance, o *Options) (*offsets, error) {
	s := &offsets{inst: inst, group: o.Group, all: map[client.MessageQueue]int64{}, stored: map[client.MessageQueue]int64{}}
	if !o.Broadcasting {
		return s, nil
	}
	// Java: LocalFileOffsetStore.
	s.file = filepath.Join(o.OffsetDir, inst.ClientID(), o.Group, "offsets.json")
	return s, s.readFile()
}

// localOffsets is the content of the file. Java: OffsetSerializeWrapper.
type localOffsets struct {
	OffsetTable body.QueueMap[int64] `json:"offsetTable"`
}

func (s *offsets) readFile() error {
	b, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var table localOffsets
	if err == nil {
		err = body.Unmarshal(b, &table)
	}
	if err != nil {
		return fmt.Errorf("cannot read the offsets of group %s: %w", s.group, err)
	}
	for q, offset := range table.OffsetTable {
		s.all[q], s.stored[q] = offset, offset
	}
	return nil
}

// update notes an offset, which may go back.
func (s *offsets) update(q client.MessageQueue, offset int64) {
	s.mu.Lock()
	s.all[q] = offset
	s.mu.Unlock()
}

// get returns the offset of a queue as it was noted last, noOffset when there is none.
func (s *offsets) get(q client.MessageQueue) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if offset, ok := s.all[q]; ok {
		return offset
	}
	return noOffset
}

// load returns the offset of a queue as it is stored, noOffset when there is none.
func (s *offsets) load(ctx context.Context, q client.MessageQueue) (int64, error) {
	if s.file != "" {
		return s.get(q), nil
	}
	addr := s.inst.Master(q.BrokerName)
	if addr == "" {
		addr, _ = s.inst.Readable(q.BrokerName, 0)
	}
	if addr == "" {
		return 0, fmt.Errorf("cannot ask for the offset of queue %d: the broker[%s] not exist", q.QueueID, q.BrokerName)
	}
	r, err := instance.Fields[header.QueryConsumerOffsetResponse](ctx, s.inst, addr, protocol.QueryConsumerOffset,
		header.QueryConsumerOffsetRequest{ConsumerGroup: s.group, Topic: q.Topic, QueueID: q.QueueID})
	if client.Code(err) == protocol.QueryNotFound {
		return noOffset, nil
	}
	if err != nil {
		return 0, err
	}
	return r.Offset, nil
}

// adopt notes the offset of a queue as its broker has it.
func (s *offsets) adopt(q client.MessageQueue, offset int64) {
	if s.file != "" {
		return
	}
	s.mu.Lock()
	s.all[q], s.stored[q] = offset, offset
	s.mu.Unlock()
}

// remove forgets a queue that is another consumer's now.
func (s *offsets) remove(q client.MessageQueue) {
	if s.file != "" {
		return
	}
	s.mu.Lock()
	delete(s.all, q)
	delete(s.stored, q)
	s.mu.Unlock()
}

// store stores what has changed of the queues or, without any, of all.
func (s *offsets) store(ctx context.Context, queues ...client.MessageQueue) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	changed := map[client.MessageQueue]int64{}
	for q, offset := range s.all {
		if before, ok := s.stored[q]; (!ok || before != offset) && (len(queues) == 0 || slices.Contains(queues, q)) {
			changed[q] = offset
		}
	}
	all := maps.Clone(s.all)
	s.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	if s.file != "" {
		if err := s.writeFile(all); err != nil {
			return err
		}
		s.keep(all)
		return nil
	}
	var errs []error
	for q, offset := range changed {
		if err := s.send(ctx, q, offset); err != nil {
			errs = append(errs, fmt.Errorf("cannot store offset %d of %s queue %d of %s: %w", offset, q.Topic, q.QueueID, q.BrokerName, err))
			continue
		}
		s.keep(map[client.MessageQueue]int64{q: offset})
	}
	return errors.Join(errs...)
}

func (s *offsets) keep(list map[client.MessageQueue]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, offset := range list {
		if _, ok := s.all[q]; ok {
			s.stored[q] = offset
		}
	}
}

func (s *offsets) send(ctx context.Context, q client.MessageQueue, offset int64) error {
	addr := s.inst.Master(q.BrokerName)
	if addr == "" {
		return fmt.Errorf("the broker[%s] not exist", q.BrokerName)
	}
	_, err := s.inst.Call(ctx, addr, protocol.UpdateConsumerOffset, header.UpdateConsumerOffsetRequest{ConsumerGroup: s.group, Topic: q.Topic, QueueID: q.QueueID, CommitOffset: offset}, nil)
	return err
}

// writeFile replaces the file, so that a crash leaves the old one or the new one.
func (s *offsets) writeFile(all map[client.MessageQueue]int64) error {
	text, err := body.Marshal(localOffsets{all})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.file), 0o755)
	}
	if err == nil {
		err = replaceFile(s.file, text)
	}
	if err != nil {
		return fmt.Errorf("cannot store the offsets of group %s: %w", s.group, err)
	}
	return nil
}

func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
