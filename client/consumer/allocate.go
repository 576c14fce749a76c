package consumer

import (
	"slices"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
)

// allocate returns the queues of consumer self among all consumers of a group. One that is not among them gets none.
// It sorts both lists.
func allocate(self string, consumers []string, queues []client.MessageQueue) []client.MessageQueue {
	slices.Sort(consumers)
	slices.SortFunc(queues, client.MessageQueue.Compare)
	at := slices.Index(consumers, self)
	if at < 0 {
		return nil
	}
	return message.Averagely(queues, at, len(consumers))
}
