package sql92

import (
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
)

// fewNames is how many different properties an evaluation holds without allocating.
const fewNames = 16

// Evaluate returns the expression's result for a message with the properties string. The error is one of
// ErrNumber, ErrOrder and ErrBoolean. Java: Expression.evaluate over a MessageEvaluationContext.
func (e *Expression) Evaluate(properties string) (Result, error) {
	var few [fewNames]string
	found := few[:]
	if len(e.names) > fewNames {
		found = make([]string, len(e.names))
	}
	// A property is never empty. The last of several of one name counts.
	message.EachProperty(properties, func(name, v string) bool {
		for i, want := range e.names {
			if want == name {
				found[i] = v
				break
			}
		}
		return true
	})
	v, err := e.root.eval(found)
	switch {
	case err != nil || v.kind != boolean:
		return Unknown, err
	case v.i == 0:
		return False, nil
	}
	return True, nil
}

// eval returns the node's value; properties are the values of Expression.names, empty where missing.
func (n *node) eval(properties []string) (value, error) {
	switch n.op {
	case opConstant:
		return n.value, nil
	case opProperty:
		if s := properties[n.slot]; s != "" {
			return textValue(s), nil
		}
		return value{}, nil
	case opAnd, opOr:
		return n.evalLogic(properties)
	case opEqual:
		return n.evalEqual(properties)
	case opGreater, opGreaterEqual, opLess, opLessEqual:
		return n.evalOrder(properties)
	case opContains, opStartsWith, opEndsWith:
		if n.value.s == "" {
			return boolValue(false), nil
		}
	}
	v, err := n.left.eval(properties)
	if err != nil {
		return v, err
	}
	return n.evalUnary(v), nil
}

// evalUnary applies the node to the value of its operand.
func (n *node) evalUnary(v value) value {
	switch n.op {
	case opNegate:
		if !v.numeric() {
			return value{}
		}
		v.i, v.f = -v.i, -v.f
		return v
	case opCast:
		if v.kind == null {
			return v
		}
		return boolValue(false) // a property is text
	case opNot:
		if v.kind == null {
			return v
		}
		return boolValue(v.i == 0)
	case opIn:
		if v.kind == null {
			return v
		}
		return boolValue(n.has(v.s) != n.not)
	}
	if v.kind != text {
		return boolValue(false) // with NOT, too
	}
	hit := false
	switch n.op {
	case opContains:
		hit = strings.Contains(v.s, n.value.s)
	case opStartsWith:
		hit = strings.HasPrefix(v.s, n.value.s)
	case opEndsWith:
		hit = strings.HasSuffix(v.s, n.value.s)
	}
	return boolValue(hit != n.not)
}

func (n *node) has(s string) bool {
	if n.set != nil {
		_, ok := n.set[s]
		return ok
	}
	return slices.Contains(n.texts, s)
}

// evalLogic is AND or OR of the list, up to the part that settles it.
func (n *node) evalLogic(properties []string) (value, error) {
	settles := int64(0)
	if n.op == opOr {
		settles = 1
	}
	unknown := false
	for _, part := range n.list {
		v, err := part.eval(properties)
		if err != nil {
			return v, err
		}
		if v.kind == null {
			unknown = true
		} else if v.i == settles {
			return v, nil
		}
	}
	if unknown {
		return value{}, nil
	}
	return boolValue(settles == 0), nil
}

// evalEqual: NULL equals NULL, does not equal a value on its left, and leaves it open on its right.
func (n *node) evalEqual(properties []string) (value, error) {
	l, err := n.left.eval(properties)
	if err != nil {
		return l, err
	}
	r, err := n.right.eval(properties)
	if err != nil {
		return r, err
	}
	if l.kind == null || r.kind == null {
		switch {
		case l.kind == r.kind:
			return boolValue(true), nil
		case l.kind == null:
			return value{}, nil
		}
		return boolValue(false), nil
	}
	c, err := compare(l, r)
	return boolValue(c == 0), err
}

func (n *node) evalOrder(properties []string) (value, error) {
	l, err := n.left.eval(properties)
	if err != nil || l.kind == null {
		return l, err
	}
	r, err := n.right.eval(properties)
	if err != nil || r.kind == null {
		return r, err
	}
	if l.kind == text && r.kind == text {
		x, ok := parseDouble(l.s)
		y, ok2 := parseDouble(r.s)
		if !ok || !ok2 {
			return value{}, ErrOrder
		}
		l, r = value{kind: double, f: x}, value{kind: double, f: y}
	}
	c, err := compare(l, r)
	if err != nil {
		return value{}, err
	}
	switch n.op {
	case opGreater:
		return boolValue(c > 0), nil
	case opGreaterEqual:
		return boolValue(c >= 0), nil
	case opLess:
		return boolValue(c < 0), nil
	}
	return boolValue(c <= 0), nil
}
