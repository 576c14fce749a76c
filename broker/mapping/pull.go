package mapping

import (
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// ended reports whether the item's end is decided. Java: LogicQueueMappingItem.checkIfEndOffsetDecided.
func ended(i *Item) bool { return i.EndOffset > i.StartOffset }

// Limit returns how many messages one pull may take of an item.
func Limit(i *Item, asked int32) int32 {
	if ended(i) {
		return int32(min(i.EndOffset-i.StartOffset, int64(asked)))
	}
	return asked
}

// Pulled is what a pull of a queue found: a response code and offsets. Delta is what a client adds to the offsets that
// stand in the messages to get logical ones.
type Pulled struct {
	Code           int32
	Next, Min, Max int64
	Delta          int64
}

// Pull turns what a pull at a physical offset of item has found into what the client of the logical queue is told.
// The end of an item that is not the last is the begin of the next.
// Java: PullMessageProcessor.rewriteResponseForStaticTopic. It differs in one case: an offset behind the last message
// of a queue's only item is corrected, as in any other topic, where Java says for ever that there is no message yet.
func (q *Queue) Pull(item *Item, offset int64, p Pulled) Pulled {
	if p.Code != protocol.Success {
		item, p = q.correct(item, offset, p)
	}
	if ended(item) {
		p.Next = min(p.Next, item.EndOffset)
	}
	return Pulled{Code: p.Code, Next: item.Logical(p.Next), Min: item.Logical(p.Min),
		Max: max(item.Logical(p.Max), q.Leader().KnownMax()), Delta: item.LogicOffset - item.StartOffset}
}

// correct is Pull's way with a pull that found nothing; it may go on to the next item.
func (q *Queue) correct(item *Item, offset int64, p Pulled) (*Item, Pulled) {
	first, leader := item.Gen == q.First().Gen, item.Gen == q.Leader().Gen
	switch {
	case offset < p.Min:
		p.Next, p.Code = p.Min, protocol.PullRetryImmediately
		if first { // the client is told that messages are gone
			p.Code = protocol.PullOffsetMoved
		}
	case leader:
		if offset > p.Max && p.Code == protocol.PullOffsetMoved {
			p.Next = p.Max
		}
	case offset >= p.Max:
		next := q.next(item)
		if next == nil { // the queue is on its way to another item
			p.Code = protocol.PullNotFound
			break
		}
		return next, Pulled{Code: protocol.PullRetryImmediately, Next: next.StartOffset, Min: next.StartOffset, Max: next.StartOffset}
	}
	return item, p
}
