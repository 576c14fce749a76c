package message

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// CRCPropertySize is the length of the property that holds a record's checksum: its name, 0x01, ten digits, 0x02.
// Java: CommitLog.CRC32_RESERVED_LEN.
const CRCPropertySize = len(PropertyCRC32) + 1 + crcDigits + 1

const crcDigits = 10

// MaxSeal is by how many bytes Seal makes a record longer at most.
const MaxSeal = 1 + CRCPropertySize

// Seal gives rec, a whole record whose fields are final but for its lengths, the checksum over itself as its last
// property, as enabledAppendPropCRC has it (spec/store.md 2.4). The record then is what rec and the bytes appended to
// tail hold, in this order. A checksum that the properties bring with them is taken out. A record whose properties
// leave no room for MaxSeal bytes stays as it is.
func Seal(rec, tail []byte) (_, _ []byte) {
	props := propertiesAt(rec)
	if len(rec)-props > MaxProperties-MaxSeal {
		return rec, tail
	}
	const name = PropertyCRC32 + string(NameValueSeparator)
	for at := props; at < len(rec); {
		n := len(rec)
		if end := strings.IndexByte(alias(rec[at:]), PropertySeparator); end >= 0 {
			n = at + end + 1
		}
		if strings.HasPrefix(alias(rec[at:n]), name) {
			rec = append(rec[:at], rec[n:]...)
			continue
		}
		at = n
	}
	from := len(tail)
	if n := len(rec); n > props && rec[n-1] != PropertySeparator {
		tail = append(tail, PropertySeparator)
	}
	size := len(rec) + len(tail) - from + CRCPropertySize
	binary.BigEndian.PutUint32(rec, uint32(size))
	binary.BigEndian.PutUint16(rec[props-2:], uint16(size-props))
	crc := crc32.Update(crc32.ChecksumIEEE(rec), crc32.IEEETable, tail[from:]) & 0x7fffffff
	tail = append(tail, name...)
	for range crcDigits { // the least significant first. Java: MessageDecoder.createCrc32
		tail = append(tail, '0'+byte(crc%10))
		crc /= 10
	}
	return rec, append(tail, PropertySeparator)
}

// PropertyCRC returns the checksum that the last property of b, a whole record with these properties, holds, and
// what it should be; ok is false when the last property holds none.
func PropertyCRC(b []byte, properties string) (stored, computed uint32, ok bool) {
	at := len(properties) - CRCPropertySize
	const digits = len(PropertyCRC32) + 1
	if at < 0 || properties[at:at+digits] != PropertyCRC32+string(NameValueSeparator) || properties[len(properties)-1] != PropertySeparator {
		return 0, 0, false
	}
	value := uint64(0)
	for i := digits + crcDigits - 1; i >= digits; i-- {
		c := properties[at+i]
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		value = value*10 + uint64(c-'0')
	}
	return uint32(value), crc32.ChecksumIEEE(b[:len(b)-CRCPropertySize]) & 0x7fffffff, true
}
