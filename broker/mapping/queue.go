package mapping

import (
	"math"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Queue is a logical queue that this broker leads.
type Queue struct {
	Detail *Detail
	ID     int32  // global id
	Items  []Item // not empty; the last one is this broker's
}

// IsPhysical reports whether a request says that its queue ids and offsets are those of this broker, lo=false, as
// leaders ask each other. Java: TopicRequestHeader.lo.
func IsPhysical(ext protocol.Ext) bool {
	v, ok := ext.Get("lo")
	return ok && strings.EqualFold(v, "false")
}

// Lead returns a logical queue of d, or Java's refusal when this broker is not the one to ask.
func Lead(d *Detail, id int32) (Queue, error) {
	items := d.HostedQueues[int64(id)]
	if len(items) == 0 || items[len(items)-1].Bname != d.Bname {
		return Queue{}, protocol.Errorf(protocol.NotLeaderForQueue, "%s-%d does not exit in request process of current broker %s", d.Topic, id, d.Bname)
	}
	return Queue{Detail: d, ID: id, Items: items}, nil
}

// LeadAny is Lead for a request that leaves the queue to the broker (an id below 0).
func LeadAny(d *Detail, id int32) (Queue, error) {
	if id >= 0 {
		return Lead(d, id)
	}
	for have := range d.HostedQueues { // in no order
		if q, err := Lead(d, int32(have)); err == nil {
			return q, nil
		}
	}
	return Lead(d, id)
}

// Leader is the item that messages go to.
func (q *Queue) Leader() *Item { return &q.Items[len(q.Items)-1] }

// Here reports whether an item's physical queue is one of this broker.
func (q *Queue) Here(i *Item) bool { return i.Bname == q.Detail.Bname }

// Local reports whether all items are of this broker.
func (q *Queue) Local() bool {
	for i := range q.Items {
		if !q.Here(&q.Items[i]) {
			return false
		}
	}
	return true
}

// Decided returns the items whose logical offset is known, in order. There may be none.
func (q *Queue) Decided() []Item {
	n := len(q.Items)
	if !Decided(&q.Items[n-1]) {
		n--
	}
	return q.Items[:n]
}

// At returns the item that holds a logical offset, the first one for an offset before all, and nil when no item's
// offset is decided. Java: TopicQueueMappingUtils.findLogicQueueMappingItem with ignoreNegative.
func (q *Queue) At(offset int64) *Item {
	items := q.Decided()
	for i := len(items) - 1; i >= 0; i-- {
		if offset >= items[i].LogicOffset || i == 0 {
			return &items[i]
		}
	}
	return nil
}

// First and Last are the decided items at the ends; nil when there is none.
func (q *Queue) First() *Item { return q.At(math.MinInt64) }

// Last is the decided item that ends last.
func (q *Queue) Last() *Item { return q.At(math.MaxInt64) }

// next is the decided item behind i, nil when there is none.
func (q *Queue) next(i *Item) *Item {
	for _, items := 0, q.Decided(); len(items) > 0; items = items[1:] {
		if items[0].Gen > i.Gen {
			return &items[0]
		}
	}
	return nil
}

// Decided reports whether the item's logical offset is known: it is not while the queue moves to it.
func Decided(i *Item) bool { return i.LogicOffset >= 0 }

// Physical returns the physical offset of a logical one.
func Physical(i *Item, logical int64) int64 { return logical - i.LogicOffset + i.StartOffset }

// LogicalWithin is Item.Logical, but not beyond the item's end where that is decided, and -1 while the item's logical
// offset is not. It is for the reply to a send and for the least offset.
// Java: LogicQueueMappingItem.computeStaticQueueOffsetLoosely.
func LogicalWithin(i *Item, physical int64) int64 {
	switch {
	case !Decided(i):
		return -1
	case i.EndOffset >= i.StartOffset:
		physical = min(physical, i.EndOffset)
	}
	return i.Logical(physical)
}

// PhysicalAt returns the ext fields that make a request one for the physical queue of an item, beside the queue id.
func PhysicalAt(i *Item) protocol.Ext {
	return protocol.Ext{{Key: "bname", Value: i.Bname}, {Key: "lo", Value: "false"}}
}
