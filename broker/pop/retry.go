package pop

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skylarkmq/skylark/broker/pop/receipt"
	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/commitlog"
)

// Properties of a revived message. Java: MessageConst.
const (
	propertyFirstPop    = "1ST_POP_TIME" // ms
	propertyOriginGroup = "ORIGIN_GROUP"
)

const dlqPrefix = "%DLQ%"

// permReadWrite is the permission of the topics made here. Java: PopReviveService.addRetryTopicIfNotExist.
const permReadWrite int32 = 6

// putOffFor is how long a message is put off that could not be revived, at the nth time; then as the last time.
// Java: PopReviveService.ckRewriteIntervalsInSeconds.
var putOffFor = [...]int64{10, 20, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200}

func deliverTime(p message.Properties) int64 {
	at, _ := strconv.ParseInt(p.Get(message.PropertyTimerDeliverMs), 10, 64)
	return at
}

// failure is a message that could not be revived.
type failure struct {
	ck     *revivelog.CheckPoint
	offset int64
	err    error
}

type failures struct {
	mu   sync.Mutex
	list []failure
}

func (f *failures) add(x failure) {
	f.mu.Lock()
	f.list = append(f.list, x)
	f.mu.Unlock()
}

// revive stores the messages of a checkpoint that are not acknowledged in the group's retry topic. wg counts
// what is on its way to the store.
func (v *reviver) revive(ck *revivelog.CheckPoint, wg *sync.WaitGroup, failed *failures) {
	normal := receipt.NormalTopic(ck.Topic, ck.Group)
	if normal == "" || v.p.o.Topics.Get(normal) == nil || v.p.o.Group(ck.Group) == nil {
		v.p.o.Logger.Warn().Str("topic", ck.Topic).Str("group", ck.Group).Msg("topic or group is gone, its popped messages are not revived")
		return
	}
	for i := range int(ck.Num) {
		if ck.Acked(i) {
			continue
		}
		offset := ck.Offset(i)
		rec, err := v.message(ck.Topic, ck.QueueID, offset)
		if errors.Is(err, commitlog.ErrNoRecord) {
			v.p.o.Logger.Info().Str("topic", ck.Topic).Int32("queueId", ck.QueueID).Int64("queueOffset", offset).Msg("a popped message is gone, it cannot be revived")
			continue
		}
		if err == nil {
			wg.Add(1)
			err = v.again(ck, normal, &rec, func(err error) {
				if err != nil {
					failed.add(failure{ck, offset, err})
				}
				wg.Done()
			})
			if err != nil {
				wg.Done()
			}
		}
		if err != nil {
			failed.add(failure{ck, offset, err})
		}
	}
}

// message reads the message at a queue offset.
func (v *reviver) message(topic string, queueID int32, offset int64) (message.Record, error) {
	q := v.p.o.Store.Find(topic, queueID)
	if q == nil || offset < q.Min() {
		return message.Record{}, commitlog.ErrNoRecord
	}
	u, ok, err := q.At(offset)
	if err != nil {
		return message.Record{}, err
	}
	if !ok {
		return message.Record{}, commitlog.ErrNoRecord
	}
	return v.p.o.Store.Record(u.PhysicalOffset)
}

// again stores a message for its next delivery, or among the dead letters when the group has had it often
// enough. Java: PopReviveService.reviveRetry, which never gives up: there the proxy does, after as many
// deliveries.
func (v *reviver) again(ck *revivelog.CheckPoint, normal string, rec *message.Record, done func(error)) error {
	p := message.ParseProperties(rec.Properties)
	if rec.ReconsumeTimes == 0 || p.Get(propertyFirstPop) == "" {
		p.Set(propertyFirstPop, strconv.FormatInt(ck.PopTime, 10))
	}
	p.Set(propertyOriginGroup, ck.Group)
	m := rec.Message
	m.QueueID, m.PreparedTransactionOffset = 0, 0
	m.BornHost, m.StoreHost = v.p.storeHost, v.p.storeHost
	dead := v.deadLetter(ck, rec)
	if !ck.Suspend {
		m.ReconsumeTimes++
	}
	switch {
	case dead:
		m.Topic = dlqPrefix + ck.Group
		if p.Get(message.PropertyRetryTopic) == "" {
			p.Set(message.PropertyRetryTopic, normal)
		}
		if p.Get(message.PropertyOriginMessageID) == "" {
			p.Set(message.PropertyOriginMessageID, string(message.AppendOffsetID(nil, rec.StoreHost, rec.PhysicalOffset)))
		}
	case receipt.IsRetry(ck.Topic):
		m.Topic = strings.Clone(ck.Topic)
	case v.p.o.EnableRetryTopicV2:
		m.Topic = receipt.RetryTopicV2(ck.Topic, ck.Group)
	default:
		m.Topic = receipt.RetryTopicV1(ck.Topic, ck.Group)
	}
	if err := v.ensure(m.Topic, ck.Group, dead); err != nil {
		return err
	}
	tags := message.TagsCode(p.Get(message.PropertyTags))
	return v.p.o.Put(&m, p.String(), store.Rec{TagsCode: tags}, func(err error, _ []store.Rec) {
		v.p.o.Stats.Revive(ck.Group, ck.Topic, stats.ReviveRetry{Status: status(err)})
		if dead && err == nil {
			v.p.o.Stats.DeadLetter(ck.Group, normal)
		}
		if errors.Is(err, store.ErrFlushTimeout) {
			err = nil // it is stored
		}
		if err == nil {
			v.p.landed(ck.Topic, ck.Group, ck.QueueID, ck.PopTime, 1)
			v.p.hold.WakeGroup(normal, ck.Group)
			v.p.notify.WakeGroup(normal, ck.Group)
		}
		done(err)
	})
}

// deadLetter reports whether the group has had the message as often as it may.
func (v *reviver) deadLetter(ck *revivelog.CheckPoint, rec *message.Record) bool {
	g := v.p.o.Group(ck.Group)
	return !ck.Suspend && g != nil && rec.ReconsumeTimes >= g.RetryMaxTimes
}

// ensure makes a retry or dead letter topic. A group that is new to its retry topic begins with its first
// message. Java: PopReviveService.addRetryTopicIfNotExist.
func (v *reviver) ensure(topic, group string, dead bool) error {
	if v.p.o.Topics.Get(topic) != nil {
		return nil
	}
	if v.p.o.Topics.CreateInSendBack(topic, 1, permReadWrite, 0) == nil {
		return errors.New("cannot make topic " + topic)
	}
	if _, ok := v.p.o.Offsets.Query(group, topic, 0); !ok && !dead {
		v.p.o.Offsets.Commit("revive", group, topic, 0, 0)
	}
	return nil
}

// putOff writes a new checkpoint for a message that could not be revived, and waits for it.
// Java: PopReviveService.rePutCK.
func (v *reviver) putOff(queueID int32, x failure) error {
	n := x.ck.Attempts()
	if n >= len(putOffFor) && v.p.live.Load().SkipWhenCKRePutReachMaxTimes {
		v.p.o.Logger.Error().Err(x.err).Str("topic", x.ck.Topic).Str("group", x.ck.Group).Int64("queueOffset", x.offset).Msg("message cannot be revived, giving up")
		return nil
	}
	v.p.o.Logger.Warn().Err(x.err).Str("topic", x.ck.Topic).Str("group", x.ck.Group).Int64("queueOffset", x.offset).Msg("message cannot be revived, it is put off")
	ck := *x.ck
	ck.BitMap, ck.Num, ck.Diffs, ck.StartOffset, ck.ReviveOffset = 0, 1, []int32{0}, x.offset, 0
	ck.RePutTimes = strconv.Itoa(n + 1)
	ck.InvisibleTime = time.Now().UnixMilli() - ck.PopTime + putOffFor[min(n, len(putOffFor)-1)]*1000
	result := make(chan error, 1)
	v.p.log.CheckPoint(&ck, queueID, func(err error) { result <- err })
	return <-result
}
