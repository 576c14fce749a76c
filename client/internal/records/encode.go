package records

import (
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// maxTopic is the length of a topic that a client may send to. Java: Validators.TOPIC_MAX_LENGTH.
const maxTopic = 127

// Properties returns the property string of a message with a unique id.
// An error is a *client.Error of code MESSAGE_ILLEGAL.
func Properties(m *client.Message, id string) (string, error) {
	b := make([]byte, 0, 96+len(m.Properties)*32)
	add := func(name, value string) {
		if value != "" {
			b = message.AppendProperty(b, name, value)
		}
	}
	for name, value := range m.Properties {
		if name == "" || strings.ContainsAny(name, "\x01\x02") || strings.ContainsAny(value, "\x01\x02") {
			return "", protocol.Errorf(protocol.MessageIllegal, "the property %.64q has an illegal name or value", name)
		}
		if !outweighed(m, name) {
			add(name, value)
		}
	}
	for _, key := range m.Keys {
		if key == "" || strings.ContainsAny(key, " \x01\x02") {
			return "", protocol.Errorf(protocol.MessageIllegal, "the key %.64q is empty or has an illegal character", key)
		}
	}
	if strings.ContainsAny(m.Tag, "\x01\x02") {
		return "", protocol.Errorf(protocol.MessageIllegal, "the tag %.64q has an illegal character", m.Tag)
	}
	add(message.PropertyKeys, strings.Join(m.Keys, " "))
	add(message.PropertyTags, m.Tag)
	add(message.PropertyWait, strconv.FormatBool(!m.NoWait))
	if m.DelayLevel > 0 {
		add(message.PropertyDelay, strconv.Itoa(m.DelayLevel))
	}
	if m.Delay > 0 {
		add(message.PropertyTimerDelayMs, strconv.FormatInt(m.Delay.Milliseconds(), 10))
	}
	if !m.DeliverAt.IsZero() {
		add(message.PropertyTimerDeliverMs, strconv.FormatInt(m.DeliverAt.UnixMilli(), 10))
	}
	add(message.PropertyUniqKey, id)
	if len(b) > message.MaxProperties {
		return "", protocol.Errorf(protocol.MessageIllegal, "the properties have %d bytes, more than %d", len(b), message.MaxProperties)
	}
	return string(b), nil
}

// outweighed tells whether a property is one that a field of m sets.
func outweighed(m *client.Message, name string) bool {
	switch name {
	case message.PropertyKeys:
		return len(m.Keys) > 0
	case message.PropertyTags:
		return m.Tag != ""
	case message.PropertyDelay:
		return m.DelayLevel > 0
	case message.PropertyTimerDelayMs:
		return m.Delay > 0
	case message.PropertyTimerDeliverMs:
		return !m.DeliverAt.IsZero()
	case message.PropertyWait, message.PropertyUniqKey:
		return true
	}
	return false
}

// Delayed tells whether a message asks its broker to hold it back.
func Delayed(m *client.Message) bool {
	return m.DelayLevel > 0 || m.Delay > 0 || !m.DeliverAt.IsZero() || m.Properties[message.PropertyDelay] != "" ||
		m.Properties[message.PropertyTimerDelayMs] != "" || m.Properties[message.PropertyTimerDelaySec] != "" || m.Properties[message.PropertyTimerDeliverMs] != ""
}

// Check tells what of a message a broker would refuse: its topic or the size of its body. An error is a
// *client.Error. Java: Validators.checkMessage.
func Check(m *client.Message, maxBody int) error {
	if m == nil {
		return protocol.Errorf(protocol.MessageIllegal, "the message is null")
	}
	if err := CheckTopic(m.Topic); err != nil {
		return err
	}
	if len(m.Body) == 0 {
		return protocol.Errorf(protocol.MessageIllegal, "the message body length is zero")
	}
	if len(m.Body) > maxBody {
		return protocol.Errorf(protocol.MessageIllegal, "the message body size over max value, MAX: %d", maxBody)
	}
	return nil
}

// CheckTopic tells what is wrong with a topic's name. Java: Validators.checkTopic, TopicValidator.validateTopic.
func CheckTopic(topic string) error {
	if topic == "" {
		return protocol.Errorf(protocol.MessageIllegal, "the specified topic is blank")
	}
	if len(topic) > maxTopic && !strings.HasPrefix(topic, client.RetryPrefix) {
		return protocol.Errorf(protocol.MessageIllegal, "the specified topic is longer than topic max length %d", maxTopic)
	}
	for _, c := range []byte(topic) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("%|-_", c) >= 0) {
			return protocol.Errorf(protocol.MessageIllegal, "the specified topic[%.64s] contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$", topic)
		}
	}
	return nil
}
