package filter

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// BloomData are the bits of one group and topic. Java: BloomFilterData.
type BloomData struct {
	BitNum int32   `json:"bitNum"`
	BitPos []int32 `json:"bitPos"`
}

// Bloom assigns each group and topic a few bits of the bit map that stands with a message in ConsumeQueueExt: they
// are set when the group's filter lets the message pass. It is immutable. Java: BloomFilter.
type Bloom struct{ hashes, bits int32 }

// NewBloom returns the filter for an error rate in percent (1 to 99) and an expected number of groups (from 1 on).
// Java: BloomFilter.createByFn.
func NewBloom(errorRate, expected int32) (*Bloom, error) {
	if errorRate < 1 || errorRate >= 100 {
		return nil, fmt.Errorf("maxErrorRateOfBloomFilter is %d, it must be at least 1 and less than 100", errorRate)
	}
	if expected < 1 {
		return nil, fmt.Errorf("expectConsumerNumUseFilter is %d, it must be greater than 0", expected)
	}
	rate := float64(errorRate) / 100
	log := func(base, x float64) float64 { return math.Log(x) / math.Log(base) }
	hashes := math.Ceil(log(0.5, rate))
	n := math.Ceil(float64(expected) * log(2, 1/rate) * log(2, math.E))
	if hashes < 1 || n > math.MaxInt16*8 {
		return nil, fmt.Errorf("maxErrorRateOfBloomFilter %d with expectConsumerNumUseFilter %d makes a bit map of %.0f bits", errorRate, expected, n)
	}
	return &Bloom{int32(hashes), int32(8 * math.Ceil(n/8))}, nil
}

// Bits returns the length of a bit map, a multiple of 8. Java: bitMapLengthConsumeQueueExt is set to it.
func (b *Bloom) Bits() int32 { return b.bits }

// Positions returns the bits of a group and topic. Java: BloomFilter.generate(group + "#" + topic).
func (b *Bloom) Positions(group, topic string) BloomData { return b.positions(group + "#" + topic) }

func (b *Bloom) positions(s string) BloomData {
	h := murmur(s)
	low, high := int32(h), int32(h>>32)
	d := BloomData{BitNum: b.bits, BitPos: make([]int32, b.hashes)}
	for i := range d.BitPos {
		x := low + int32(i+1)*high
		if x < 0 {
			x = ^x
		}
		d.BitPos[i] = x % b.bits
	}
	return d
}

// valid reports whether d was made by a filter of these sizes.
func (b *Bloom) valid(d BloomData) bool {
	if d.BitNum != b.bits || len(d.BitPos) != int(b.hashes) {
		return false
	}
	for _, p := range d.BitPos {
		if p < 0 || p >= b.bits {
			return false
		}
	}
	return true
}

// set sets the bits of d in a bit map of its length.
func (d BloomData) set(bitMap []byte) {
	for _, p := range d.BitPos {
		bitMap[p/8] |= 1 << (p % 8)
	}
}

// in reports whether all bits of d are set.
func (d BloomData) in(bitMap []byte) bool {
	for _, p := range d.BitPos {
		if bitMap[p/8]&(1<<(p%8)) == 0 {
			return false
		}
	}
	return true
}

// murmur returns the first 64 bits of MurmurHash3 x64 128 with seed 0, as Guava's murmur3_128().asLong().
func murmur(s string) uint64 {
	const c1, c2 = 0x87c37b91114253d5, 0x4cf5ad432745937f
	var h1, h2 uint64
	b := []byte(s)
	for ; len(b) >= 16; b = b[16:] {
		h1 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(b)*c1, 31) * c2
		h1 = (bits.RotateLeft64(h1, 27)+h2)*5 + 0x52dce729
		h2 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(b[8:])*c2, 33) * c1
		h2 = (bits.RotateLeft64(h2, 31)+h1)*5 + 0x38495ab5
	}
	if len(b) > 0 {
		var tail [16]byte
		copy(tail[:], b)
		h1 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(tail[:])*c1, 31) * c2
		h2 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(tail[8:])*c2, 33) * c1
	}
	n := uint64(len(s))
	h1 ^= n
	h2 ^= n
	h1 += h2
	h2 += h1
	return mix(h1) + mix(h2)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
