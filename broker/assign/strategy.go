package assign

import (
	"slices"

	"github.com/skylarkmq/skylark/remoting/message"
)

// allocation returns the queues of one of the consumers ids; queues and ids are in order.
type allocation func(id string, queues []message.MessageQueue, ids []string) []message.MessageQueue

// strategies are those that Java's broker knows: a client that uses another one has to balance by itself.
var strategies = map[string]allocation{"AVG": average, "AVG_BY_CIRCLE": circle}

// average gives each consumer a run of queues. Java: AllocateMessageQueueAveragely.
func average(id string, queues []message.MessageQueue, ids []string) []message.MessageQueue {
	i := slices.Index(ids, id)
	if i < 0 {
		return nil
	}
	return slices.Clone(message.Averagely(queues, i, len(ids)))
}

// circle deals the queues out one by one. Java: AllocateMessageQueueAveragelyByCircle.
func circle(id string, queues []message.MessageQueue, ids []string) []message.MessageQueue {
	i := slices.Index(ids, id)
	if i < 0 {
		return nil
	}
	var out []message.MessageQueue
	for ; i < len(queues); i += len(ids) {
		out = append(out, queues[i])
	}
	return out
}

// forPop gives a consumer its own queues and those of the next share consumers; with share 0 or less, or when
// that would be everybody, all queues of each broker, as one with id -1.
// Java: QueryAssignmentProcessor.allocate4Pop.
func forPop(allocate allocation, id string, queues []message.MessageQueue, ids []string, share int) []message.MessageQueue {
	var out []message.MessageQueue
	if share <= 0 || share >= len(ids)-1 {
		for _, q := range queues {
			q.QueueID = -1
			out = append(out, q)
		}
		return out
	}
	at := slices.Index(ids, id)
	if at < 0 {
		return nil
	}
	if len(ids) > len(queues) {
		return []message.MessageQueue{queues[at%len(queues)]} // one for everybody
	}
	for i := range share + 1 {
		out = append(out, allocate(ids[(at+i)%len(ids)], queues, ids)...)
	}
	return out
}
