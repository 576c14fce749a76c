package message

import (
	"encoding/binary"
	"strconv"
)

// AppendInnerBase appends, as the last property of an inner batch, INNER_BASE with room for its value, the queue
// offset that only the appender knows. SetInnerBase fills it in.
func AppendInnerBase(dst []byte) []byte {
	return AppendProperty(dst, PropertyInnerBase, "0000000000000000000")
}

// SetInnerBase sets the INNER_BASE that AppendInnerBase left at the end of rec, a whole record, and returns the
// record's size, which is less by the digits that the offset does not need.
func SetInnerBase(rec []byte, queueOffset int64) int {
	at := len(rec) - offsetDigits - 1
	value := strconv.AppendInt(rec[at:at], queueOffset, 10)
	saved := offsetDigits - len(value)
	rec[at+len(value)] = PropertySeparator
	size := len(rec) - saved
	binary.BigEndian.PutUint32(rec, uint32(size))
	length := rec[propertiesAt(rec)-2:]
	binary.BigEndian.PutUint16(length, binary.BigEndian.Uint16(length)-uint16(saved))
	return size
}

// propertiesAt returns where the properties of a whole record begin.
func propertiesAt(rec []byte) int {
	at := storeTimestampAt(rec) + 8 + hostV4
	if rec[posSysFlag+3]&SysFlagStoreHostV6 != 0 {
		at += hostV6 - hostV4
	}
	at += 12 // reconsume times, prepared transaction offset
	at += 4 + int(binary.BigEndian.Uint32(rec[at:]))
	if Magic(rec) == MagicV1 {
		return at + 1 + int(rec[at]) + 2
	}
	return at + 2 + int(binary.BigEndian.Uint16(rec[at:])) + 2
}
