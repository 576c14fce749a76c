package send

import (
	"fmt"
	"strconv"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// brokerProperties are those of an inner batch that are the broker's to set.
var brokerProperties = []string{message.PropertyMsgRegion, message.PropertyTraceOn, message.PropertyCluster, message.PropertyPopCK,
	message.PropertyCRC32, message.PropertyInnerNum, message.PropertyInnerBase, message.PropertyMultiQueueOffset}

// addInner stores a batch for a batch queue as it came, in one record with the properties of the request. Java's
// broker counts the messages in it by their sizes alone; here all of them must be whole, or no consumer could take
// them apart. Java: SendMessageProcessor.sendBatchMessage, DefaultMessageStore.asyncPutMessage.
func (s *Sender) addInner(b *batch, r *sent, h *header.SendMessageRequestV2, topic *body.TopicConfig, m *message.Message) error {
	p := scan(h.Properties)
	level, _ := strconv.Atoi(p.delay)
	if m.SysFlag&message.SysFlagTransaction != 0 || level > 0 || p.timer && !p.timed {
		return s.illegal() // Java makes it a message of another topic, whose queues are no batch queues
	}
	count := 0
	for rest := m.Body; len(rest) > 0; count++ {
		var err error
		if _, rest, err = message.NextBatchItem(rest); err != nil {
			return fmt.Errorf("%w of topic %s", err, h.Topic)
		}
	}
	if count == 0 || count > consumequeue.MaxBatch {
		return s.illegal()
	}
	if topic.TopicFilterType == body.MultiTag {
		m.SysFlag |= message.SysFlagMultiTags
	}
	m.SysFlag |= message.SysFlagNeedUnwrap | message.SysFlagInnerBatch
	all := message.ParseProperties(h.Properties)
	for _, name := range brokerProperties {
		all.Delete(name)
	}
	r.id, r.inner = b.keep(p.uniq), int32(count)
	return s.addRecord(b, r, m, store.Rec{TagsCode: message.TagsCode(p.tags), Inner: int16(count)}, all.String(), &p)
}
