package message

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

const upperHex = "0123456789ABCDEF"

// AppendHex appends b as upper-case hex digits.
func AppendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

// AppendOffsetID appends the offset message id: store host and physical offset in upper-case hex, 32
// digits for IPv4, 56 for IPv6. Java: MessageDecoder.createMessageId.
func AppendOffsetID(dst []byte, storeHost Host, physicalOffset int64) []byte {
	dst = AppendHex(dst, storeHost.bytes())
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(physicalOffset))
	return AppendHex(dst, b[:])
}

// ParseOffsetID is the reverse of AppendOffsetID.
func ParseOffsetID(id string) (storeHost netip.AddrPort, physicalOffset int64, err error) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != hostV4+8 && len(b) != hostV6+8 {
		return netip.AddrPort{}, 0, fmt.Errorf("cannot parse offset message id %.64q", id)
	}
	n := len(b) - 8
	h := Host{n: uint8(n)}
	copy(h.b[:], b[:n])
	return h.AddrPort(), int64(binary.BigEndian.Uint64(b[n:])), nil
}

// UniqKeys makes UNIQ_KEY values for messages that come without one. Java: MessageClientIDSetter:
// IPv4 (4 bytes), pid (2), class loader hash (4), ms since the month began (4), counter (2).
type UniqKeys struct {
	prefix  [10]byte
	counter atomic.Uint32
}

// NewUniqKeys returns a generator for the host with address ip; seed stands for Java's class loader
// hash and tells two generators of one process apart.
func NewUniqKeys(ip netip.Addr, seed uint32) *UniqKeys {
	u := &UniqKeys{}
	if ip = ip.Unmap(); ip.Is4() {
		b := ip.As4()
		copy(u.prefix[:], b[:])
	}
	binary.BigEndian.PutUint16(u.prefix[4:], uint16(os.Getpid()))
	binary.BigEndian.PutUint32(u.prefix[6:], seed)
	return u
}

// Append appends a new key, 32 upper-case hex digits.
func (u *UniqKeys) Append(dst []byte, now time.Time) []byte {
	var b [16]byte
	copy(b[:], u.prefix[:])
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	binary.BigEndian.PutUint32(b[10:], uint32(now.Sub(month).Milliseconds()))
	binary.BigEndian.PutUint16(b[14:], uint16(u.counter.Add(1)))
	return AppendHex(dst, b[:])
}
