package message

import "unicode/utf8"

// HashCode is Java's String.hashCode of s: h = 31*h + unit over its UTF-16 units, in 32 bits.
func HashCode(s string) int32 { return HashCodeFrom(0, s) }

// HashCodeFrom goes on from h, the HashCode of what stands in front of s.
func HashCodeFrom(h int32, s string) int32 {
	i := 0
	// Four letters at once: the multiplications do not wait for each other.
	for ; i+4 <= len(s); i += 4 {
		a, b, c, d := s[i], s[i+1], s[i+2], s[i+3]
		if a|b|c|d >= utf8.RuneSelf {
			break
		}
		h = 31*31*31*31*h + 31*31*31*int32(a) + 31*31*int32(b) + 31*int32(c) + int32(d)
	}
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			h = 31*h + int32(c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + int32(0xd800+(r>>10))
			r = 0xdc00 + (r & 0x3ff)
		}
		h = 31*h + int32(r)
	}
	return h
}

// TagsCode is what a ConsumeQueue unit holds for a TAGS property: its hash sign-extended to 64 bits,
// 0 without tags. Java: MessageExtBrokerInner.tagsString2tagsCode.
func TagsCode(tags string) int64 {
	if tags == "" {
		return 0
	}
	return int64(HashCode(tags))
}
