package sql92

import (
	"slices"
	"strconv"
	"strings"
)

// op says what a node does.
type op uint8

const (
	opConstant op = iota
	opProperty
	opNegate
	opCast // a property where a truth value is needed
	opNot
	opAnd
	opOr
	opEqual
	opGreater
	opGreaterEqual
	opLess
	opLessEqual
	opContains
	opStartsWith
	opEndsWith
	opIn
)

// node is a node of a compiled expression. It never changes once it is built.
type node struct {
	op    op
	not   bool // of opContains, opStartsWith, opEndsWith, opIn
	depth int

	left, right *node
	list        []*node             // of opAnd, opOr
	value       value               // of opConstant; the text to look for of opContains and its like
	name        string              // of opProperty
	slot        int                 // of opProperty: its index in Expression.names
	texts       []string            // of opIn
	set         map[string]struct{} // of opIn, instead of texts when they are many
}

// truth reports whether the node gives a truth value or NULL. Java: BooleanExpression.
func (n *node) truth() bool {
	switch n.op {
	case opProperty, opNegate:
		return false
	case opConstant:
		return n.value.kind == null || n.value.kind == boolean
	}
	return true
}

// node checks the depth of a new node, whose parts are set.
func (p *parser) node(n *node) (*node, error) {
	if p.dry {
		return nil, nil
	}
	p.nodes++
	for _, part := range [2]*node{n.left, n.right} {
		if part != nil {
			n.depth = max(n.depth, part.depth+1)
		}
	}
	for _, part := range n.list {
		n.depth = max(n.depth, part.depth+1)
	}
	if n.depth > MaxDepth {
		return nil, tooDeep()
	}
	return n, nil
}

func (p *parser) literal(t token) (*node, error) {
	if p.dry {
		return nil, nil
	}
	var v value
	switch t.kind {
	case tID:
		slot := slices.Index(p.names, t.image)
		if slot < 0 {
			slot = len(p.names)
			p.names = append(p.names, strings.Clone(t.image))
		}
		return &node{op: opProperty, name: p.names[slot], slot: slot}, nil
	case tString:
		v = textValue(strings.Clone(strings.ReplaceAll(t.image[1:len(t.image)-1], "''", "'")))
	case tTrue, tFalse:
		v = boolValue(t.kind == tTrue)
	case tInteger:
		text := strings.TrimRight(t.image, "lL")
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, failf(numberFormat, `For input string: "%s"`, text)
		}
		v = value{kind: long, i: i}
		if i == int64(int32(i)) {
			v.kind = integer
		}
	case tFloat:
		f, _ := parseDouble(t.image) // out of range is infinity
		if f > maxDouble {
			return nil, failf(runtimeException, "%s is greater than %s", t.image, doubleText(maxDouble))
		}
		if f < minDouble {
			return nil, failf(runtimeException, "%s is less than %s", t.image, doubleText(minDouble))
		}
		v = value{kind: double, f: f}
	}
	return &node{op: opConstant, value: v}, nil
}

// boolean returns n as something with a truth value. Java: SelectorParser.asBooleanExpression.
func (p *parser) boolean(n *node) (*node, error) {
	switch {
	case p.dry || n.truth():
		return n, nil
	case n.op == opProperty:
		return p.node(&node{op: opCast, left: n})
	}
	return nil, failf(parseException, "Expression will not result in a boolean value: %s", n)
}

// logic joins left and right by AND or OR. A chain is one node, so that its length is no depth.
func (p *parser) logic(op op, left, right *node) (*node, error) {
	left, err := p.boolean(left)
	if err == nil {
		right, err = p.boolean(right)
	}
	if err != nil || p.dry {
		return nil, err
	}
	if left.op == op {
		left.list = append(left.list, right)
		left.depth = max(left.depth, right.depth+1)
		if left.depth > MaxDepth {
			return nil, tooDeep()
		}
		return left, nil
	}
	return p.node(&node{op: op, list: []*node{left, right}})
}

// equal builds = or <>. Java: ComparisonExpression.createEqual.
func (p *parser) equal(left, right *node, not bool) (*node, error) {
	if p.dry {
		return nil, nil
	}
	for _, n := range [2]*node{left, right} {
		if n.op == opConstant && n.value.kind == null {
			return nil, failf(runtimeException, "'%s' cannot be compared.", n)
		}
	}
	if left.op == opConstant && right.op == opConstant && left.value.kind == boolean && right.value.kind != boolean {
		return nil, failf(runtimeException, "'%s' cannot be compared with '%s'", left, right)
	}
	return p.equals(left, right, not)
}

// equals builds = or <> of anything.
func (p *parser) equals(left, right *node, not bool) (*node, error) {
	n, err := p.node(&node{op: opEqual, left: left, right: right})
	if err == nil && not {
		n, err = p.node(&node{op: opNot, left: n})
	}
	return n, err
}

// nullTest builds IS [NOT] NULL.
func (p *parser) nullTest(left *node, not bool) (*node, error) {
	if p.dry {
		return nil, nil
	}
	return p.equals(left, &node{op: opConstant}, not)
}

// order builds a comparison by size. Java: ComparisonExpression.createGreaterThan and its like.
func (p *parser) order(left *node, k kind, right *node) (*node, error) {
	if p.dry {
		return nil, nil
	}
	for _, n := range [2]*node{left, right} {
		number := n.op == opConstant && n.value.numeric()
		if !number && (n.op == opConstant || n.truth()) {
			return nil, failf(runtimeException, "Value '%s' cannot be compared.", n)
		}
	}
	op := map[kind]op{tGreater: opGreater, tGreaterEq: opGreaterEqual, tLess: opLess, tLessEq: opLessEqual}[k]
	return p.node(&node{op: op, left: left, right: right})
}

// between builds [NOT] BETWEEN. Only the form without NOT looks whether low is above high.
// Java: ComparisonExpression.createBetween.
func (p *parser) between(v, low, high *node, not bool) (*node, error) {
	if p.dry {
		return nil, nil
	}
	ops, op := [2]kind{tGreaterEq, tLessEq}, opAnd
	if not {
		ops, op = [2]kind{tLess, tGreater}, opOr
	} else if low.op == opConstant && high.op == opConstant {
		if err := checkRange(low.value, high.value); err != nil {
			return nil, err
		}
	}
	left, err := p.order(v, ops[0], low)
	if err != nil {
		return nil, err
	}
	right, err := p.order(v, ops[1], high)
	if err != nil {
		return nil, err
	}
	return p.node(&node{op: op, list: []*node{left, right}})
}

func checkRange(low, high value) error {
	if low.kind == null || high.kind == null {
		return failf(runtimeException, "Illegal values of between, values can not be null!")
	}
	c, err := compare(high, low)
	switch {
	case err == ErrBoolean:
		return failf(classCast, "class java.lang.Boolean cannot be cast to class java.lang.String (java.lang.Boolean and java.lang.String are in module java.base of loader 'bootstrap')")
	case err != nil:
		return failf(runtimeException, "%s", numberError(low, high))
	case c < 0:
		return failf(runtimeException, "Illegal values of between, left value(%s) must less than or equal to right value(%s)", low.plain(), high.plain())
	}
	return nil
}

// search builds [NOT] CONTAINS, STARTSWITH and ENDSWITH.
func (p *parser) search(left *node, k kind, s string, not bool) (*node, error) {
	op := map[kind]op{tContains: opContains, tStartsWith: opStartsWith, tEndsWith: opEndsWith}[k]
	return p.node(&node{op: op, left: left, value: textValue(s), not: not})
}

// fewTexts is how many texts of an IN are compared one by one.
const fewTexts = 8

func (p *parser) in(left *node, texts []string, not bool) (*node, error) {
	if p.dry {
		return nil, nil
	}
	if left.op != opProperty {
		return nil, failf(runtimeException, "Expected a property for In expression, got: %s", left)
	}
	n := &node{op: opIn, left: left, texts: texts, not: not}
	if len(texts) > fewTexts {
		n.set = make(map[string]struct{}, len(texts))
		for _, s := range texts {
			n.set[s] = struct{}{}
		}
	}
	return p.node(n)
}
