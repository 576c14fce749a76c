package body

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
)

var errDialect = errors.New("not JSON")

// maxDepth bounds the nesting of what is read.
const maxDepth = 64

// standard rewrites fastjson's dialect to standard JSON: keys that are bare numbers or objects become
// strings. Text that needs no change is returned as it is.
func standard(b []byte) ([]byte, error) {
	var out []byte // nil while nothing had to change
	copied := 0
	var stack [maxDepth]byte
	depth := 0
	key := false // the next value is a key
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case ' ', '\t', '\n', '\r', ':':
			continue
		case ',':
			key = depth > 0 && stack[depth-1] == '{'
			continue
		case '}', ']':
			if depth == 0 || stack[depth-1] != c-2 {
				return nil, errDialect
			}
			depth--
			key = false
			continue
		}
		if !key {
			switch c {
			case '"':
				i = skipString(b, i) - 1
			case '{', '[':
				if depth == maxDepth {
					return nil, errDialect
				}
				stack[depth] = c
				depth++
				key = c == '{'
			}
			continue
		}
		end := i
		switch {
		case c == '"':
			i = skipString(b, i) - 1
			key = false
			continue
		case c == '{':
			end = skipObject(b, i)
		case c == '-' || c >= '0' && c <= '9':
			for end < len(b) && (b[end] == '-' || b[end] >= '0' && b[end] <= '9') {
				end++
			}
		}
		if end == i {
			return nil, errDialect
		}
		out = append(out, b[copied:i]...)
		out = strconv.AppendQuote(out, string(b[i:end]))
		copied = end
		i = end - 1
		key = false
	}
	if depth != 0 {
		return nil, errDialect
	}
	if out == nil {
		return b, nil
	}
	return append(out, b[copied:]...), nil
}

// skipObject returns the index behind the flat object that begins at b[i], or i when there is none.
func skipObject(b []byte, i int) int {
	for j := i + 1; j < len(b); {
		switch b[j] {
		case '"':
			j = skipString(b, j)
		case '}':
			return j + 1
		case '{', '[', ']':
			return i
		default:
			j++
		}
	}
	return i
}

// MessageQueue names a queue; it is what QueueMap is keyed by.
type MessageQueue = message.MessageQueue

// QueueMap is a map keyed by MessageQueue, which Java writes with bare objects as keys and, since 5.4,
// reads in no other way.
type QueueMap[V any] map[message.MessageQueue]V

type queueKey struct {
	BrokerName string `json:"brokerName"`
	QueueID    Int    `json:"queueId"`
	Topic      string `json:"topic"`
}

// MarshalJSON writes {{"brokerName":"b","queueId":0,"topic":"t"}:v}, sorted.
func (m QueueMap[V]) MarshalJSON() ([]byte, error) {
	keys := make([]message.MessageQueue, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b message.MessageQueue) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		if c := strings.Compare(a.BrokerName, b.BrokerName); c != 0 {
			return c
		}
		return int(a.QueueID) - int(b.QueueID)
	})
	out := []byte{'{'}
	for i, k := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		kb, err := api.Marshal(queueKey{k.BrokerName, Int(k.QueueID), k.Topic})
		if err != nil {
			return nil, err
		}
		vb, err := api.Marshal(m[k])
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, kb...), ':'), vb...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads the form that standard leaves behind, keys as strings.
func (m *QueueMap[V]) UnmarshalJSON(b []byte) error {
	var raw map[string]V
	if err := api.Unmarshal(b, &raw); err != nil {
		return err
	}
	*m = make(QueueMap[V], len(raw))
	for k, v := range raw {
		var q queueKey
		if err := parse([]byte(k), &q); err != nil {
			return err
		}
		if q.QueueID != Int(int32(q.QueueID)) {
			return fmt.Errorf("queue id %d is out of range", q.QueueID)
		}
		(*m)[message.MessageQueue{Topic: q.Topic, BrokerName: q.BrokerName, QueueID: int32(q.QueueID)}] = v
	}
	return nil
}

// IntMap is a map with integer keys. They are written quoted, which every peer reads (spec/protocol.md 1.10).
type IntMap[V any] map[int64]V

// Int is an integer that may arrive as a string.
type Int int64

// UnmarshalJSON accepts 5, "5" and null.
func (n *Int) UnmarshalJSON(b []byte) error {
	b = bytes.Trim(b, `"`)
	if len(b) == 0 || string(b) == "null" {
		return nil
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return err
	}
	*n = Int(v)
	return nil
}

// enum reads an enum that may arrive as its name or its ordinal.
func enum(b []byte, names []string) (string, error) {
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := api.Unmarshal(b, &s)
		return s, err
	}
	if string(b) == "null" {
		return "", nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 || n >= len(names) {
		return "", errors.New("unknown enum ordinal")
	}
	return names[n], nil
}

// double is a number as Java writes it: always with a fraction, with an exponent from 1.0E7 on and below 0.001,
// and null where it is none. Java: Double.toString.
type double float64

// MarshalJSON returns 0.0, 1.5, 1.0E7 or null.
func (d double) MarshalJSON() ([]byte, error) {
	f := float64(d)
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return []byte("null"), nil
	case abs != 0 && (abs < 1e-3 || abs >= 1e7):
		digits, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
		n, err := strconv.Atoi(exponent)
		if err != nil {
			return nil, err
		}
		return strconv.AppendInt(append(fraction(digits), 'E'), int64(n), 10), nil
	}
	return fraction(strconv.FormatFloat(f, 'f', -1, 64)), nil
}

// fraction returns a decimal with at least one digit behind its point.
func fraction(decimal string) []byte {
	if !strings.Contains(decimal, ".") {
		decimal += ".0"
	}
	return []byte(decimal)
}
