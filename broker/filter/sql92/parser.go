package sql92

import "strings"

// parser is a descent over the grammar in the package comment. It asks for a token only where Java's does:
// whether a bad token far behind is met at all depends on it.
type parser struct {
	lexer
	ahead  [2]token // read but not consumed
	n      int      // how many
	last   token    // the last consumed
	expect uint64   // kinds that were looked for since
	plus   bool     // a plus was among them
	depth  int
	names  []string
	nodes  int
	// Java looks at the whole operand of a plus before it parses it. dry is set during that look: nothing is
	// built. known is the end of what was looked at.
	dry   bool
	known int
}

// operand are the kinds that begin an operand, but for the plus.
const operand uint64 = 1<<tNot | 1<<tTrue | 1<<tFalse | 1<<tNull | 1<<tInteger | 1<<tFloat | 1<<tString | 1<<tID | 1<<tOpen | 1<<tMinus

// afterOperand are the kinds that go on with a comparison.
const afterOperand uint64 = 1<<tGreater | 1<<tGreaterEq | 1<<tLess | 1<<tLessEq | afterNot

// afterNot are those that may also stand behind a NOT.
const afterNot uint64 = 1<<tContains | 1<<tStartsWith | 1<<tEndsWith | 1<<tBetween | 1<<tIn

// peek returns the i-th token that is not consumed.
func (p *parser) peek(i int) (token, error) {
	for p.n <= i {
		t, err := p.scan()
		if err != nil {
			return t, err
		}
		p.ahead[p.n] = t
		p.n++
	}
	return p.ahead[i], nil
}

// consume takes the next token, which peek has returned.
func (p *parser) consume() {
	p.last = p.ahead[0]
	p.ahead[0] = p.ahead[1]
	p.n--
	p.expect, p.plus = 0, false
}

// need consumes a token of kind k.
func (p *parser) need(k kind) error {
	t, err := p.peek(0)
	if err != nil {
		return err
	}
	if t.kind != k {
		p.expect |= 1 << k
		return p.unexpected(t)
	}
	p.consume()
	return nil
}

// unexpected returns the error for token t. Java: ParseException.initialise.
func (p *parser) unexpected(t token) error {
	line, column := p.lineOf(t)
	var b strings.Builder
	b.WriteString(`Encountered "`)
	if t.kind == tEOF {
		b.WriteString(images[tEOF])
	} else {
		b.WriteString(" " + images[t.kind] + ` "` + escape(t.image) + ` "`)
	}
	var list []string
	for k := range lastKind + 1 {
		if p.expect&(1<<k) != 0 {
			list = append(list, images[k])
		}
	}
	if p.plus {
		list = append(list, images[tPlus])
	}
	what := "Was expecting one of:"
	if len(list) == 1 {
		what = "Was expecting:"
	}
	for i := range list {
		list[i] += " ...\n    "
	}
	return failf(parseException, "%s\" at line %d, column %d.\n%s\n    %s", b.String(), line, column, what, strings.Join(list, ""))
}

// lineOf returns where t begins; the end of the text counts as its last letter.
func (p *parser) lineOf(t token) (line, column int) {
	var at place
	if p.src == "" {
		return 0, 0
	}
	for _, r := range p.src[:t.at] {
		at.step(r)
	}
	if t.at < len(p.src) {
		at.letter(rune(p.src[t.at]))
	}
	return at.at()
}

func (p *parser) or() (*node, error) {
	return p.chain(tOr, opOr, p.and)
}

func (p *parser) and() (*node, error) {
	return p.chain(tAnd, opAnd, p.equality)
}

// chain parses what next parses, once or more, with tokens of kind k between.
func (p *parser) chain(k kind, op op, next func() (*node, error)) (*node, error) {
	left, err := next()
	for err == nil {
		var t token
		if t, err = p.peek(0); err != nil {
			break
		}
		if t.kind != k {
			p.expect |= 1 << k
			return left, nil
		}
		p.consume()
		var right *node
		if right, err = next(); err == nil {
			left, err = p.logic(op, left, right)
		}
	}
	return nil, err
}

func (p *parser) equality() (*node, error) {
	left, err := p.comparison()
	for err == nil {
		var t token
		if t, err = p.peek(0); err != nil {
			break
		}
		switch t.kind {
		case tEqual, tNotEqual:
			p.consume()
			var right *node
			if right, err = p.comparison(); err == nil {
				left, err = p.equal(left, right, t.kind == tNotEqual)
			}
		case tIs:
			left, err = p.isNull(left)
		default:
			p.expect |= 1<<tIs | 1<<tEqual | 1<<tNotEqual
			return left, nil
		}
	}
	return nil, err
}

// isNull parses IS [NOT] NULL.
func (p *parser) isNull(left *node) (*node, error) {
	p.consume()
	t, err := p.peek(0)
	if err != nil {
		return nil, err
	}
	not := t.kind == tNot
	if not {
		p.consume()
	} else {
		p.expect |= 1 << tNot
	}
	if err := p.need(tNull); err != nil {
		return nil, err
	}
	return p.nullTest(left, not)
}

func (p *parser) comparison() (*node, error) {
	left, err := p.unary()
	for err == nil {
		var t token
		if t, err = p.peek(0); err != nil {
			break
		}
		not := t.kind == tNot
		if !not && 1<<t.kind&afterOperand == 0 {
			p.expect |= afterOperand | 1<<tNot
			return left, nil
		}
		if not {
			var behind token
			if behind, err = p.peek(1); err != nil {
				break
			}
			if 1<<behind.kind&afterNot == 0 {
				p.expect |= afterOperand
				err = p.unexpected(t)
				break
			}
			p.consume()
			t = behind
		}
		p.consume()
		left, err = p.compared(left, t.kind, not)
	}
	return nil, err
}

// compared parses what follows the operator k.
func (p *parser) compared(left *node, k kind, not bool) (*node, error) {
	switch k {
	case tContains, tStartsWith, tEndsWith:
		s, err := p.text()
		if err != nil {
			return nil, err
		}
		return p.search(left, k, s, not)
	case tBetween:
		low, err := p.unary()
		if err == nil {
			err = p.need(tAnd)
		}
		if err != nil {
			return nil, err
		}
		high, err := p.unary()
		if err != nil {
			return nil, err
		}
		return p.between(left, low, high, not)
	case tIn:
		list, err := p.list()
		if err != nil {
			return nil, err
		}
		return p.in(left, list, not)
	}
	right, err := p.unary()
	if err != nil {
		return nil, err
	}
	return p.order(left, k, right)
}

// list parses the strings of an IN.
func (p *parser) list() ([]string, error) {
	if err := p.need(tOpen); err != nil {
		return nil, err
	}
	var list []string
	for {
		s, err := p.text()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		t, err := p.peek(0)
		if err != nil {
			return nil, err
		}
		if t.kind != tComma {
			p.expect |= 1 << tComma
			return list, p.need(tClose)
		}
		p.consume()
	}
}

// text parses a string literal.
func (p *parser) text() (string, error) {
	if err := p.need(tString); err != nil {
		return "", err
	}
	if p.dry {
		return "", nil
	}
	s := p.last.image[1 : len(p.last.image)-1]
	return strings.Clone(strings.ReplaceAll(s, "''", "'")), nil
}

func (p *parser) unary() (*node, error) {
	t, err := p.peek(0)
	if err != nil {
		return nil, err
	}
	if p.depth == MaxDepth {
		return nil, tooDeep()
	}
	p.depth++
	defer func() { p.depth-- }()
	switch {
	case t.kind == tPlus:
		if err := p.look(t); err != nil {
			return nil, err
		}
		p.consume()
		return p.unary()
	case t.kind == tMinus:
		p.consume()
		right, err := p.unary()
		if err != nil {
			return nil, err
		}
		return p.node(&node{op: opNegate, left: right})
	case t.kind == tNot:
		p.consume()
		right, err := p.unary()
		if err == nil {
			right, err = p.boolean(right)
		}
		if err != nil {
			return nil, err
		}
		return p.node(&node{op: opNot, left: right})
	case t.kind == tOpen:
		p.consume()
		inner, err := p.or()
		if err == nil {
			err = p.need(tClose)
		}
		return inner, err
	case 1<<t.kind&operand != 0:
		p.consume()
		p.nodes++
		return p.literal(t)
	}
	p.expect, p.plus = p.expect|operand, true
	return nil, p.unexpected(t)
}

func tooDeep() error {
	return failf(runtimeException, "the expression is nested more than %d levels deep", MaxDepth)
}

// look goes over a plus and its operand. When they are malformed Java's error is at the plus.
func (p *parser) look(plus token) error {
	if p.dry || plus.at < p.known {
		return nil
	}
	q := *p
	q.dry = true
	q.consume()
	_, err := q.unary()
	p.known = q.last.at + 1
	if e, ok := err.(*Error); ok && e.class == parseException {
		p.expect, p.plus = p.expect|operand, false
		return p.unexpected(plus)
	}
	return err
}
