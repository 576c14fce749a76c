package send

import (
	"strings"

	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// checkKey refuses a message without keys for a topic that keeps the last message of each, with or without
// enableCompaction. Java: SendMessageProcessor.sendMessage; there as here batches are not looked at.
func checkKey(c *body.TopicConfig, keys string) error {
	if topic.Compacted(c) && strings.TrimSpace(keys) == "" {
		return protocol.Errorf(protocol.MessageIllegal, "Required message key is missing")
	}
	return nil
}
