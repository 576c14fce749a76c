package topic

import (
	"math"
	"strings"

	"github.com/skylarkmq/skylark/broker/internal/attribute"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Names of topic attributes. Java: TopicAttributes.
const (
	AttrQueueType      = "queue.type"
	AttrCleanupPolicy  = "cleanup.policy"
	AttrMessageType    = "message.type"
	AttrReserveTime    = "reserve.time"
	AttrLiteExpiration = "lite.topic.expiration"
)

// MessageTypeMixed is the message.type that UPDATE_AND_CREATE_TOPIC refuses while enableMixedMessageType
// is off. Java: TopicMessageType.
const MessageTypeMixed = "MIXED"

// MessageTypeLite is the message.type of lite topics, which Java makes and UPDATE_AND_CREATE_TOPIC refuses here as
// long as there are none. Java: TopicMessageType.
const MessageTypeLite = "LITE"

// cleanupCompaction is the cleanup.policy of topics that keep the last message of each key. Java: CleanupPolicy.
const cleanupCompaction = "COMPACTION"

// Compacted reports whether a topic keeps the last message of each key. Java: CleanupPolicyUtils.isCompaction.
func Compacted(c *body.TopicConfig) bool {
	return c != nil && len(c.Attributes) > 0 && c.Attributes[AttrCleanupPolicy] == cleanupCompaction
}

// maxLiteExpiration is 30 days in minutes.
const maxLiteExpiration = 30 * 24 * 60

// QueueTypeBatch is the queue.type of topics whose queues are batch queues. Java: CQType.
const QueueTypeBatch = "BatchCQ"

// attributeRules are the rules for topics. The order of the values is that of Java's messages.
func attributeRules() attribute.Rules {
	return attribute.Rules{
		AttrQueueType:      attribute.Enum(false, "SimpleCQ", QueueTypeBatch),
		AttrCleanupPolicy:  attribute.Enum(false, "DELETE", cleanupCompaction),
		AttrMessageType:    attribute.Enum(true, "UNSPECIFIED", MessageTypeMixed, "TRANSACTION", "PRIORITY", "FIFO", "DELAY", MessageTypeLite, "NORMAL"),
		AttrReserveTime:    attribute.Range(true, -1, math.MaxInt64),
		AttrLiteExpiration: attribute.Range(true, -1, maxLiteExpiration),
	}
}

// ParseAttributes reads the attributes field of UPDATE_AND_CREATE_TOPIC, "+k1=v1,-k2", into the signed
// form that Update takes. Errors carry Java's text. Java: AttributeParser.parseToMap.
func ParseAttributes(text string) (map[string]string, error) { return attribute.Parse(text) }

// Update makes or changes topics, each as given except that its Attributes are changes (+key=value, -key)
// to those the topic has. changed is false when all are as asked for already. Changes are on disk when it
// returns. An error of the attribute rules carries Java's text and stops at that topic, leaving those
// before it changed; an error of the disk leaves the change in memory, to be stored later. The
// configurations are not kept. Java: TopicConfigManager.updateTopicConfig.
func (t *Table) Update(configs ...*body.TopicConfig) (changed bool, err error) {
	var names []string
	for _, c := range configs {
		var did bool
		if did, err = t.update(c); err != nil {
			break
		}
		if did {
			names = append(names, strings.Clone(c.TopicName))
		}
	}
	if len(names) == 0 {
		return false, err
	}
	if syncErr := t.t.Sync(); err == nil {
		err = syncErr
	}
	t.tell(names...)
	return true, err
}

func (t *Table) update(wanted *body.TopicConfig) (bool, error) {
	if t.light(wanted.TopicName) {
		return false, nil // as it is, without a word, as by Java
	}
	changed, err := t.t.Update(wanted.TopicName, func(current *body.TopicConfig) (*body.TopicConfig, error) {
		var old map[string]string
		if current != nil {
			old = current.Attributes
		}
		attributes, err := attribute.Alter(current == nil, attributeRules(), old, wanted.Attributes)
		if err != nil {
			return nil, err
		}
		c := *wanted
		c.TopicName, c.TopicFilterType = strings.Clone(wanted.TopicName), strings.Clone(wanted.TopicFilterType)
		if c.TopicFilterType == "" {
			c.TopicFilterType = body.SingleTag
		}
		c.Attributes = make(map[string]string, len(attributes))
		for k, v := range attributes {
			c.Attributes[strings.Clone(k)] = strings.Clone(v)
		}
		if current != nil && equal(current, &c) {
			return nil, nil
		}
		return &c, nil
	})
	if changed {
		t.o.Logger.Info().Str("topic", wanted.TopicName).Int32("readQueueNums", wanted.ReadQueueNums).Int32("writeQueueNums", wanted.WriteQueueNums).
			Int32("perm", wanted.Perm).Msg("topic updated")
	}
	return changed, err
}

// Touch counts a change of a topic that is not in its configuration, and tells of it.
func (t *Table) Touch(topic string) {
	t.t.Touch()
	t.tell(strings.Clone(topic))
}

// Delete removes a topic and reports whether it was there. The change is on disk when it returns; an
// error is the disk's. Java: TopicConfigManager.deleteTopicConfig.
func (t *Table) Delete(topic string) (bool, error) {
	if !t.t.Delete(topic) {
		return false, nil
	}
	t.o.Logger.Info().Str("topic", topic).Msg("topic deleted")
	err := t.t.Sync()
	t.tell(strings.Clone(topic))
	return true, err
}

// MarkOrder makes ordered topics of those named, as the name server's ORDER_TOPIC_CONFIG asks for.
// Java: TopicConfigManager.updateOrderTopicConfig, which does not register the change either.
func (t *Table) MarkOrder(topics []string) {
	for _, name := range topics {
		t.setOrder(name, true)
	}
}

// Replace makes the table equal to a master's. Java: SlaveSynchronize.syncTopicConfig.
func (t *Table) Replace(version body.DataVersion, all map[string]*body.TopicConfig) error {
	t.t.Replace(version, all)
	return t.t.Sync()
}
