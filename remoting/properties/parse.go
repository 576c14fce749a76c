package properties

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Parse reads .properties text. The only error is a broken \uXXXX escape, which Java
// refuses too (IllegalArgumentException: Malformed \uxxxx encoding); it names the line.
// An escape for half of a surrogate pair without its other half becomes U+FFFD.
func Parse(text []byte) (*Properties, error) {
	p := &Properties{}
	r := lineReader{text: decode(text), number: 1}
	for r.next() {
		rawKey, rawValue := split(string(r.line))
		key, err := unescape(rawKey)
		if err != nil {
			return nil, fmt.Errorf("cannot parse properties line %d: %w", r.first, err)
		}
		value, err := unescape(rawValue)
		if err != nil {
			return nil, fmt.Errorf("cannot parse properties line %d (key %q): %w", r.first, key, err)
		}
		p.Set(key, value)
	}
	return p, nil
}

// decode turns the bytes of a file into a string by the rule of the package comment.
func decode(text []byte) string {
	if utf8.Valid(text) {
		return string(bytes.TrimPrefix(text, []byte("\uFEFF")))
	}
	runes := make([]rune, len(text))
	for i, c := range text {
		runes[i] = rune(c)
	}
	return string(runes)
}

// lineReader joins natural lines into logical ones and leaves comments out. Escapes stay
// in the line, except the backslashes that continue one.
type lineReader struct {
	text   string
	line   []byte // the logical line that next found
	first  int    // number of the natural line it starts on
	number int    // number of the natural line at the front of text
}

func (r *lineReader) next() bool {
	r.line = r.line[:0]
	for {
		r.text = strings.TrimLeft(r.text, " \t\f")
		if r.text == "" {
			return len(r.line) > 0
		}
		// An empty line so far, even after a lone backslash, is still a place for a
		// comment: so does Java since 9.
		start := len(r.line) == 0
		comment := start && (r.text[0] == '#' || r.text[0] == '!')
		if start {
			r.first = r.number
		}
		natural := r.takeNatural()
		if comment {
			continue
		}
		if continues(natural) {
			r.line = append(r.line, natural[:len(natural)-1]...)
			continue
		}
		r.line = append(r.line, natural...)
		if len(r.line) > 0 {
			return true
		}
	}
}

// takeNatural cuts the next natural line off the text, without its \n, \r or \r\n.
func (r *lineReader) takeNatural() string {
	end := strings.IndexAny(r.text, "\r\n")
	if end < 0 {
		line := r.text
		r.text = ""
		return line
	}
	line, rest := r.text[:end], r.text[end:]
	if strings.HasPrefix(rest, "\r\n") {
		rest = rest[1:]
	}
	r.text = rest[1:]
	r.number++
	return line
}

// continues tells whether a natural line ends in a backslash that no other one escapes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// split cuts a logical line at its first unescaped separator: blanks, or one '=' or ':'
// with blanks around it.
func split(line string) (key, value string) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	rest := strings.TrimLeft(line[end:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return line[:end], rest
}

// unescape resolves the backslash escapes of a key or a value.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch s[i] {
		case 't':
			out = append(out, '\t')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 'f':
			out = append(out, '\f')
		case 'u':
			unit, err := hexUnit(s[i+1:])
			if err != nil {
				return "", err
			}
			i += 4
			// Java strings are UTF-16: two escapes may make up one character.
			if utf16.IsSurrogate(unit) && strings.HasPrefix(s[i+1:], `\u`) {
				low, err := hexUnit(s[i+3:])
				if err != nil {
					return "", err
				}
				if pair := utf16.DecodeRune(unit, low); pair != utf8.RuneError {
					unit = pair
					i += 6
				}
			}
			out = utf8.AppendRune(out, unit)
		default:
			out = append(out, s[i])
		}
	}
	return string(out), nil
}

// hexUnit reads the four hexadecimal digits after \u.
func hexUnit(s string) (rune, error) {
	digits := s[:min(4, len(s))]
	// ParseUint alone would take a sign-free short number.
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil || len(digits) < 4 {
		return 0, fmt.Errorf(`malformed \u escape %q`, `\u`+digits)
	}
	return rune(n), nil
}
