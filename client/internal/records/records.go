// Package records turns what brokers send, message records one behind the other, into messages, and packs and
// unpacks their bodies.
package records

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
)

// MaxBody bounds what a compressed body may become, in bytes.
const MaxBody = 64 << 20

// The types of compression as bits 8 to 10 of sysFlag have them; 0, of older clients, is zlib too.
// Java: CompressionType.
const (
	typeLZ4  = 1
	typeZstd = 2
	typeZlib = 3
)

// FlagZlib are the bits of sysFlag of a body that Compress made.
const FlagZlib = message.SysFlagCompressed | typeZlib<<8

// Decode reads all records of b, which come from a broker of that name. A body that cannot be decompressed is no
// error here, but the message's Err.
func Decode(b []byte, broker string) ([]*client.MessageExt, error) {
	var out []*client.MessageExt
	for len(b) > 0 {
		r, err := message.Parse(b, false)
		if err != nil {
			return out, fmt.Errorf("cannot read a message of broker %s: %w", broker, err)
		}
		b = b[r.Size:]
		m := &client.MessageExt{Record: r, BrokerName: broker}
		if r.SysFlag&message.SysFlagCompressed != 0 {
			if text, err := Decompress(r.Body, r.SysFlag); err != nil {
				m.Err = fmt.Errorf("cannot decompress the message at physical offset %d: %w", r.PhysicalOffset, err)
			} else {
				m.Body = text
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// Decompress undoes the compression that sysFlag names.
func Decompress(b []byte, sysFlag int32) ([]byte, error) { return decompress(b, sysFlag, MaxBody) }

func decompress(b []byte, sysFlag int32, limit int) ([]byte, error) {
	switch (sysFlag & message.SysFlagCompressionMax) >> 8 {
	case typeLZ4:
		return readAll(lz4.NewReader(bytes.NewReader(b)), limit)
	case typeZstd:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxBody))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return readAll(z, limit)
	default:
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return readAll(z, limit)
	}
}

func readAll(in io.Reader, limit int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err == nil && len(out) > limit {
		err = errTooLarge(limit)
	}
	return out, err
}

func errTooLarge(limit int) error { return fmt.Errorf("the body is larger than %d bytes", limit) }

// writers keep their buffers: a new zlib writer costs a megabyte.
var writers = sync.Pool{New: func() any {
	z, err := zlib.NewWriterLevel(io.Discard, 5) // Java: DefaultMQProducer.compressLevel
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return z
}}

// Compress packs a body with zlib.
func Compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(b) / 2)
	z := writers.Get().(*zlib.Writer)
	defer writers.Put(z)
	z.Reset(&out)
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
