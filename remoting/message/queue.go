package message

import "cmp"

// MessageQueue names one queue of a topic on one broker. Java: org.apache.rocketmq.common.message.MessageQueue.
type MessageQueue struct {
	Topic      string `json:"topic"`
	BrokerName string `json:"brokerName"`
	QueueID    int32  `json:"queueId"`
}

// Compare orders queues by topic, broker name and id. Java: MessageQueue.compareTo.
func (q MessageQueue) Compare(other MessageQueue) int {
	return cmp.Or(cmp.Compare(q.Topic, other.Topic), cmp.Compare(q.BrokerName, other.BrokerName), cmp.Compare(q.QueueID, other.QueueID))
}

// Averagely returns the part of list that is for member at, from 0 on, of so many: the members get runs of it, the
// first ones one more if they do not go up evenly. The group's consumers must all come to the same division, so it is
// Java's: AllocateMessageQueueAveragely. The part shares its memory with list.
func Averagely[E any](list []E, at, members int) []E {
	size, rest := len(list)/members, len(list)%members
	from := at*size + min(at, rest)
	if at < rest {
		size++
	}
	return list[from : from+size]
}
