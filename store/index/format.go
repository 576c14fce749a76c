package index

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
)

// Sizes in a file. Java: IndexHeader.INDEX_HEADER_SIZE, IndexFile.hashSlotSize and indexSize.
const (
	headerSize = 40
	slotSize   = 4
	entrySize  = 20
)

// tagType stands between topic and tags in the key of a TAGS property. Java: MessageConst.INDEX_TAG_TYPE.
const tagType = "T"

// geometry is the shape of all files of a folder.
type geometry struct{ slots, entries int32 }

func (g geometry) slotAt(slot int32) int64 { return headerSize + int64(slot)*slotSize }
func (g geometry) entryAt(n int32) int64   { return g.slotAt(g.slots) + int64(n)*entrySize }
func (g geometry) size() int64             { return g.entryAt(g.entries) }

// header is the first 40 bytes of a file. Java: IndexHeader.
type header struct {
	beginTimestamp, endTimestamp int64 // ms
	beginPhysical, endPhysical   int64
	slots                        int32 // used ones
	count                        int32 // number of the next entry
}

func (h *header) bytes() []byte {
	b := make([]byte, 0, headerSize)
	b = binary.BigEndian.AppendUint64(b, uint64(h.beginTimestamp))
	b = binary.BigEndian.AppendUint64(b, uint64(h.endTimestamp))
	b = binary.BigEndian.AppendUint64(b, uint64(h.beginPhysical))
	b = binary.BigEndian.AppendUint64(b, uint64(h.endPhysical))
	b = binary.BigEndian.AppendUint32(b, uint32(h.slots))
	return binary.BigEndian.AppendUint32(b, uint32(h.count))
}

func parseHeader(b []byte) header {
	return header{
		beginTimestamp: int64(binary.BigEndian.Uint64(b)),
		endTimestamp:   int64(binary.BigEndian.Uint64(b[8:])),
		beginPhysical:  int64(binary.BigEndian.Uint64(b[16:])),
		endPhysical:    int64(binary.BigEndian.Uint64(b[24:])),
		slots:          int32(binary.BigEndian.Uint32(b[32:])),
		// A file of Java that was just made has 0 here.
		count: max(1, int32(binary.BigEndian.Uint32(b[36:]))),
	}
}

// check refuses a header that no file of this geometry can have.
func (h *header) check(g geometry) error {
	switch {
	case h.count > g.entries:
		return fmt.Errorf("it says it holds %d entries of %d", h.count-1, g.entries-1)
	case h.beginPhysical < 0 || h.endPhysical < h.beginPhysical:
		return fmt.Errorf("it says it covers physical offsets %d to %d", h.beginPhysical, h.endPhysical)
	case h.count > 1 && h.beginTimestamp <= 0:
		return fmt.Errorf("it says it begins at %d ms", h.beginTimestamp)
	}
	return nil
}

// diff returns the seconds from the file's begin to a store timestamp, as Java's IndexFile.putKey does.
func (h *header) diff(storeTimestamp int64) int32 {
	if h.beginTimestamp <= 0 {
		return 0
	}
	return int32(min(max(0, (storeTimestamp-h.beginTimestamp)/1000), math.MaxInt32))
}

// time returns when the message of entry n was stored, cut to seconds from the file's begin.
func (h *header) time(n int32, e *stored) int64 {
	if n == 1 {
		return h.beginTimestamp
	}
	return h.beginTimestamp + int64(e.diff)*1000
}

// entry is one key of one message, on its way to a file.
type entry struct {
	physical int64
	time     int64 // ms
	hash     int32
}

// stored is an entry as a file has it.
type stored struct {
	hash     int32
	physical int64
	diff     int32
	prev     int32
}

func parseEntry(b []byte) stored {
	return stored{
		hash:     int32(binary.BigEndian.Uint32(b)),
		physical: int64(binary.BigEndian.Uint64(b[4:])),
		diff:     int32(binary.BigEndian.Uint32(b[12:])),
		prev:     int32(binary.BigEndian.Uint32(b[16:])),
	}
}

func appendEntry(dst []byte, e stored) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.hash))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.physical))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.diff))
	return binary.BigEndian.AppendUint32(dst, uint32(e.prev))
}

// Hash returns the hash of topic#key that entries hold. Java: IndexFile.indexKeyHashMethod.
func Hash(topic, key string) int32 { return finish(message.HashCodeFrom(prefix(topic), key)) }

func prefix(topic string) int32 { return 31*message.HashCode(topic) + '#' }

func finish(h int32) int32 {
	if h < 0 {
		h = -h
	}
	return max(h, 0) // Math.abs(Integer.MIN_VALUE) is negative
}

// TagKey returns the key under which the TAGS property of a message is found.
// Java 5.5: IndexService.buildKey(topic, key, INDEX_TAG_TYPE).
func TagKey(tags string) string { return tagType + "#" + tags }

// AppendHashes appends the hashes of a message's keys in Java's order (IndexService.buildIndex): UNIQ_KEY,
// the words of KEYS, and, from 5.5 on, TAGS. Empty properties have none.
func AppendHashes(dst []int32, topic, uniqKey, keys, tags string) []int32 {
	p := prefix(topic)
	if uniqKey != "" {
		dst = append(dst, finish(message.HashCodeFrom(p, uniqKey)))
	}
	for keys != "" {
		var key string
		key, keys, _ = strings.Cut(keys, " ")
		if key != "" {
			dst = append(dst, finish(message.HashCodeFrom(p, key)))
		}
	}
	if tags != "" {
		h := message.HashCodeFrom(p, tagType+"#")
		dst = append(dst, finish(message.HashCodeFrom(h, tags)))
	}
	return dst
}

// AppendRecordHashes appends the hashes of a record's keys; a rolled back transaction has none.
func AppendRecordHashes(dst []int32, r *message.Record) []int32 {
	if r.SysFlag&message.SysFlagTransaction == message.SysFlagRollback {
		return dst
	}
	var uniqKey, keys, tags string
	message.EachProperty(r.Properties, func(name, value string) bool {
		switch name {
		case message.PropertyUniqKey:
			uniqKey = value
		case message.PropertyKeys:
			keys = value
		case message.PropertyTags:
			tags = value
		}
		return true
	})
	return AppendHashes(dst, r.Topic, uniqKey, keys, tags)
}
