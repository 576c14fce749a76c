package sql92

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is the kind of a token. Java: SelectorParserConstants; the numbers order the lists in error texts.
type kind uint8

const (
	tEOF        kind = 0
	tNot        kind = 8
	tAnd        kind = 9
	tOr         kind = 10
	tBetween    kind = 11
	tIn         kind = 12
	tTrue       kind = 13
	tFalse      kind = 14
	tNull       kind = 15
	tIs         kind = 16
	tContains   kind = 17
	tStartsWith kind = 18
	tEndsWith   kind = 19
	tInteger    kind = 20
	tFloat      kind = 21
	tString     kind = 23
	tID         kind = 24
	tEqual      kind = 25
	tNotEqual   kind = 26
	tGreater    kind = 27
	tGreaterEq  kind = 28
	tLess       kind = 29
	tLessEq     kind = 30
	tOpen       kind = 31
	tComma      kind = 32
	tClose      kind = 33
	tPlus       kind = 34
	tMinus      kind = 35
	lastKind         = tMinus
)

// images are how error texts show the kinds. Java: SelectorParserConstants.TOKEN_IMAGE.
var images = [lastKind + 1]string{tEOF: "<EOF>", tNot: `"NOT"`, tAnd: `"AND"`, tOr: `"OR"`, tBetween: `"BETWEEN"`, tIn: `"IN"`,
	tTrue: `"TRUE"`, tFalse: `"FALSE"`, tNull: `"NULL"`, tIs: `"IS"`, tContains: `"CONTAINS"`, tStartsWith: `"STARTSWITH"`,
	tEndsWith: `"ENDSWITH"`, tInteger: "<DECIMAL_LITERAL>", tFloat: "<FLOATING_POINT_LITERAL>", tString: "<STRING_LITERAL>",
	tID: "<ID>", tEqual: `"="`, tNotEqual: `"<>"`, tGreater: `">"`, tGreaterEq: `">="`, tLess: `"<"`, tLessEq: `"<="`,
	tOpen: `"("`, tComma: `","`, tClose: `")"`, tPlus: `"+"`, tMinus: `"-"`}

// keywords are found whatever their case.
var keywords = map[string]kind{"NOT": tNot, "AND": tAnd, "OR": tOr, "BETWEEN": tBetween, "IN": tIn, "TRUE": tTrue, "FALSE": tFalse,
	"NULL": tNull, "IS": tIs, "CONTAINS": tContains, "STARTSWITH": tStartsWith, "ENDSWITH": tEndsWith}

// longestKeyword is len("STARTSWITH").
const longestKeyword = 10

type token struct {
	kind  kind
	at    int // where it begins
	image string
}

// lexer takes tokens off an expression.
type lexer struct {
	src string
	pos int
}

// scan returns the next token.
func (l *lexer) scan() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	at := l.pos
	if at == len(l.src) {
		return token{tEOF, at, ""}, nil
	}
	k, n := l.match(l.src[at:])
	if n == 0 {
		return token{}, l.bad(at)
	}
	l.pos += n
	return token{k, at, l.src[at:l.pos]}, nil
}

// match returns kind and length of the longest token that s begins with, 0 for none.
func (l *lexer) match(s string) (kind, int) {
	two := ""
	if len(s) > 1 {
		two = s[:2]
	}
	switch c := s[0]; {
	case c == '=':
		return tEqual, 1
	case two == "<>":
		return tNotEqual, 2
	case two == ">=":
		return tGreaterEq, 2
	case two == "<=":
		return tLessEq, 2
	case c == '>':
		return tGreater, 1
	case c == '<':
		return tLess, 1
	case c == '(':
		return tOpen, 1
	case c == ')':
		return tClose, 1
	case c == ',':
		return tComma, 1
	case c == '+':
		return tPlus, 1
	case c == '-':
		return tMinus, 1
	case c == '\'':
		return tString, stringEnd(s)
	case letter(c):
		n := 1
		for n < len(s) && (letter(s[n]) || digit(s[n])) {
			n++
		}
		if n <= longestKeyword {
			if k, ok := keywords[strings.ToUpper(s[:n])]; ok {
				return k, n
			}
		}
		return tID, n
	case digit(c) || c == '.':
		return number(s)
	}
	return 0, 0
}

func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$'
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

// stringEnd returns the length of the string literal that s begins with, 0 when it has no end. Two quotes are
// one within it; of "'a”" with nothing behind, which has no end, 'a' is taken.
func stringEnd(s string) int {
	end := 0
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		end = i + 1
		if end == len(s) || s[end] != '\'' {
			return end
		}
		i++
	}
	return end
}

// number returns kind and length of the number that s begins with, 0 when it is a lone dot.
func number(s string) (kind, int) {
	whole := digits(s)
	n, float := whole, false
	if n < len(s) && s[n] == '.' {
		fraction := digits(s[n+1:])
		if whole == 0 && fraction == 0 {
			return 0, 0
		}
		n, float = n+1+fraction, true
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		sign := 0
		if n+1 < len(s) && (s[n+1] == '+' || s[n+1] == '-') {
			sign = 1
		}
		if e := digits(s[n+1+sign:]); e > 0 {
			n, float = n+1+sign+e, true
		}
	}
	switch {
	case float:
		return tFloat, n
	case s[0] == '0':
		return tInteger, 1 // what follows is the next token
	case n < len(s) && s[n]|0x20 == 'l':
		return tInteger, n + 1
	}
	return tInteger, n
}

// skip passes over blanks and comments. A line comment ends with its line, so one at the very end is none.
func (l *lexer) skip() error {
	for ; l.pos < len(l.src); l.pos++ {
		rest := l.src[l.pos:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexAny(rest, "\n\r")
			if n < 0 {
				return nil
			}
			l.pos += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return l.bad(l.pos)
			}
			l.pos += 2 + n + 1
		default:
			return nil
		}
	}
	return nil
}

// bad returns the error for the text at at, which begins no token. Java: TokenMgrError.
func (l *lexer) bad(at int) error {
	rest := l.src[at:]
	n := 1 // bytes read until nothing could fit any more, the last letter included
	endless := rest[0] == '\'' || strings.HasPrefix(rest, "/*")
	switch {
	case endless:
		n = len(rest)
	case rest[0] == '.' || rest[0] == '/':
		_, size := utf8.DecodeRuneInString(rest[1:])
		n += size
	case rest[0] >= utf8.RuneSelf:
		_, n = utf8.DecodeRuneInString(rest)
	}
	last, size := utf8.DecodeLastRuneInString(rest[:n])
	before := rest[:n-size]
	var p place
	for _, c := range l.src[:at+n-size] {
		p.step(c)
	}
	u := firstUnit(last)
	if at+n == len(l.src) && (endless || u == last) {
		p.step(last)
		line, column := p.at()
		column++
		if last == '\n' || last == '\r' {
			line, column = line+1, 0
		}
		if before != "" {
			before = rest
		}
		return failf(tokenError, "Lexical error at line %d, column %d.  Encountered: <EOF> after : \"%s\"", line, column, escape(before))
	}
	p.letter(u)
	line, column := p.at()
	return failf(tokenError, "Lexical error at line %d, column %d.  Encountered: \"%s\" (%d), after : \"%s\"", line, column, escapeUnit(u), u, escape(before))
}

// place counts lines and columns as Java's SimpleCharStream: letters are UTF-16 units, a tab goes on to a
// multiple of 8.
type place struct {
	lines, column int
	lf, cr        bool // the letter before
}

func (p *place) at() (line, column int) { return p.lines + 1, p.column }

// step passes a rune.
func (p *place) step(r rune) {
	p.letter(r)
	if r > 0xffff {
		p.letter(r)
	}
}

func (p *place) letter(c rune) {
	p.column++
	if p.lf || p.cr && c != '\n' {
		p.lines, p.column = p.lines+1, 1
	}
	p.lf, p.cr = c == '\n', c == '\r'
	if c == '\t' {
		p.column--
		p.column += 8 - p.column%8
	}
}

// firstUnit returns the first UTF-16 unit of r.
func firstUnit(r rune) rune {
	if r > 0xffff {
		return 0xd800 + (r-0x10000)>>10
	}
	return r
}

// escape shows a text within an error text. Java: ParseException.add_escapes.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(escapeUnit(firstUnit(r)))
		if r > 0xffff {
			b.WriteString(escapeUnit(0xdc00 + r&0x3ff))
		}
	}
	return b.String()
}

func escapeUnit(u rune) string {
	switch u {
	case 0:
		return ""
	case '\b':
		return `\b`
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	case '"', '\'', '\\':
		return `\` + string(u)
	}
	if u < 0x20 || u > 0x7e {
		return fmt.Sprintf(`\u%04x`, u)
	}
	return string(u)
}
