package mapping

import (
	"errors"
	"fmt"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// maxQueues bounds the logical queues of a topic, and maxItems the physical queues of one: far more than any cluster
// has, and what a hostile request may make the broker keep.
const (
	maxQueues = 1 << 16
	maxItems  = 1 << 12
)

// refuse is a refusal in Java's words.
func refuse(format string, args ...any) error {
	return protocol.Errorf(protocol.SystemError, format, args...)
}

// check returns what is wrong with a topic's mapping by itself.
func (t *Table) check(d *Detail) error {
	switch {
	case d.Topic == "":
		return errors.New("the mapping has no topic")
	case d.Bname != t.o.BrokerName:
		return fmt.Errorf("the mapping is that of broker %s, this is %s", d.Bname, t.o.BrokerName)
	case d.Scope == "":
		return errors.New("the mapping has no scope")
	case d.TotalQueues < 0 || d.TotalQueues > maxQueues || len(d.HostedQueues) > maxQueues:
		return fmt.Errorf("the mapping has %d queues, %d of them here", d.TotalQueues, len(d.HostedQueues))
	}
	for id, items := range d.HostedQueues {
		if id < 0 || id > maxQueues {
			return fmt.Errorf("the mapping has a queue %d", id)
		}
		if len(items) > maxItems {
			return fmt.Errorf("a queue of the mapping has %d items", len(items))
		}
		if err := body.CheckItems(items); err != nil {
			return err
		}
	}
	return nil
}

// continues returns why next may not follow old.
func continues(old, next *Detail) error {
	if next.Epoch < old.Epoch {
		return refuse("Can't accept data with small epoch %d < %d", next.Epoch, old.Epoch)
	}
	if next.Scope != old.Scope {
		return refuse("Can't accept data with unmatched scope %s != %s", next.Scope, old.Scope)
	}
	for id, items := range old.HostedQueues {
		now, ok := next.HostedQueues[id]
		if !ok {
			if next.Epoch == old.Epoch {
				return refuse("Cannot accept equal epoch with null data")
			}
			continue
		}
		if err := sameItems(items, now, next.Epoch == old.Epoch); err != nil {
			return err
		}
	}
	return nil
}

// sameItems returns why the items of a logical queue may not become now: an item that both have is the same for ever,
// but for a logical offset that is decided only later. Items may be missing on either side: the earliest go when they
// are empty, and a queue that comes back to a broker brings items that the broker did not know.
// Java: TopicQueueMappingUtils.makeSureLogicQueueMappingItemImmutable, which leaves all but the leader to assertions.
func sameItems(old, now []Item, epochEqual bool) error {
	for i, j := 0, 0; i < len(old) && j < len(now); {
		a, b := &old[i], &now[j]
		switch {
		case b.Gen < a.Gen:
			j++
			continue
		case a.Gen < b.Gen:
			i++
			continue
		case a.Bname != b.Bname || a.QueueID != b.QueueID || a.StartOffset != b.StartOffset || a.LogicOffset >= 0 && a.LogicOffset != b.LogicOffset:
			return fmt.Errorf("item %d of the queue changes from broker %s queue %d offset %d to broker %s queue %d offset %d",
				a.Gen, a.Bname, a.QueueID, a.LogicOffset, b.Bname, b.QueueID, b.LogicOffset)
		}
		i++
		j++
	}
	if !epochEqual {
		return nil
	}
	a, b := &old[len(old)-1], &now[len(now)-1]
	if a.Gen != b.Gen || a.Bname != b.Bname || a.QueueID != b.QueueID || a.StartOffset != b.StartOffset {
		return refuse("The new leader is different but epoch equal")
	}
	return nil
}
