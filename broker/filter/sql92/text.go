package sql92

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
)

// symbols are the operators as Java writes them.
var symbols = map[op]string{opNegate: "-", opNot: "NOT", opAnd: "&&", opOr: "||", opEqual: "==", opGreater: ">", opGreaterEqual: ">=",
	opLess: "<", opLessEqual: "<=", opContains: "CONTAINS", opStartsWith: "STARTSWITH", opEndsWith: "ENDSWITH", opIn: "IN"}

// String returns the node as Java's toString does.
func (n *node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	symbol := symbols[n.op]
	if n.not {
		symbol = "NOT " + symbol
	}
	switch n.op {
	case opConstant:
		b.WriteString(n.value.String())
	case opProperty:
		b.WriteString(n.name)
	case opCast:
		n.left.write(b)
	case opAnd, opOr:
		b.WriteString(strings.Repeat("(", len(n.list)-1))
		n.list[0].write(b)
		for _, part := range n.list[1:] {
			b.WriteString(" " + symbol + " ")
			part.write(b)
			b.WriteByte(')')
		}
	case opIn:
		b.WriteString(n.left.name + " " + symbol + " ( " + strings.Join(listed(n.texts), ", ") + " )")
	case opEqual, opGreater, opGreaterEqual, opLess, opLessEqual:
		b.WriteByte('(')
		n.left.write(b)
		b.WriteString(" " + symbol + " ")
		n.right.write(b)
		b.WriteByte(')')
	default:
		b.WriteString("(" + symbol + " ")
		n.left.write(b)
		b.WriteByte(')')
	}
}

// listed returns the texts of an IN in the order in which Java lists them: 5 and more are in a HashSet.
func listed(texts []string) []string {
	if len(texts) < 5 {
		return texts
	}
	buckets := 16
	for buckets < int(float32(len(texts))/0.75)+1 {
		buckets *= 2
	}
	bucket := func(s string) int {
		h := uint32(message.HashCode(s))
		return int(h^h>>16) & (buckets - 1)
	}
	seen := map[string]bool{}
	var out []string
	for _, s := range texts {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return bucket(a) - bucket(b) })
	return out
}

// String returns the value as it would stand in an expression. Java: ConstantExpression.toString.
func (v value) String() string {
	switch v.kind {
	case null:
		return "NULL"
	case boolean:
		return strings.ToUpper(v.plain())
	case text:
		return "'" + strings.ReplaceAll(v.s, "'", "''") + "'"
	}
	return v.plain()
}

// plain returns the value as Java's toString of its class.
func (v value) plain() string {
	switch v.kind {
	case null:
		return "null"
	case boolean:
		return strconv.FormatBool(v.i != 0)
	case double:
		return doubleText(v.f)
	case text:
		return v.s
	}
	return strconv.FormatInt(v.i, 10)
}

// doubleText writes a positive double as Java's Double.toString.
func doubleText(f float64) string {
	if f == minDouble {
		return "4.9E-324"
	}
	if f >= 1e-3 && f < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(f, 'E', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if exponent[0] == '+' {
		exponent = exponent[1:]
	}
	negative := strings.HasPrefix(exponent, "-")
	exponent = strings.TrimLeft(exponent, "-0")
	if negative {
		exponent = "-" + exponent
	}
	return mantissa + "E" + exponent
}

// numberError is Java's text of a number that a text is not, when one of two constants is text.
func numberError(a, b value) string {
	s := a.s
	if b.kind == text {
		s = b.s
	}
	return fmt.Sprintf("%s: %s", numberFormat, inputString(s, a.kind == double || b.kind == double))
}

func inputString(s string, isDouble bool) string {
	if isDouble {
		if s = strings.TrimFunc(s, blank); s == "" {
			return "empty String"
		}
	}
	return fmt.Sprintf(`For input string: "%s"`, s)
}
