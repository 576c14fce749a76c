package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
)

// record is a stored message as it is in the CommitLog and in the answer to a pull.
type record struct {
	raw                              []byte
	topic                            string
	queue                            int
	flag, sysFlag                    uint32
	offset, physical, stored         int64
	bornHost, storeHost              netip.AddrPort
	body                             []byte
	props                            map[string]string
	propertyText, uniqueKey, tagName string
}

// Places in a record with IPv4 hosts (Java: MessageDecoder; spec/store.md 2.1).
const (
	posMagic, posCRC, posQueue, posFlag, posOffset, posPhysical, posSysFlag = 4, 8, 12, 16, 20, 28, 36
	posBornHost, posStored, posStoreHost, posBodyLen, fixedSize             = 48, 56, 64, 84, 91

	magicRecord = 0xDAA320A7
	magicBlank  = 0xCBD43194
)

var errRecord = errors.New("broken record")

// parseRecord reads the record at the beginning of b; raw is a part of b.
func parseRecord(b []byte) (record, error) {
	if len(b) < fixedSize {
		return record{}, fmt.Errorf("%w: %d bytes left", errRecord, len(b))
	}
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	i64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	host := func(at int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[at:at+4])), uint16(u32(at+4)))
	}
	size, bodyLen := int(u32(0)), int(u32(posBodyLen))
	if magic := u32(posMagic); magic != magicRecord {
		return record{}, fmt.Errorf("%w: magic %#x", errRecord, magic)
	}
	bodyEnd := posBodyLen + 4 + bodyLen
	if size > len(b) || bodyLen < 0 || bodyEnd+3 > size {
		return record{}, fmt.Errorf("%w: size %d, body %d of %d bytes", errRecord, size, bodyLen, len(b))
	}
	topicEnd := bodyEnd + 1 + int(b[bodyEnd])
	if topicEnd+2 > size || topicEnd+2+int(binary.BigEndian.Uint16(b[topicEnd:])) != size {
		return record{}, fmt.Errorf("%w: parts do not make up the size %d", errRecord, size)
	}
	r := record{raw: b[:size:size], topic: string(b[bodyEnd+1 : topicEnd]), queue: int(u32(posQueue)), flag: u32(posFlag),
		sysFlag: u32(posSysFlag), offset: i64(posOffset), physical: i64(posPhysical), stored: i64(posStored),
		bornHost: host(posBornHost), storeHost: host(posStoreHost), body: b[posBodyLen+4 : bodyEnd],
		propertyText: string(b[topicEnd+2 : size])}
	if crc := crc32.ChecksumIEEE(r.body) & 0x7fffffff; crc != u32(posCRC) {
		return record{}, fmt.Errorf("%w: checksum of the body at physical offset %d", errRecord, r.physical)
	}
	r.props = splitProperties(r.propertyText)
	r.uniqueKey, r.tagName = r.props["UNIQ_KEY"], r.props["TAGS"]
	return r, nil
}

func parseRecords(b []byte) ([]record, error) {
	var out []record
	for len(b) > 0 {
		r, err := parseRecord(b)
		if err != nil {
			return nil, err
		}
		out, b = append(out, r), b[len(r.raw):]
	}
	return out, nil
}

// The separators of a property string (Java: MessageDecoder.NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR).
const nameEnd, propertyEnd = "\x01", "\x02"

func splitProperties(text string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, propertyEnd) {
		if name, value, ok := strings.Cut(part, nameEnd); ok {
			out[name] = value
		}
	}
	return out
}

func joinProperties(props map[string]string) string {
	var b strings.Builder
	for name, value := range props {
		b.WriteString(name + nameEnd + value + propertyEnd)
	}
	return b.String()
}
