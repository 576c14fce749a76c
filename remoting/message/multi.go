package message

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Properties of a message that light queues get as well (LMQ): their names, which the client gives, and the queue
// offsets that the broker gives it in them, both joined by commas. Java: MessageConst.
const (
	PropertyMultiDispatch    = "INNER_MULTI_DISPATCH"
	PropertyMultiQueueOffset = "INNER_MULTI_QUEUE_OFFSET"
)

// LMQPrefix begins the name of each light queue, which is a topic with queue 0 alone. Java: MixAll.LMQ_PREFIX.
const LMQPrefix = "%LMQ%"

const multiSeparator = "," // Java: MixAll.LMQ_DISPATCH_SEPARATOR

// maxLightName bounds a light queue's name, which is that of a folder.
const maxLightName = 255

// IsLMQ reports whether a topic or group is one of light queues. Java: MixAll.isLmq.
func IsLMQ(name string) bool { return strings.HasPrefix(name, LMQPrefix) }

// AllowsLMQ reports whether messages of a topic may go to light queues too. Java: MixAll.topicAllowsLMQ.
func AllowsLMQ(topic string) bool {
	return !strings.HasPrefix(topic, "%RETRY%") && !strings.HasPrefix(topic, "%DLQ%") && !strings.HasPrefix(topic, "rmq_sys_") && topic != "SCHEDULE_TOPIC_XXXX"
}

// LightQueues takes an INNER_MULTI_DISPATCH apart: the names of light queues, each once, without topic itself. The
// names alias value. An error is for the client.
//
// Java takes every name. With one that is no light queue's its dispatcher never gets past the message, one that is
// there twice shifts the offsets of its queue for good, and one with a slash, or too long for a folder, gets an
// offset and no queue, or stops the queues altogether.
func LightQueues(value, topic string) ([]string, error) {
	var names []string
	value = strings.TrimRight(value, multiSeparator) // as by Java's split
	for name := range strings.SplitSeq(value, multiSeparator) {
		if !lightName(name) {
			return nil, fmt.Errorf("%s names %.64q, which is no light queue: it needs to begin with %s, without / and of at most %d bytes", PropertyMultiDispatch, name, LMQPrefix, maxLightName)
		}
		if name != topic {
			names = append(names, name)
		}
	}
	if len(names) > 1 {
		names = unique(names)
	}
	return names, nil
}

func lightName(name string) bool {
	return IsLMQ(name) && len(name) <= maxLightName && strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, 0) < 0
}

func unique(names []string) []string {
	seen := make(map[string]struct{}, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		_, twice := seen[name]
		seen[name] = struct{}{}
		return twice
	})
}

// SetMultiDispatch puts the light queues of a message into its properties, with room for the offsets that only the
// appender knows (SetMultiOffsets), and orders all of them as Java stores them.
func (p *Properties) SetMultiDispatch(names []string) {
	if all := strings.Join(names, multiSeparator); strings.TrimRight(p.Get(PropertyMultiDispatch), multiSeparator) != all {
		p.Set(PropertyMultiDispatch, all)
	}
	p.Set(PropertyMultiQueueOffset, strings.Repeat("0", len(names)*MultiOffsetRoom-len(multiSeparator)))
	p.sortAsJava()
}

// offsetDigits is the room for a queue offset in decimal.
const offsetDigits = 19

// MultiOffsetRoom is the room that SetMultiDispatch leaves for each offset, in bytes.
const MultiOffsetRoom = offsetDigits + len(multiSeparator)

// sortAsJava puts the properties into the order of a java.util.HashMap made for 128 entries, in which Java's broker
// keeps them. Java: MessageDecoder.string2messageProperties.
func (p Properties) sortAsJava() {
	capacity := uint32(128)
	for uint32(len(p)) > capacity/4*3 {
		capacity *= 2
	}
	bucket := func(x Property) uint32 {
		h := uint32(HashCode(x.Name))
		return (h ^ h>>16) & (capacity - 1)
	}
	slices.SortStableFunc(p, func(a, b Property) int { return int(bucket(a)) - int(bucket(b)) })
}

// SetMultiOffsets sets the offsets for which SetMultiDispatch left room in rec, a whole record, and returns the
// record's size, which is less by the digits that they do not need.
func SetMultiOffsets(rec []byte, offsets func(i int) int64, n int) int {
	props := propertiesAt(rec)
	at := props
	for !strings.HasPrefix(alias(rec[at:]), PropertyMultiQueueOffset+string(NameValueSeparator)) {
		at += strings.IndexByte(alias(rec[at:]), PropertySeparator) + 1
	}
	at += len(PropertyMultiQueueOffset) + 1
	end := at + n*MultiOffsetRoom - len(multiSeparator)
	value := rec[at:at:end]
	for i := range n {
		if i > 0 {
			value = append(value, multiSeparator...)
		}
		value = strconv.AppendInt(value, offsets(i), 10)
	}
	copy(rec[at+len(value):], rec[end:])
	saved := end - at - len(value)
	size := len(rec) - saved
	binary.BigEndian.PutUint32(rec, uint32(size))
	length := rec[props-2:]
	binary.BigEndian.PutUint16(length, binary.BigEndian.Uint16(length)-uint16(saved))
	return size
}

// EachLight calls fn with each light queue that a record is in and its offset there, until fn returns false. It looks
// at what is stored, whoever stored it, and passes over what nobody can have meant.
// Java: ConsumeQueue.multiDispatchLmqQueue.
func (r *Record) EachLight(fn func(name string, offset int64) bool) {
	if !strings.Contains(r.Properties, PropertyMultiQueueOffset) || !AllowsLMQ(r.Topic) {
		return
	}
	names := strings.TrimRight(GetProperty(r.Properties, PropertyMultiDispatch), multiSeparator)
	offsets := strings.TrimRight(GetProperty(r.Properties, PropertyMultiQueueOffset), multiSeparator)
	if strings.Count(names, multiSeparator) != strings.Count(offsets, multiSeparator) {
		return
	}
	for names != "" {
		var name, text string
		name, names, _ = strings.Cut(names, multiSeparator)
		text, offsets, _ = strings.Cut(offsets, multiSeparator)
		offset, err := strconv.ParseInt(text, 10, 64)
		if err != nil || offset < 0 || !lightName(name) {
			continue
		}
		if !fn(name, offset) {
			return
		}
	}
}

// LightOffset returns a record's offset in a light queue; false when it is not in it.
func (r *Record) LightOffset(name string) (int64, bool) {
	at, ok := int64(0), false
	r.EachLight(func(n string, offset int64) bool {
		if n == name {
			at, ok = offset, true
		}
		return !ok
	})
	return at, ok
}
