// Package faults hurts a broker and checks what it promises all the same: kill -9 under load must not
// lose, move or invent a message, and hostile peers must not disturb others or eat the memory.
//
// The package speaks the wire itself (JSON headers only) and shares no code with our remoting
// packages, so that it does not share their mistakes.
package faults

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Request codes (Java: RequestCode).
const (
	codePull          = 11  // PULL_MESSAGE
	codeQueryOffset   = 14  // QUERY_CONSUMER_OFFSET
	codeUpdateOffset  = 15  // UPDATE_CONSUMER_OFFSET
	codeSend          = 310 // SEND_MESSAGE_V2
	codeSendBatch     = 320 // SEND_BATCH_MESSAGE
	codeDeleteExpired = 329 // DELETE_EXPIRED_COMMITLOG
)

// Response codes (Java: ResponseCode).
const (
	respSuccess      = 0
	respUnknownCode  = 3  // REQUEST_CODE_NOT_SUPPORTED
	respUnavailable  = 14 // SERVICE_NOT_AVAILABLE
	respPullNotFound = 19 // PULL_NOT_FOUND
	respPullRetry    = 20 // PULL_RETRY_IMMEDIATELY
	respPullMoved    = 21 // PULL_OFFSET_MOVED
	respNoOffset     = 22 // QUERY_NOT_FOUND
)

const (
	group       = "GID_faults"
	callTimeout = 10 * time.Second
	flagReply   = 1
	flagOneway  = 2
)

// header is the JSON header of a frame (Java: RemotingCommand).
type header struct {
	Code      int               `json:"code"`
	Flag      int               `json:"flag"`
	Language  string            `json:"language"`
	Opaque    int               `json:"opaque"`
	Remark    string            `json:"remark,omitempty"`
	Version   int               `json:"version"`
	ExtFields map[string]string `json:"extFields,omitempty"`
}

type reply struct {
	header
	body []byte
}

// encode builds a frame: length, serialize type and header length, header, body.
func encode(h header, body []byte) []byte {
	h.Language, h.Version = "JAVA", 513
	head, err := json.Marshal(h)
	if err != nil {
		panic("BUG: a header of strings and numbers always encodes: " + err.Error())
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(head)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(head)))
	return append(append(frame, head...), body...)
}

func readReply(r io.Reader) (reply, error) {
	var pre [8]byte
	if _, err := io.ReadFull(r, pre[:]); err != nil {
		return reply{}, err
	}
	total, head := binary.BigEndian.Uint32(pre[:4]), binary.BigEndian.Uint32(pre[4:])
	if head>>24 != 0 || total < 4+head || total > 64<<20 {
		return reply{}, fmt.Errorf("cannot read frame: lengths %d and %#x", total, head)
	}
	rest := make([]byte, total-4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return reply{}, err
	}
	var out reply
	if err := json.Unmarshal(rest[:head], &out.header); err != nil {
		return reply{}, fmt.Errorf("cannot parse header %q: %w", rest[:head], err)
	}
	out.body = rest[head:]
	return out, nil
}

// client is one connection with any number of calls under way. close waits for its reader.
type client struct {
	conn net.Conn
	done chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	opaque  int
	waiting map[int]chan reply
	err     error // why the reader ended
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, callTimeout)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, done: make(chan struct{}), waiting: map[int]chan reply{}}
	go c.read()
	return c, nil
}

func (c *client) close() {
	_ = c.conn.Close() // the reader reports errors that matter
	<-c.done
}

func (c *client) read() {
	defer close(c.done)
	in := bufio.NewReaderSize(c.conn, 64<<10)
	for {
		r, err := readReply(in)
		c.mu.Lock()
		if err != nil {
			c.err = err
			c.mu.Unlock()
			return
		}
		ch := c.waiting[r.Opaque]
		delete(c.waiting, r.Opaque)
		c.mu.Unlock()
		if ch != nil && r.Flag&flagReply != 0 {
			ch <- r
		}
	}
}

// call sends a request and waits for its answer. An answer that came before the connection broke is
// returned: the broker gave it.
func (c *client) call(code int, ext map[string]string, body []byte) (reply, error) {
	ch := make(chan reply, 1)
	c.mu.Lock()
	c.opaque++
	id := c.opaque
	c.waiting[id] = ch
	_ = c.conn.SetWriteDeadline(time.Now().Add(callTimeout))
	_, err := c.conn.Write(encode(header{Code: code, Opaque: id, ExtFields: ext}, body))
	c.mu.Unlock()
	if err != nil {
		return reply{}, fmt.Errorf("cannot send request %d: %w", code, err)
	}
	timer := time.NewTimer(callTimeout)
	defer timer.Stop()
	select {
	case r := <-ch:
		return r, nil
	case <-c.done:
		select {
		case r := <-ch:
			return r, nil
		default:
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return reply{}, fmt.Errorf("connection lost: %w", c.err)
	case <-timer.C:
		return reply{}, fmt.Errorf("%w to request %d within %s", errNoAnswer, code, callTimeout)
	}
}

// oneway sends a request that gets no answer.
func (c *client) oneway(code int, ext map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opaque++
	_ = c.conn.SetWriteDeadline(time.Now().Add(callTimeout))
	_, err := c.conn.Write(encode(header{Code: code, Flag: flagOneway, Opaque: c.opaque, ExtFields: ext}, nil))
	return err
}

var errNoAnswer = errors.New("no answer")

// refusal is an answer with a code that the caller cannot use.
type refusal struct {
	code   int
	remark string
}

// Error implements error.
func (r refusal) Error() string { return fmt.Sprintf("code %d: %s", r.code, r.remark) }

// sendExt are the short names of SendMessageRequestHeaderV2.
func sendExt(topic string, queue int, batch bool) map[string]string {
	return map[string]string{"a": "PID_faults", "b": topic, "c": "TBW102", "d": "4", "e": strconv.Itoa(queue),
		"f": "0", "g": strconv.FormatInt(time.Now().UnixMilli(), 10), "h": "0", "i": "", "j": "0", "k": "false",
		"m": strconv.FormatBool(batch)}
}

// send stores one message, or several of the same queue as a batch, and returns the queue offset of
// the first.
func (c *client) send(topic string, queue int, bodies ...[]byte) (int64, error) {
	first, _, err := c.sendAt(topic, queue, bodies...)
	return first, err
}

// sendAt is send; it also returns where in the log the messages lie.
func (c *client) sendAt(topic string, queue int, bodies ...[]byte) (first int64, physical []int64, err error) {
	code, body := codeSend, bodies[0]
	if len(bodies) > 1 {
		code, body = codeSendBatch, nil
		for _, b := range bodies {
			// Java: MessageDecoder.encodeMessage; magic, CRC, flag and properties are empty.
			body = binary.BigEndian.AppendUint32(body, uint32(22+len(b)))
			body = append(body, make([]byte, 12)...)
			body = binary.BigEndian.AppendUint32(body, uint32(len(b)))
			body = append(append(body, b...), 0, 0)
		}
	}
	r, err := c.call(code, sendExt(topic, queue, len(bodies) > 1), body)
	if err != nil {
		return 0, nil, err
	}
	if r.Code != respSuccess {
		return 0, nil, refusal{r.Code, r.Remark}
	}
	if r.ExtFields["queueId"] != strconv.Itoa(queue) {
		return 0, nil, fmt.Errorf("sent to queue %d, stored in %q", queue, r.ExtFields["queueId"])
	}
	if first, err = strconv.ParseInt(r.ExtFields["queueOffset"], 10, 64); err != nil {
		return 0, nil, err
	}
	// Java: MessageDecoder.createMessageId, host and physical offset in hex.
	for id := range strings.SplitSeq(r.ExtFields["msgId"], ",") {
		if len(id) != 32 {
			return 0, nil, fmt.Errorf("msgId %q", r.ExtFields["msgId"])
		}
		p, err := strconv.ParseInt(id[16:], 16, 64)
		if err != nil {
			return 0, nil, err
		}
		physical = append(physical, p)
	}
	if len(physical) != len(bodies) {
		return 0, nil, fmt.Errorf("%d messages sent, msgId %q", len(bodies), r.ExtFields["msgId"])
	}
	return first, physical, nil
}

func pullExt(topic string, queue int, offset int64) map[string]string {
	return map[string]string{"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(queue),
		"queueOffset": strconv.FormatInt(offset, 10), "maxMsgNums": "32", "sysFlag": "4", // 4: subscription inside
		"commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0", "expressionType": "TAG"}
}

// pulled is what a pull returned.
type pulled struct {
	recs           []record
	next, min, max int64 // queue offsets: where to go on; of the first message; of the next to be stored
}

// pullOnce sends one pull. A queue without messages there is no error.
func (c *client) pullOnce(ext map[string]string) (p pulled, err error) {
	r, err := c.call(codePull, ext, nil)
	if err != nil {
		return p, err
	}
	switch r.Code {
	case respSuccess, respPullNotFound, respPullRetry, respPullMoved:
	default:
		return p, refusal{r.Code, r.Remark}
	}
	for name, at := range map[string]*int64{"nextBeginOffset": &p.next, "minOffset": &p.min, "maxOffset": &p.max} {
		if *at, err = strconv.ParseInt(r.ExtFields[name], 10, 64); err != nil {
			return p, fmt.Errorf("%s of a pull: %w", name, err)
		}
	}
	if r.Code == respSuccess {
		p.recs, err = parseRecords(r.body)
	}
	return p, err
}

// pull returns the messages at offset; none when offset is the end of the queue.
func (c *client) pull(topic string, queue int, offset int64) ([]record, error) {
	p, err := c.pullOnce(pullExt(topic, queue, offset))
	if err == nil && len(p.recs) == 0 && p.next != offset {
		err = fmt.Errorf("a pull at %d is sent on to %d; the queue has %d to %d", offset, p.next, p.min, p.max)
	}
	return p.recs, err
}

// bounds returns the queue offsets of a queue's first message and of the next to be stored.
func (c *client) bounds(topic string, queue int) (first, end int64, err error) {
	p, err := c.pullOnce(pullExt(topic, queue, 0))
	return p.min, p.max, err
}

// maxOffset returns the queue offset of the next message of a queue.
func (c *client) maxOffset(topic string, queue int) (int64, error) {
	_, end, err := c.bounds(topic, queue)
	return end, err
}

// committed returns a group's offset of a queue, -1 when it has none.
func (c *client) committed(group, topic string, queue int) (int64, error) {
	r, err := c.call(codeQueryOffset, map[string]string{"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(queue), "setZeroIfNotFound": "false"}, nil)
	switch {
	case err != nil:
		return 0, err
	case r.Code == respNoOffset:
		return -1, nil
	case r.Code != respSuccess:
		return 0, refusal{r.Code, r.Remark}
	}
	return strconv.ParseInt(r.ExtFields["offset"], 10, 64)
}

// record is what the tests need of a stored message.
type record struct {
	topic                       string
	queue                       int
	queueOffset, physicalOffset int64
	body                        []byte
}

// Fixed places of a record with IPv4 hosts (Java: MessageDecoder, spec/store.md 2.1).
const (
	posCRC, posQueue, posQueueOffset, posPhysical, posBodyLen = 8, 12, 20, 28, 84

	magicV1 = 0xDAA320A7
)

var errRecord = errors.New("broken record")

func parseRecords(b []byte) ([]record, error) {
	var out []record
	for len(b) > 0 {
		if len(b) < posBodyLen+4 {
			return nil, fmt.Errorf("%w: %d bytes left", errRecord, len(b))
		}
		size, bodyLen := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[posBodyLen:]))
		end := posBodyLen + 4 + bodyLen
		if magic := binary.BigEndian.Uint32(b[4:]); magic != magicV1 {
			return nil, fmt.Errorf("%w: magic %#x", errRecord, magic)
		}
		if size > len(b) || bodyLen < 0 || end >= size || end+1+int(b[end]) > size {
			return nil, fmt.Errorf("%w: size %d, body %d of %d bytes", errRecord, size, bodyLen, len(b))
		}
		r := record{
			topic: string(b[end+1 : end+1+int(b[end])]), queue: int(binary.BigEndian.Uint32(b[posQueue:])),
			queueOffset:    int64(binary.BigEndian.Uint64(b[posQueueOffset:])),
			physicalOffset: int64(binary.BigEndian.Uint64(b[posPhysical:])),
			body:           b[posBodyLen+4 : end],
		}
		if crc := crc32.ChecksumIEEE(r.body) & 0x7fffffff; crc != binary.BigEndian.Uint32(b[posCRC:]) {
			return nil, fmt.Errorf("%w: body checksum of queue offset %d", errRecord, r.queueOffset)
		}
		out = append(out, r)
		b = b[size:]
	}
	return out, nil
}
