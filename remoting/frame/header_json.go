package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

var errJSON = errors.New("header is not a JSON object")

// maxDepth bounds nesting inside values the header does not need.
const maxDepth = 16

// scanner reads one JSON object by hand: the header's shape is fixed, and it is paid for on every
// request. It accepts what peers really send (spec/protocol.md 1.2): numbers and booleans as ext
// values, enum ordinals, any key order and white space, bytes after the object.
type scanner struct {
	b []byte
	i int
}

func decodeJSON(b []byte, c *protocol.Command) error {
	s := scanner{b: b}
	if !s.take('{') {
		return errJSON
	}
	if s.take('}') {
		return nil
	}
	for {
		key, err := s.key()
		if err != nil {
			return err
		}
		if err := s.member(key, c); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return errJSON
		}
	}
}

func (s *scanner) member(key string, c *protocol.Command) error {
	switch key {
	case "extFields":
		return s.ext(c)
	case "code":
		return s.int32(&c.Code)
	case "flag":
		return s.int32(&c.Flag)
	case "opaque":
		return s.int32(&c.Opaque)
	case "version":
		return s.int32(&c.Version)
	case "language":
		v, _, err := s.value(0)
		if err != nil {
			return err
		}
		c.Language = language(v)
		return nil
	case "remark":
		v, null, err := s.value(0)
		if !null {
			c.Remark = v
		}
		return err
	default:
		_, _, err := s.value(0)
		return err
	}
}

func language(v string) protocol.Language {
	if v != "" && v[0] <= '9' {
		if n, err := strconv.ParseUint(v, 10, 8); err == nil {
			return protocol.Language(n)
		}
	}
	return protocol.ParseLanguage(v)
}

func (s *scanner) ext(c *protocol.Command) error {
	if s.space(); s.i < len(s.b) && s.b[s.i] == 'n' {
		_, _, err := s.value(0)
		return err
	}
	if !s.take('{') {
		return errJSON
	}
	if s.take('}') {
		return nil
	}
	for {
		f, ok, err := s.plainPair()
		if err != nil {
			return err
		}
		null := false
		if !ok {
			if f.Key, err = s.key(); err != nil {
				return err
			}
			if f.Value, null, err = s.value(0); err != nil {
				return err
			}
		}
		if !null {
			c.Ext = append(c.Ext, f)
		}
		if s.take(',') {
			continue
		}
		if s.take('}') {
			return nil
		}
		return errJSON
	}
}

// plainPair reads "key":"value" without blanks, which is what every client but C++ sends. On anything
// else it moves nothing and reports false.
func (s *scanner) plainPair() (f protocol.Field, ok bool, err error) {
	at := s.i
	if at >= len(s.b) || s.b[at] != '"' {
		return f, false, nil
	}
	end := special(s.b, at+1)
	if end+2 >= len(s.b) || s.b[end] != '"' || s.b[end+1] != ':' || s.b[end+2] != '"' {
		return f, false, nil
	}
	f.Key = alias(s.b[at+1 : end])
	s.i = end + 2
	f.Value, err = s.str()
	return f, true, err
}

// special returns the index of the first quote or backslash in b from i on, len(b) without one. It looks at
// eight bytes at a time.
func special(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		q, e := w^(ones*'"'), w^(ones*'\\')
		// The lowest high bit set marks the first zero byte of q or e; borrows only reach bytes above it.
		if m := ((q-ones)&^q | (e-ones)&^e) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '"' || b[i] == '\\' {
			return i
		}
	}
	return len(b)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) take(ch byte) bool {
	if s.i < len(s.b) && s.b[s.i] == ch {
		s.i++
		return true
	}
	s.space()
	if s.i < len(s.b) && s.b[s.i] == ch {
		s.i++
		return true
	}
	return false
}

func (s *scanner) key() (string, error) {
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return "", errJSON
	}
	k, err := s.str()
	if err != nil {
		return "", err
	}
	if !s.take(':') {
		return "", errJSON
	}
	return k, nil
}

// value returns the text of any value: strings unescaped, everything else as written.
func (s *scanner) value(depth int) (text string, null bool, err error) {
	s.space()
	if s.i >= len(s.b) || depth > maxDepth {
		return "", false, errJSON
	}
	switch s.b[s.i] {
	case '"':
		text, err = s.str()
		return text, false, err
	case '{', '[':
		return s.nested(depth)
	}
	start := s.i
	for s.i < len(s.b) && literal(s.b[s.i]) {
		s.i++
	}
	text = alias(s.b[start:s.i])
	switch {
	case text == "null":
		return "", true, nil
	case text == "true", text == "false":
		return text, false, nil
	case text == "" || !(text[0] == '-' || text[0] >= '0' && text[0] <= '9'):
		return "", false, errJSON
	}
	return text, false, nil
}

func (s *scanner) nested(depth int) (string, bool, error) {
	start, open := s.i, s.b[s.i]
	end := byte(']')
	if open == '{' {
		end = '}'
	}
	s.i++
	for !s.take(end) {
		if open == '{' {
			if _, err := s.key(); err != nil {
				return "", false, err
			}
		}
		if _, _, err := s.value(depth + 1); err != nil {
			return "", false, err
		}
		s.take(',')
	}
	return alias(s.b[start:s.i]), false, nil
}

func literal(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

func (s *scanner) int32(dst *int32) error {
	s.space()
	i, neg := s.i, false
	if i < len(s.b) && s.b[i] == '-' {
		neg = true
		i++
	}
	start, n := i, int64(0)
	for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' && i-start < 11 {
		n = n*10 + int64(s.b[i]-'0')
		i++
	}
	if i == start {
		// Not a plain number: a quoted one, null or nonsense.
		v, null, err := s.value(0)
		if err != nil || null {
			return err
		}
		m, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return fmt.Errorf("cannot read a number of the header: %.32q", v)
		}
		*dst = int32(m)
		return nil
	}
	if neg {
		n = -n
	}
	if n != int64(int32(n)) {
		return fmt.Errorf("a number of the header is out of range: %d", n)
	}
	*dst, s.i = int32(n), i
	return nil
}

// str reads a string; s.i is at its opening quote. Escapes are resolved in place, which is possible
// because no escape is shorter than what it stands for.
func (s *scanner) str() (string, error) {
	b := s.b
	start := s.i + 1
	i := special(b, start)
	if i >= len(b) {
		return "", errJSON
	}
	if b[i] == '"' {
		s.i = i + 1
		return alias(b[start:i]), nil
	}
	w := i
	for i < len(b) {
		if b[i] == '"' {
			s.i = i + 1
			return alias(b[start:w]), nil
		}
		n, used, err := unescape(b[w:w:len(b)], b[i:])
		if err != nil {
			return "", err
		}
		w += n
		i += used
		end := special(b, i)
		w += copy(b[w:], b[i:end])
		i = end
	}
	return "", errJSON
}

// unescape writes what the escape at the head of src stands for to dst, which overlaps src.
func unescape(dst, src []byte) (wrote, used int, err error) {
	if len(src) < 2 {
		return 0, 0, errJSON
	}
	var ch byte
	switch src[1] {
	case 'u':
		if len(src) >= 6 && src[2] == '0' && src[3] == '0' && src[4] == '0' && src[5]-'0' < 10 {
			return len(append(dst, src[5]-'0')), 6, nil // the separators of message properties
		}
		r, ok := hex4(src[2:])
		if !ok {
			return 0, 0, errJSON
		}
		used = 6
		if utf16.IsSurrogate(r) {
			second, ok := rune(0), false
			if len(src) >= 8 && src[6] == '\\' && src[7] == 'u' {
				second, ok = hex4(src[8:])
			}
			if r = utf16.DecodeRune(r, second); ok && r != utf8.RuneError {
				used = 12
			} else {
				r = utf8.RuneError
			}
		}
		return len(utf8.AppendRune(dst, r)), used, nil
	case 'n':
		ch = '\n'
	case 't':
		ch = '\t'
	case 'r':
		ch = '\r'
	case 'b':
		ch = '\b'
	case 'f':
		ch = '\f'
	case '"', '\\', '/', '\'':
		ch = src[1]
	default:
		return 0, 0, errJSON
	}
	return len(append(dst, ch)), 2, nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendJSON writes the header as Java does: keys in alphabetical order, no blanks, values as strings.
func appendJSON(dst []byte, c *protocol.Command) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(c.Code), 10)
	if c.Ext != nil {
		dst = append(dst, `,"extFields":{`...)
		for i, f := range c.Ext {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, f.Key)
			dst = append(dst, ':')
			dst = AppendString(dst, f.Value)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `,"flag":`...)
	dst = strconv.AppendInt(dst, int64(c.Flag), 10)
	dst = append(dst, `,"language":"`...)
	dst = append(dst, c.Language.String()...)
	dst = append(dst, `","opaque":`...)
	dst = strconv.AppendInt(dst, int64(c.Opaque), 10)
	if c.Remark != "" {
		dst = append(dst, `,"remark":`...)
		dst = AppendString(dst, c.Remark)
	}
	dst = append(dst, `,"serializeTypeCurrentRPC":"JSON","version":`...)
	dst = strconv.AppendInt(dst, int64(c.Version), 10)
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := plain(s); i < len(s); {
		ch := s[i]
		if ch >= 0x20 && ch != '"' && ch != '\\' && ch < utf8.RuneSelf {
			i++
			continue
		}
		if ch >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n != 1 {
				i += n
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
		} else {
			dst = append(dst, s[start:i]...)
			switch ch {
			case '"', '\\':
				dst = append(dst, '\\', ch)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			case '\b':
				dst = append(dst, '\\', 'b')
			case '\f':
				dst = append(dst, '\\', 'f')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
			}
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// plain returns how many bytes at the head of s stand for themselves in a JSON string, at least; it looks at
// eight at a time.
func plain(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		q, e := w^(ones*'"'), w^(ones*'\\')
		if ((q-ones)&^q|(e-ones)&^e|(w-ones*0x20)&^w|w)&highs != 0 {
			break
		}
	}
	return i
}

func beUint(b []byte, n int) uint32 {
	if n == 2 {
		return uint32(binary.BigEndian.Uint16(b))
	}
	return binary.BigEndian.Uint32(b)
}
