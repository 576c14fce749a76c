// Package frame encodes commands to frames and back.
//
// A frame, big-endian (spec/protocol.md 1.1):
//
//	0  4  total length of what follows: 4 + header + body
//	4  1  serialisation of the header: 0 JSON, 1 ROCKETMQ (binary)
//	5  3  header length
//	8  .. header, then body
//
// Both serialisations are read; replies and requests are written as JSON, as a Java server does by
// default, because every client reads the type of the frame it receives and codes above 32767 do not
// fit the binary header.
//
// Decoding copies nothing: strings and body of the command alias the frame, and escaped JSON strings
// are unescaped in place, so the frame's header bytes are changed by Decode.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// MaxLength is the largest frame accepted, its 4 length bytes included.
// Java: NettyDecoder.FRAME_MAX_LENGTH, com.rocketmq.remoting.frameMaxLength.
const MaxLength = 16 << 20

// PrefixLength is the number of bytes before the header.
const PrefixLength = 8

// Serialisations of the header. Java: SerializeType.
const (
	TypeJSON   = 0
	TypeBinary = 1
)

// ErrMalformed is wrapped by every error that means the peer does not speak the protocol; the
// connection cannot go on after it.
var ErrMalformed = errors.New("malformed frame")

// Length returns the total length of the frame that b begins with, or 0 while b is shorter than the
// prefix. It fails as soon as the prefix is impossible, before the rest has come.
func Length(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, nil
	}
	n := int64(binary.BigEndian.Uint32(b)) + 4
	if n > MaxLength || n < PrefixLength {
		return 0, fmt.Errorf("%w: length %d", ErrMalformed, n-4)
	}
	if len(b) < PrefixLength {
		return 0, nil
	}
	if b[4] > TypeBinary {
		return 0, fmt.Errorf("%w: serialisation %d", ErrMalformed, b[4])
	}
	if h := headerLength(b); int64(h) > n-PrefixLength {
		return 0, fmt.Errorf("%w: header of %d bytes in a frame of %d", ErrMalformed, h, n)
	}
	return int(n), nil
}

func headerLength(b []byte) int { return int(binary.BigEndian.Uint32(b[4:]) & 0xffffff) }

// Decode fills c from b, one whole frame. c.Ext is reused; everything in c aliases b.
// Every error wraps ErrMalformed.
func Decode(b []byte, c *protocol.Command) error {
	n, err := Length(b)
	if err != nil {
		return err
	}
	if n == 0 || n != len(b) {
		return fmt.Errorf("%w: %d bytes given, %d declared", ErrMalformed, len(b), n)
	}
	end := PrefixLength + headerLength(b)
	*c = protocol.Command{Ext: c.Ext[:0]} // language JAVA, as Java's RemotingCommand begins
	header := b[PrefixLength:end:end]
	if b[4] == TypeJSON {
		err = decodeJSON(header, c)
	} else {
		err = decodeBinary(header, c)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if end < len(b) {
		c.Body = b[end:]
	}
	return nil
}

// Append appends c as a frame with a JSON header.
func Append(dst []byte, c *protocol.Command) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = appendJSON(dst, c)
	return Finish(append(dst, c.Body...), start, len(dst)-start-PrefixLength)
}

// AppendBinary appends c as a frame with a ROCKETMQ header. Codes and versions are cut to 16 bits,
// as Java does.
func AppendBinary(dst []byte, c *protocol.Command) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = appendBinary(dst, c)
	dst = Finish(append(dst, c.Body...), start, len(dst)-start-PrefixLength)
	dst[start+4] = TypeBinary
	return dst
}

// Finish writes the prefix of the frame that begins at start of dst, whose JSON header is header bytes
// long and which ends where dst ends. The 8 prefix bytes must be there already.
func Finish(dst []byte, start, header int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	binary.BigEndian.PutUint32(dst[start+4:], uint32(header))
	return dst
}
