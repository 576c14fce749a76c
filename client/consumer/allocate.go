package consumer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/client"
)

// allocate returns the queues of consumer self among all consumers of a group: runs of the sorted queues, the longer
// ones first. All consumers must come to the same division, so it is Java's: AllocateMessageQueueAveragely. A
// consumer that is not among all gets none. It sorts both lists.
func allocate(self string, consumers []string, queues []client.MessageQueue) []client.MessageQueue {
	slices.Sort(consumers)
	slices.SortFunc(queues, compareQueues)
	at := slices.Index(consumers, self)
	if at < 0 {
		return nil
	}
	share, longer := len(queues)/len(consumers), len(queues)%len(consumers)
	from := at*share + min(at, longer)
	if at < longer {
		share++
	}
	return queues[from : from+share]
}

// compareQueues orders queues as Java's MessageQueue.compareTo does.
func compareQueues(a, b client.MessageQueue) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.BrokerName, b.BrokerName), cmp.Compare(a.QueueID, b.QueueID))
}
