package message

import (
	"encoding/binary"
	"errors"
)

// ErrBatch means that a batch body does not follow MessageDecoder.encodeMessages.
var ErrBatch = errors.New("cannot decode the batch body")

// BatchItem is one message of a batch body. It aliases the body.
type BatchItem struct {
	Flag       int32
	Body       []byte
	Properties string
}

// NextBatchItem takes the first message off a batch body (spec/protocol.md 4.5): int32 size, magic, body
// CRC, flag, body length and body, int16 property length and properties. Magic and CRC are not looked
// at: clients write 0.
func NextBatchItem(b []byte) (item BatchItem, rest []byte, err error) {
	if len(b) < 4 {
		return item, nil, ErrBatch
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 22 || n > len(b) {
		return item, nil, ErrBatch
	}
	p := parser{b: b[12:n]}
	item.Flag = int32(p.u32())
	item.Body = p.take(int(int32(p.u32())))
	item.Properties = alias(p.take(int(int16(p.u16()))))
	if p.bad {
		return item, nil, ErrBatch
	}
	return item, b[n:], nil
}

// AppendBatchItem is the reverse of NextBatchItem.
func AppendBatchItem(dst []byte, item BatchItem) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(22+len(item.Body)+len(item.Properties)))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(item.Flag))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(item.Body)))
	dst = append(dst, item.Body...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(item.Properties)))
	return append(dst, item.Properties...)
}
