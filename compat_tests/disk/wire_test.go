package disk

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// Request codes (Java: RequestCode).
const (
	codePull         = 11  // PULL_MESSAGE
	codeQuery        = 12  // QUERY_MESSAGE
	codeQueryOffset  = 14  // QUERY_CONSUMER_OFFSET
	codeUpdateOffset = 15  // UPDATE_CONSUMER_OFFSET
	codeCreateTopic  = 17  // UPDATE_AND_CREATE_TOPIC
	codeTopics       = 21  // GET_ALL_TOPIC_CONFIG
	codeMaxOffset    = 30  // GET_MAX_OFFSET
	codeMinOffset    = 31  // GET_MIN_OFFSET
	codeView         = 33  // VIEW_MESSAGE_BY_ID
	codeCreateGroup  = 200 // UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
	codeGroups       = 201 // GET_ALL_SUBSCRIPTIONGROUP_CONFIG
	codeSend         = 310 // SEND_MESSAGE_V2
	codeSendBatch    = 320 // SEND_BATCH_MESSAGE
	codeForbidden    = 353 // UPDATE_AND_GET_GROUP_FORBIDDEN
)

// Response codes (Java: ResponseCode).
const (
	respSuccess      = 0
	respPullNotFound = 19 // PULL_NOT_FOUND
	respPullRetry    = 20 // PULL_RETRY_IMMEDIATELY
	respNotFound     = 22 // QUERY_NOT_FOUND
)

// wire talks to the broker without a client library, so that what it sees is what is stored.
type wire struct {
	t *testing.T
	s *cluster.Server
}

// call sends a request; another code than success or those in also fails the test.
func (w wire) call(code int, ext map[string]string, body []byte, also ...int) *cluster.Response {
	w.t.Helper()
	r, err := cluster.Call(w.s.Addr(), code, ext, body)
	require.NoError(w.t, err, "request %d %v to %s", code, ext, w.s)
	require.Contains(w.t, append(also, respSuccess), r.Code, "%s answers request %d %v: %s", w.s, code, ext, r.Remark)
	return r
}

// ack is where the broker says that it put a message.
type ack struct{ offset, physical int64 }

// send stores messages of one queue, several as a batch, and returns their places.
func (w wire) send(queue int, messages ...*message) []ack {
	w.t.Helper()
	acks, err := trySend(w.s.Addr(), queue, messages...)
	require.NoError(w.t, err, "send to %s", w.s)
	return acks
}

// trySend is send for a broker that may be killed meanwhile.
func trySend(addr string, queue int, messages ...*message) ([]ack, error) {
	first := messages[0]
	ext := map[string]string{"a": "PID_disk", "b": first.topic, "c": "TBW102", "d": "4", "e": strconv.Itoa(queue), "f": "0",
		"g": strconv.FormatInt(time.Now().UnixMilli(), 10), "h": strconv.Itoa(int(first.flag)), "j": "0", "k": "false",
		"i": joinProperties(first.props), "m": strconv.FormatBool(len(messages) > 1)}
	code, body := codeSend, first.body
	if len(messages) > 1 {
		code, body, ext["i"], ext["h"] = codeSendBatch, nil, "", "0"
		for _, m := range messages {
			body = append(body, m.batchItem()...)
		}
	}
	r, err := cluster.Call(addr, code, ext, body)
	if err != nil {
		return nil, err
	}
	if r.Code != respSuccess {
		return nil, refusal{r.Code, r.Remark}
	}
	offset, err := strconv.ParseInt(r.Ext["queueOffset"], 10, 64)
	if err != nil {
		return nil, err
	}
	ids := strings.Split(r.Ext["msgId"], ",")
	if len(ids) != len(messages) {
		return nil, fmt.Errorf("%d messages got %d ids", len(messages), len(ids))
	}
	var out []ack
	for i, id := range ids {
		if len(id) != 32 {
			return nil, fmt.Errorf("%q is not the id of a message on an IPv4 host", id)
		}
		physical, err := strconv.ParseInt(id[16:], 16, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, ack{offset + int64(i), physical})
	}
	return out, nil
}

// refusal is an answer with a code other than success.
type refusal struct {
	code   int
	remark string
}

// Error implements error.
func (r refusal) Error() string { return fmt.Sprintf("code %d: %s", r.code, r.remark) }

// batchItem is the message inside a batch (Java: MessageDecoder.encodeMessage).
func (m *message) batchItem() []byte {
	props := joinProperties(m.props)
	b := binary.BigEndian.AppendUint32(nil, uint32(22+len(m.body)+len(props)))
	b = append(b, make([]byte, 8)...) // magic and checksum, which the broker does not read
	b = binary.BigEndian.AppendUint32(b, uint32(m.flag))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.body)))
	b = append(b, m.body...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(props)))
	return append(b, props...)
}

// pull returns messages from offset on and the offset to go on with. At the end of the queue the broker
// is asked to hold the request for a while.
func (w wire) pull(topic string, queue int, offset int64, tags string) ([]record, int64) {
	w.t.Helper()
	r := w.call(codePull, map[string]string{"consumerGroup": "GID_disk_reader", "topic": topic, "queueId": strconv.Itoa(queue),
		"queueOffset": strconv.FormatInt(offset, 10), "maxMsgNums": "32", "sysFlag": "6", "commitOffset": "0", // 2: may be held, 4: subscription inside
		"suspendTimeoutMillis": "1000", "subscription": tags, "subVersion": "0", "expressionType": "TAG"}, nil,
		respPullNotFound, respPullRetry)
	if r.Code == respPullNotFound {
		return nil, offset
	}
	next := number(w.t, r.Ext, "nextBeginOffset")
	if r.Code == respPullRetry {
		return nil, next
	}
	recs, err := parseRecords(r.Body)
	require.NoError(w.t, err, "pull of %s queue %d offset %d from %s", topic, queue, offset, w.s)
	return recs, next
}

// bounds returns the offsets of a queue's first message and of its next one.
func (w wire) bounds(topic string, queue int) (low, high int64) {
	w.t.Helper()
	ext := map[string]string{"topic": topic, "queueId": strconv.Itoa(queue)}
	return number(w.t, w.call(codeMinOffset, ext, nil).Ext, "offset"), number(w.t, w.call(codeMaxOffset, ext, nil).Ext, "offset")
}

// committed returns a group's offset, 0 when there is none.
func (w wire) committed(group, topic string, queue int) int64 {
	w.t.Helper()
	r := w.call(codeQueryOffset, map[string]string{"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(queue)}, nil, respNotFound)
	if r.Code == respNotFound {
		return 0
	}
	return number(w.t, r.Ext, "offset")
}

func (w wire) commit(group, topic string, queue int, offset int64) {
	w.t.Helper()
	w.call(codeUpdateOffset, map[string]string{"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(queue),
		"commitOffset": strconv.FormatInt(offset, 10)}, nil)
}

// view reads the message at a physical offset.
func (w wire) view(physical int64) record {
	w.t.Helper()
	r, err := parseRecord(w.call(codeView, map[string]string{"offset": strconv.FormatInt(physical, 10)}, nil).Body)
	require.NoError(w.t, err, "message at physical offset %d", physical)
	return r
}

// query asks the key index.
func (w wire) query(topic, key string, unique bool) []record {
	w.t.Helper()
	ext := map[string]string{"topic": topic, "key": key, "maxNum": "32", "beginTimestamp": "0",
		"endTimestamp": strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)}
	if unique {
		ext["_UNIQUE_KEY_QUERY"] = "true"
	}
	r := w.call(codeQuery, ext, nil, respNotFound)
	if r.Code == respNotFound {
		return nil
	}
	recs, err := parseRecords(r.Body)
	require.NoError(w.t, err)
	return recs
}

// table returns one entry of all topic or group configurations.
func (w wire) table(code int, field, name string) map[string]any {
	w.t.Helper()
	var all map[string]json.RawMessage
	require.NoError(w.t, json.Unmarshal(w.call(code, nil, nil).Body, &all))
	var entries map[string]map[string]any
	require.NoError(w.t, json.Unmarshal(all[field], &entries))
	require.Contains(w.t, entries, name, "%s forgot it", w.s)
	return entries[name]
}

func number(t *testing.T, ext map[string]string, key string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(ext[key], 10, 64)
	require.NoError(t, err, fmt.Sprintf("%s in %v", key, ext))
	return n
}
