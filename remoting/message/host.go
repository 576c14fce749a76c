package message

import (
	"encoding/binary"
	"net/netip"
)

const (
	hostV4 = 8  // 4 bytes of address, int32 port
	hostV6 = 20 // 16 bytes of address, int32 port
)

// Host is an address as it is stored in a record. The zero Host is 0.0.0.0:0.
type Host struct {
	b [hostV6]byte
	n uint8
}

// HostOf returns the stored form of a; an IPv4 address mapped to IPv6 is stored as IPv4.
func HostOf(a netip.AddrPort) Host {
	var h Host
	ip := a.Addr().Unmap()
	if ip.Is6() {
		h.n = hostV6
		b := ip.As16()
		copy(h.b[:], b[:])
	} else {
		h.n = hostV4
		if ip.IsValid() {
			b := ip.As4()
			copy(h.b[:], b[:])
		}
	}
	binary.BigEndian.PutUint32(h.b[h.n-4:], uint32(a.Port()))
	return h
}

func (h *Host) bytes() []byte {
	if h.n == 0 {
		return h.b[:hostV4]
	}
	return h.b[:h.n]
}

// AddrPort returns the address.
func (h Host) AddrPort() netip.AddrPort {
	b := h.bytes()
	ip, _ := netip.AddrFromSlice(b[:len(b)-4])
	return netip.AddrPortFrom(ip, uint16(binary.BigEndian.Uint32(b[len(b)-4:])))
}
