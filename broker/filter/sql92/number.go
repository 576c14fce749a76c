package sql92

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The range of Java's positive doubles.
const (
	minDouble = math.SmallestNonzeroFloat64
	maxDouble = math.MaxFloat64
)

// parseInteger reads a whole number between lo and hi as Java's Integer.valueOf and Long.valueOf do: a sign and
// decimal digits of any script.
func parseInteger(s string, lo, hi int64) (int64, bool) {
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	if s == "" {
		return 0, false
	}
	limit := uint64(hi)
	if negative {
		limit = uint64(-(lo + 1)) + 1
	}
	n := uint64(0)
	for _, r := range s {
		d, ok := decimal(r)
		if !ok || n > limit/10 {
			return 0, false
		}
		if n = n*10 + uint64(d); n > limit {
			return 0, false
		}
	}
	if negative {
		return int64(-n), true
	}
	return int64(n), true
}

// decimal returns the value of a decimal digit. Java: Character.digit over single UTF-16 units.
func decimal(r rune) (int, bool) {
	if r < utf8.RuneSelf {
		return int(r - '0'), '0' <= r && r <= '9'
	}
	if r > 0xffff {
		return 0, false
	}
	for _, x := range unicode.Nd.R16 { // scripts have their ten digits in a row, in order
		if rune(x.Lo) <= r && r <= rune(x.Hi) {
			return int(r-rune(x.Lo)) % 10, true
		}
	}
	return 0, false
}

// parseDouble reads a number as Java's Double.valueOf does. It differs from strconv in the blanks around it, the
// letter behind it, and the names of what is no number.
func parseDouble(s string) (float64, bool) {
	s = strings.TrimFunc(s, blank)
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 {
		return 0, false
	}
	switch body {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		if s[0] == '-' {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	if body == "" {
		return 0, false
	}
	end := len(s)
	if c := s[end-1] | 0x20; (c == 'd' || c == 'f') && end > 1 {
		s = s[:end-1]
		body = body[:len(body)-1]
	}
	if !floating(body) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// blank reports what Java's String.trim takes off.
func blank(r rune) bool { return r <= ' ' }

// floating reports whether s is a number without a sign: decimal, or hexadecimal with its exponent.
func floating(s string) bool {
	isDigit, e, needed := digit, byte('e'), false
	if len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x' {
		s, isDigit, e, needed = s[2:], hexDigit, 'p', true
	}
	i, n := 0, 0
	run := func() {
		for i < len(s) && isDigit(s[i]) {
			i++
			n++
		}
	}
	run()
	if i < len(s) && s[i] == '.' {
		i++
		run()
	}
	if n == 0 {
		return false
	}
	if i == len(s) {
		return !needed
	}
	if s[i]|0x20 != e {
		return false
	}
	i++
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	return i < len(s) && digits(s[i:]) == len(s)-i
}

func hexDigit(c byte) bool { return digit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
