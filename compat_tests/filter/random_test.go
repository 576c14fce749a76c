package filter_test

import (
	"math/rand/v2"
	"strings"
)

// grammar makes expressions: mostly such as parse, of the names and values that the messages have, and some
// that are damaged.
type grammar struct{ *rand.Rand }

func (g grammar) pick(list ...string) string { return list[g.IntN(len(list))] }

// expression returns one at random.
func (g grammar) expression() string {
	text := g.or(3)
	switch g.IntN(12) {
	case 0: // one piece less
		pieces := strings.Fields(text)
		i := g.IntN(len(pieces))
		text = strings.Join(append(pieces[:i:i], pieces[i+1:]...), " ")
	case 1: // one piece more
		pieces := strings.Fields(text)
		i := g.IntN(len(pieces) + 1)
		more := g.pick("NOT", "(", ")", "AND", "=", "5", "'x'", "a", "#", "NULL", "IS", "IN", "--", "/*", "-", "+", "'", ".", "BETWEEN")
		text = strings.Join(pieces[:i], " ") + " " + more + " " + strings.Join(pieces[i:], " ")
	case 2: // cut off
		text = text[:g.IntN(len(text)+1)]
	}
	return text
}

func (g grammar) or(depth int) string  { return g.chain(" OR ", depth, g.and) }
func (g grammar) and(depth int) string { return g.chain(" AND ", depth, g.equality) }

func (g grammar) chain(join string, depth int, next func(int) string) string {
	parts := []string{next(depth)}
	for g.IntN(3) == 0 {
		parts = append(parts, next(depth))
	}
	return strings.Join(parts, join)
}

func (g grammar) equality(depth int) string {
	left := g.comparison(depth)
	for g.IntN(5) < 2 {
		switch g.IntN(5) {
		case 0:
			left += g.pick(" IS NULL", " IS NOT NULL", " is not null")
		case 1:
			left += " <> " + g.comparison(depth)
		default:
			left += " = " + g.comparison(depth)
		}
	}
	return left
}

func (g grammar) comparison(depth int) string {
	left := g.unary(depth)
	if g.IntN(3) == 0 {
		return left
	}
	not := g.pick("", "", "NOT ")
	switch g.IntN(9) {
	case 0:
		return left + " " + not + "BETWEEN " + g.unary(depth) + " AND " + g.unary(depth)
	case 1, 2:
		list := g.text()
		for g.IntN(5) > 0 {
			list += ", " + g.text()
		}
		return g.name() + " " + not + "IN (" + list + ")"
	case 3, 4:
		return left + " " + not + g.pick("CONTAINS ", "STARTSWITH ", "ENDSWITH ", "contains ") + g.text()
	}
	return left + g.pick(" > ", " >= ", " < ", " <= ", ">", "<=") + g.unary(depth)
}

func (g grammar) unary(depth int) string {
	switch n := g.IntN(20); {
	case n == 0:
		return g.pick("+", "- ", "-", "NOT ") + g.unary(depth)
	case n < 4 && depth > 0:
		return "(" + g.or(depth-1) + ")"
	case n < 12:
		return g.name()
	case n < 15:
		return g.text()
	case n < 16:
		return g.pick("TRUE", "FALSE", "NULL", "true")
	}
	return g.pick("0", "1", "5", "10", "-3", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "007", "5L",
		"0.0", "1.5", "5.", ".5", "3.14", "1e3", "1E-2", "1e400", "-0.5", "5.0")
}

func (g grammar) name() string {
	return g.pick("a", "a", "b", "b", "c", "c", "d", "s", "A", "TAGS", "$x", "_y1", "missing")
}

func (g grammar) text() string {
	return g.pick("'abc'", "'ABC'", "'a'", "'b'", "'5'", "'5.0'", "'1e3'", "'true'", "'NaN'", "''", "'it''s'", "'TagA'", "'日本語'", "'hangzhou'", "' '", "'😀'")
}
