package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
)

// ScheduleTopic holds the messages of the delay levels, level n in queue n-1. Java: TopicValidator.RMQ_SYS_SCHEDULE_TOPIC.
const ScheduleTopic = "SCHEDULE_TOPIC_XXXX"

// ParseDelayLevels parses messageDelayLevel, "1s 5s 10m 2h 1d": element n-1 is the delay of level n.
// Java: ScheduleMessageService.parseDelayLevel.
func ParseDelayLevels(text string) ([]time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	var out []time.Duration
	for _, f := range strings.Fields(text) {
		unit, ok := units[f[len(f)-1]]
		n, err := strconv.ParseInt(f[:len(f)-1], 10, 32)
		if !ok || err != nil || n < 0 {
			return nil, fmt.Errorf("cannot parse messageDelayLevel %q: %q is not like 10s, 5m, 2h or 1d", text, f)
		}
		out = append(out, time.Duration(n)*unit)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("cannot parse messageDelayLevel %q: no level in it", text)
	}
	return out, nil
}

// DelayLevels returns the delays, that of level n at n-1.
func (s *Store) DelayLevels() []time.Duration { return s.delays }

// unknownDelay is what Java adds for a level that is in no table (ScheduleMessageService.computeDeliverTimestamp).
const unknownDelay = time.Second

// tagsCode returns what the unit of a record holds, as Java's dispatch computes it.
func (s *Store) tagsCode(r *message.Record) int64 { return TagsCode(r, s.delays) }

// TagsCode returns the tags code of a record's unit when these are the delays of the levels: of one that
// waits in SCHEDULE_TOPIC_XXXX the time of its delivery, ms.
func TagsCode(r *message.Record, delays []time.Duration) int64 {
	if r.Topic == ScheduleTopic {
		if v := message.GetProperty(r.Properties, message.PropertyDelay); v != "" {
			if level, err := strconv.Atoi(v); err == nil && level > 0 {
				d := unknownDelay
				if level = min(level, len(delays)); level > 0 {
					d = delays[level-1]
				}
				return r.StoreTimestamp + d.Milliseconds()
			}
		}
	}
	return message.TagsCode(message.GetProperty(r.Properties, message.PropertyTags))
}
