package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unsafe"
)

// Magic codes of a record. Java: MessageDecoder.MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2 and
// CommitLog.BLANK_MAGIC_CODE.
const (
	MagicV1    uint32 = 0xDAA320A7 // topic length in 1 byte
	MagicV2    uint32 = 0xDAA320AB // topic length in 2 bytes
	MagicBlank uint32 = 0xCBD43194 // end of a CommitLog file: int32 bytes left, int32 magic, then anything
)

// Limits of a record. Java: MessageDecoder, Validators.TOPIC_MAX_LENGTH, Short.MAX_VALUE.
const (
	MaxTopicV1    = 127
	MaxTopic      = 255
	MaxProperties = 32767
	// MinRecord is the size of a V1 record with IPv4 hosts and nothing in it.
	MinRecord = 91
	// BlankSize is the room that must be left behind every record of a file (CommitLog.END_FILE_MIN_BLANK_LENGTH).
	BlankSize = 8
)

// Fixed places in a record (spec/store.md 2.1). What stands behind the born host moves with its length.
const (
	posMagic          = 4
	posBodyCRC        = 8
	posQueueID        = 12
	posFlag           = 16
	posQueueOffset    = 20
	posPhysicalOffset = 28
	posSysFlag        = 36
	posBornTimestamp  = 40
	posBornHost       = 48
)

// Message is what a record is made from. The three fields that only the appender knows (queue offset,
// physical offset, store timestamp) are patched in later.
type Message struct {
	Topic                     string // at most MaxTopic bytes
	QueueID                   int32
	Flag                      int32 // the user's
	SysFlag                   int32
	BornTimestamp             int64 // ms
	BornHost                  Host
	StoreHost                 Host
	ReconsumeTimes            int32
	PreparedTransactionOffset int64
	Body                      []byte
}

// BodyCRC is the checksum stored with a body. Java: UtilAll.crc32.
func BodyCRC(body []byte) uint32 { return crc32.ChecksumIEEE(body) & 0x7fffffff }

// BeginRecord appends the record of m up to its properties, whose 2 length bytes are left zero. The
// caller appends the properties and calls FinishRecord with the offset at which the record began.
// The address bits of m.SysFlag are set from the hosts.
func BeginRecord(dst []byte, m *Message) []byte {
	sys := m.SysFlag &^ (SysFlagBornHostV6 | SysFlagStoreHostV6)
	if m.BornHost.n == hostV6 {
		sys |= SysFlagBornHostV6
	}
	if m.StoreHost.n == hostV6 {
		sys |= SysFlagStoreHostV6
	}
	magic := MagicV1
	if len(m.Topic) > MaxTopicV1 {
		magic = MagicV2
	}
	var h [posBornHost]byte
	binary.BigEndian.PutUint32(h[posMagic:], magic)
	binary.BigEndian.PutUint32(h[posBodyCRC:], BodyCRC(m.Body))
	binary.BigEndian.PutUint32(h[posQueueID:], uint32(m.QueueID))
	binary.BigEndian.PutUint32(h[posFlag:], uint32(m.Flag))
	binary.BigEndian.PutUint32(h[posSysFlag:], uint32(sys))
	binary.BigEndian.PutUint64(h[posBornTimestamp:], uint64(m.BornTimestamp))
	dst = append(dst, h[:]...)
	dst = append(dst, m.BornHost.bytes()...)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0) // store timestamp
	dst = append(dst, m.StoreHost.bytes()...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.ReconsumeTimes))
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.PreparedTransactionOffset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Body)))
	dst = append(dst, m.Body...)
	if magic == MagicV1 {
		dst = append(dst, byte(len(m.Topic)))
	} else {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(m.Topic)))
	}
	dst = append(dst, m.Topic...)
	return append(dst, 0, 0)
}

// FinishRecord completes the record that began at start of dst; its properties begin at props and end
// where dst ends. It fails when they are longer than MaxProperties.
func FinishRecord(dst []byte, start, props int) error {
	n := len(dst) - props
	if n > MaxProperties {
		return fmt.Errorf("message properties size %d exceeds %d", n, MaxProperties)
	}
	binary.BigEndian.PutUint16(dst[props-2:], uint16(n))
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return nil
}

// AppendRecord appends the whole record of m with properties.
func AppendRecord(dst []byte, m *Message, properties string) ([]byte, error) {
	start := len(dst)
	dst = BeginRecord(dst, m)
	at := len(dst)
	dst = append(dst, properties...)
	return dst, FinishRecord(dst, start, at)
}

// Patch writes the three fields that the appender decides into a record.
func Patch(rec []byte, queueOffset, physicalOffset, storeTimestamp int64) {
	binary.BigEndian.PutUint64(rec[posQueueOffset:], uint64(queueOffset))
	binary.BigEndian.PutUint64(rec[posPhysicalOffset:], uint64(physicalOffset))
	binary.BigEndian.PutUint64(rec[storeTimestampAt(rec):], uint64(storeTimestamp))
}

func storeTimestampAt(rec []byte) int {
	if rec[posSysFlag+3]&SysFlagBornHostV6 != 0 {
		return posBornHost + hostV6
	}
	return posBornHost + hostV4
}

// AppendBlank appends the 8 bytes that end a CommitLog file with left bytes to its end.
func AppendBlank(dst []byte, left int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(left))
	return binary.BigEndian.AppendUint32(dst, MagicBlank)
}

// Size returns the TOTALSIZE of the record that b begins with; b has at least 4 bytes.
func Size(b []byte) int { return int(int32(binary.BigEndian.Uint32(b))) }

// Magic returns the magic code of the record that b begins with; b has at least 8 bytes.
func Magic(b []byte) uint32 { return binary.BigEndian.Uint32(b[posMagic:]) }

// PhysicalOffset returns the field of that name; b has at least MinRecord bytes.
func PhysicalOffset(b []byte) int64 { return int64(binary.BigEndian.Uint64(b[posPhysicalOffset:])) }

// Heads reports whether b begins as a record that belongs at physicalOffset; b has at least 40 bytes.
func Heads(b []byte, physicalOffset int64) bool {
	m := Magic(b)
	return (m == MagicV1 || m == MagicV2) && Size(b) >= MinRecord && PhysicalOffset(b) == physicalOffset
}

// GoesOn reports whether a log goes on at physicalOffset with what b begins with, left bytes in front of the
// end of its file: by the blank record that closes the file, or by a record that belongs there.
func GoesOn(b []byte, physicalOffset, left int64) bool {
	if len(b) < BlankSize {
		return false
	}
	if Magic(b) == MagicBlank {
		return int64(Size(b)) == left
	}
	return len(b) >= MinRecord && Heads(b, physicalOffset) && int64(Size(b))+BlankSize <= left
}

// Torn reports whether the end of a record may never have been written. Nothing but lengths vouches for what
// follows the body, and the file was zero before: a crash leaves zeros in the topic, or at the end of the
// properties, where neither has any but by a client's wish. Then GoesOn tells.
func (r *Record) Torn() bool {
	return strings.IndexByte(r.Topic, 0) >= 0 || strings.HasSuffix(r.Properties, "\x00")
}

// Consumable reports whether b begins as the whole record that stands at physicalOffset, and is of a kind
// that queues hold: none that was rolled back.
func Consumable(b []byte, physicalOffset int64) bool {
	return len(b) >= MinRecord && Size(b) == len(b) && Heads(b, physicalOffset) &&
		int32(binary.BigEndian.Uint32(b[36:]))&SysFlagTransaction != SysFlagRollback
}

// StoreTimestamp returns the field of that name in ms; b has at least MinRecord bytes.
func StoreTimestamp(b []byte) int64 { return int64(binary.BigEndian.Uint64(b[storeTimestampAt(b):])) }

// ErrRecord is wrapped by every error of Parse.
var ErrRecord = errors.New("not a valid message record")

// Record is a parsed record. It aliases the bytes it was parsed from.
type Record struct {
	Message
	Size           int
	Magic          uint32
	CRC            uint32 // of the body
	QueueOffset    int64
	PhysicalOffset int64
	StoreTimestamp int64 // ms
	Properties     string
}

// Parse reads the record that b begins with. With checkCRC the body's checksum is verified.
func Parse(b []byte, checkCRC bool) (Record, error) {
	var r Record
	if len(b) < MinRecord {
		return r, fmt.Errorf("%w: %d bytes", ErrRecord, len(b))
	}
	r.Size, r.Magic = Size(b), Magic(b)
	if r.Magic != MagicV1 && r.Magic != MagicV2 {
		return r, fmt.Errorf("%w: magic 0x%08x", ErrRecord, r.Magic)
	}
	if r.Size < MinRecord || r.Size > len(b) {
		return r, fmt.Errorf("%w: size %d of %d bytes", ErrRecord, r.Size, len(b))
	}
	p := parser{b: b[posBodyCRC:r.Size]}
	r.CRC = p.u32()
	r.QueueID = int32(p.u32())
	r.Flag = int32(p.u32())
	r.QueueOffset = int64(p.u64())
	r.PhysicalOffset = int64(p.u64())
	r.SysFlag = int32(p.u32())
	r.BornTimestamp = int64(p.u64())
	r.BornHost = p.host(r.SysFlag&SysFlagBornHostV6 != 0)
	r.StoreTimestamp = int64(p.u64())
	r.StoreHost = p.host(r.SysFlag&SysFlagStoreHostV6 != 0)
	r.ReconsumeTimes = int32(p.u32())
	r.PreparedTransactionOffset = int64(p.u64())
	r.Body = p.take(int(int32(p.u32())))
	topic := 0
	if r.Magic == MagicV1 {
		topic = int(int8(p.u8()))
	} else {
		topic = int(int16(p.u16()))
	}
	r.Topic = alias(p.take(topic))
	r.Properties = alias(p.take(int(int16(p.u16()))))
	if p.bad || len(p.b) != 0 {
		return r, fmt.Errorf("%w: lengths do not add up to size %d", ErrRecord, r.Size)
	}
	if checkCRC && BodyCRC(r.Body) != r.CRC {
		return r, fmt.Errorf("%w: body checksum 0x%08x, stored 0x%08x", ErrRecord, BodyCRC(r.Body), r.CRC)
	}
	return r, nil
}

// parser takes fields off its bytes; bad sticks once they do not suffice.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) take(n int) []byte {
	if n < 0 || n > len(p.b) {
		p.bad, p.b = true, nil
		return nil
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

func (p *parser) u8() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) u16() uint16 {
	if b := p.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parser) u32() uint32 {
	if b := p.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) u64() uint64 {
	if b := p.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parser) host(v6 bool) Host {
	n := hostV4
	if v6 {
		n = hostV6
	}
	h := Host{n: uint8(n)}
	copy(h.b[:], p.take(n))
	return h
}

func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
