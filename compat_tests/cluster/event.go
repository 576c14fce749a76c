package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Event is one line of a driver's output. Getters return zero values for
// absent fields.
type Event map[string]any

// String prints the fields with long values cut, kind and body first.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %.60q", e.Kind(), e.Body())
	keys := make([]string, 0, len(e))
	for k := range e {
		if k != "event" && k != "body" && e[k] != nil {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%.200v", k, e[k])
	}
	return b.String()
}

// Kind returns field "event": sent, sentOneway, sendError, started, assigned,
// msg, queue, done, error.
func (e Event) Kind() string { return e.Str("event") }

// Str returns a text field.
func (e Event) Str(key string) string {
	switch v := e[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// Int returns a number field; numbers printed as text count too, -1 when absent.
func (e Event) Int(key string) int64 {
	switch v := e[key].(type) {
	case json.Number:
		n, _ := v.Int64()
		return n
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// UnmarshalJSON keeps numbers exact: offsets and times do not fit float64 in general.
func (e *Event) UnmarshalJSON(b []byte) error {
	m := map[string]any{}
	if err := decodeExact(b, &m); err != nil {
		return err
	}
	*e = m
	return nil
}

// Body returns the message body.
func (e Event) Body() string { return e.Str("body") }

// Topic returns the topic of a message.
func (e Event) Topic() string { return e.Str("topic") }

// Tag returns the message's tag.
func (e Event) Tag() string { return e.Str("tag") }

// Keys returns the message's keys.
func (e Event) Keys() string { return e.Str("keys") }

// MsgID returns the unique (client made) message id.
func (e Event) MsgID() string { return e.Str("msgId") }

// OffsetMsgID returns the message id made of broker address and physical offset.
func (e Event) OffsetMsgID() string { return e.Str("offsetMsgId") }

// QueueID returns the queue, -1 when absent.
func (e Event) QueueID() int { return int(e.Int("queueId")) }

// QueueOffset returns the index in the queue, -1 when absent.
func (e Event) QueueOffset() int64 { return e.Int("queueOffset") }

// Reconsume returns reconsumeTimes, -1 when absent.
func (e Event) Reconsume() int { return int(e.Int("reconsumeTimes")) }

// Status returns the send status, SEND_OK for instance.
func (e Event) Status() string { return e.Str("status") }

// Props returns the message properties.
func (e Event) Props() map[string]string {
	m, _ := e["props"].(map[string]any)
	out := make(map[string]string, len(m))
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// Of returns the events of one kind, in order.
func Of(events []Event, kind string) []Event {
	var out []Event
	for _, e := range events {
		if e.Kind() == kind {
			out = append(out, e)
		}
	}
	return out
}

// Bodies returns the bodies of the events that have one, in order.
func Bodies(events []Event) []string {
	var out []string
	for _, e := range events {
		if _, ok := e["body"]; ok {
			out = append(out, e.Body())
		}
	}
	return out
}

func decodeExact(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(v)
}
