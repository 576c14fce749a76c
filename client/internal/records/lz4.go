package records

import (
	"encoding/binary"
	"errors"
)

var errLZ4 = errors.New("not a valid LZ4 frame")

const (
	lz4Magic = 0x184D2204
	// Bits of a frame's FLG byte.
	lz4Dictionary    = 1 << 0
	lz4ContentSum    = 1 << 2
	lz4ContentSize   = 1 << 3
	lz4BlockSum      = 1 << 4
	lz4Stored        = 1 << 31 // of a block's size: the block is not compressed
	lz4VersionOfFLG  = 0x40
	lz4VersionMask   = 0xC0
	lz4MinMatch      = 4
	lz4LongestNibble = 15
)

// unlz4 unpacks the LZ4 frames that b consists of, which is what Java's Lz4Compressor makes. Checksums are not
// looked at: TCP and the record have theirs. The format is that of github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
// and lz4_Block_format.md.
func unlz4(b []byte, limit int) ([]byte, error) {
	var out []byte
	for len(b) > 0 {
		if len(b) < 7 || binary.LittleEndian.Uint32(b) != lz4Magic {
			return nil, errLZ4
		}
		flags := b[4]
		if flags&lz4VersionMask != lz4VersionOfFLG || flags&lz4Dictionary != 0 {
			return nil, errLZ4
		}
		skip := 6
		if flags&lz4ContentSize != 0 {
			skip += 8
		}
		skip++ // checksum of the header
		if len(b) < skip {
			return nil, errLZ4
		}
		var err error
		if out, b, err = lz4Blocks(out, b[skip:], flags, limit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lz4Blocks appends the blocks of one frame to out and returns what of b is behind the frame.
func lz4Blocks(out, b []byte, flags byte, limit int) (_, rest []byte, _ error) {
	for {
		if len(b) < 4 {
			return nil, nil, errLZ4
		}
		size := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if size == 0 {
			break
		}
		n := int(size &^ lz4Stored)
		if n > len(b) {
			return nil, nil, errLZ4
		}
		block := b[:n]
		b = b[n:]
		if flags&lz4BlockSum != 0 {
			if len(b) < 4 {
				return nil, nil, errLZ4
			}
			b = b[4:]
		}
		if size&lz4Stored != 0 {
			out = append(out, block...)
		} else {
			var err error
			if out, err = lz4Block(out, block, limit); err != nil {
				return nil, nil, err
			}
		}
		if len(out) > limit {
			return nil, nil, errTooLarge(limit)
		}
	}
	if flags&lz4ContentSum != 0 {
		if len(b) < 4 {
			return nil, nil, errLZ4
		}
		b = b[4:]
	}
	return out, b, nil
}

// lz4Block appends one compressed block to out; its matches may reach into what out holds already.
func lz4Block(out, b []byte, limit int) ([]byte, error) {
	for len(b) > 0 {
		token := b[0]
		literals, rest, ok := lz4Length(int(token>>4), b[1:])
		if !ok || literals > len(rest) {
			return nil, errLZ4
		}
		out = append(out, rest[:literals]...)
		b = rest[literals:]
		if len(b) == 0 {
			return out, nil // the last sequence has no match
		}
		if len(b) < 2 {
			return nil, errLZ4
		}
		distance := int(binary.LittleEndian.Uint16(b))
		length, rest, ok := lz4Length(int(token&lz4LongestNibble), b[2:])
		length += lz4MinMatch
		if !ok || distance == 0 || distance > len(out) {
			return nil, errLZ4
		}
		if len(out)+length > limit {
			return nil, errTooLarge(limit)
		}
		for range length { // byte by byte: source and target may overlap
			out = append(out, out[len(out)-distance])
		}
		b = rest
	}
	return out, nil
}

// lz4Length reads the bytes that go on with a length whose first 4 bits are nibble.
func lz4Length(nibble int, b []byte) (length int, rest []byte, ok bool) {
	if nibble < lz4LongestNibble {
		return nibble, b, true
	}
	for i, c := range b {
		nibble += int(c)
		if c < 255 {
			return nibble, b[i+1:], true
		}
	}
	return 0, nil, false
}
