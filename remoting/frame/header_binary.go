package frame

import (
	"encoding/binary"
	"errors"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

var errBinary = errors.New("binary header is cut short")

// binaryFixed is the length of the fields before the remark: code, language, version, opaque, flag.
const binaryFixed = 2 + 1 + 2 + 4 + 4

// decodeBinary reads the ROCKETMQ serialisation. Java: RocketMQSerializable.
func decodeBinary(b []byte, c *protocol.Command) error {
	if len(b) < binaryFixed+4 {
		return errBinary
	}
	c.Code = int32(int16(binary.BigEndian.Uint16(b)))
	c.Language = protocol.Language(b[2])
	c.Version = int32(int16(binary.BigEndian.Uint16(b[3:])))
	c.Opaque = int32(binary.BigEndian.Uint32(b[5:]))
	c.Flag = int32(binary.BigEndian.Uint32(b[9:]))
	remark, b, ok := sized(b[binaryFixed:], 4)
	if !ok {
		return errBinary
	}
	c.Remark = remark
	if len(b) == 0 {
		return nil
	}
	if len(b) < 4 {
		return errBinary
	}
	n := binary.BigEndian.Uint32(b)
	if b = b[4:]; uint64(n) > uint64(len(b)) {
		return errBinary
	}
	for b = b[:n]; len(b) > 0; {
		var f protocol.Field
		if f.Key, b, ok = sized(b, 2); !ok {
			return errBinary
		}
		if f.Value, b, ok = sized(b, 4); !ok {
			return errBinary
		}
		if f.Value != "" { // Java decodes an empty value to null
			c.Ext = append(c.Ext, f)
		}
	}
	return nil
}

// sized takes a string behind a length of width bytes off b.
func sized(b []byte, width int) (s string, rest []byte, ok bool) {
	if len(b) < width {
		return "", nil, false
	}
	n := beUint(b, width)
	if b = b[width:]; uint64(n) > uint64(len(b)) {
		return "", nil, false
	}
	return alias(b[:n]), b[n:], true
}

func appendBinary(dst []byte, c *protocol.Command) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Code))
	dst = append(dst, byte(c.Language))
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Opaque))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Flag))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.Remark)))
	dst = append(dst, c.Remark...)
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for _, f := range c.Ext {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.Key)))
		dst = append(dst, f.Key...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Value)))
		dst = append(dst, f.Value...)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}
