package properties

import (
	"math"
	"strconv"
	"strings"
)

// javaTrim cuts as String.trim does: every character up to U+0020.
func javaTrim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}

// parseJavaDouble reads trimmed text as Double.parseDouble does for decimal numbers. It
// differs from strconv in the type suffix, in the names of the special values and in not
// allowing '_'.
func parseJavaDouble(s string) (float64, error) {
	switch s {
	case "NaN", "+NaN", "-NaN":
		return math.NaN(), nil
	case "Infinity", "+Infinity", "-Infinity":
		return strconv.ParseFloat(s, 64)
	}
	if n := len(s); n > 0 && strings.IndexByte("dDfF", s[n-1]) >= 0 {
		s = s[:n-1]
	}
	if strings.ContainsAny(s, "_xXiInN") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseFloat(s, 64)
	if math.IsInf(n, 0) {
		return n, nil // Java rounds to infinity where strconv reports a range error
	}
	return n, err
}

// formatJavaDouble spells as Double.toString does: always a digit behind the point, and an
// exponent from 10^7 up and below 10^-3.
func formatJavaDouble(n float64) string {
	switch abs := math.Abs(n); {
	case math.IsNaN(n):
		return "NaN"
	case math.IsInf(n, 0):
		return strings.TrimPrefix(strconv.FormatFloat(n, 'f', -1, 64), "+") + "inity"
	case abs == 0 || (abs >= 1e-3 && abs < 1e7):
		return withPoint(strconv.FormatFloat(n, 'f', -1, 64))
	default:
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(n, 'E', -1, 64), "E")
		e, _ := strconv.Atoi(exponent)
		return withPoint(mantissa) + "E" + strconv.Itoa(e)
	}
}

func withPoint(digits string) string {
	if strings.IndexByte(digits, '.') >= 0 {
		return digits
	}
	return digits + ".0"
}
