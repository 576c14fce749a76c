package sql92

import (
	"cmp"
	"math"
	"strings"
)

// valueKind is the type of a value, one of those that Java's expressions meet.
type valueKind uint8

const (
	null    valueKind = iota
	boolean           // Boolean, in i
	integer           // Integer, in i
	long              // Long, in i
	double            // Double, in f
	text              // String, in s
)

type value struct {
	kind valueKind
	i    int64
	f    float64
	s    string
}

func textValue(s string) value { return value{kind: text, s: s} }

func boolValue(b bool) value {
	if b {
		return value{kind: boolean, i: 1}
	}
	return value{kind: boolean}
}

func (v value) numeric() bool { return v.kind == integer || v.kind == long || v.kind == double }

func (v value) double() float64 {
	if v.kind == double {
		return v.f
	}
	return float64(v.i)
}

// compare orders l and r, neither of which is NULL: a text takes the type of the other side. Values of types that
// do not fit each other count as l < r. Java: ComparisonExpression.__compare.
func compare(l, r value) (int, error) {
	if l.kind == text && r.kind == boolean {
		return cmp.Compare(boolValue(strings.EqualFold(l.s, "true")).i, r.i), nil
	}
	if l.kind == boolean && r.kind == text {
		return 0, ErrBoolean // Java converts the wrong side
	}
	ok := true
	if l.kind == text && r.kind != text {
		l, ok = convert(l.s, r.kind)
	} else if r.kind == text && l.kind != text {
		r, ok = convert(r.s, l.kind)
	}
	switch {
	case !ok:
		return 0, ErrNumber
	case l.kind == text:
		return strings.Compare(l.s, r.s), nil
	case (l.kind == boolean) != (r.kind == boolean):
		return -1, nil
	case l.kind == double || r.kind == double:
		return compareDoubles(l.double(), r.double()), nil
	}
	return cmp.Compare(l.i, r.i), nil
}

// convert makes a number of a text.
func convert(s string, k valueKind) (v value, ok bool) {
	v.kind = k
	switch k {
	case integer:
		v.i, ok = parseInteger(s, math.MinInt32, math.MaxInt32)
	case long:
		v.i, ok = parseInteger(s, math.MinInt64, math.MaxInt64)
	case double:
		v.f, ok = parseDouble(s)
	}
	return v, ok
}

// compareDoubles orders as Double.compareTo: -0 below 0, NaN above all and equal to itself.
func compareDoubles(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return cmp.Compare(signOf(a), signOf(b))
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	}
	return -1
}

func signOf(f float64) int {
	if math.Signbit(f) {
		return -1
	}
	return 1
}
