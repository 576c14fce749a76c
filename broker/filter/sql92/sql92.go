// Package sql92 compiles and evaluates the filter expressions of SQL92 subscriptions, to the same verdicts as
// Java's (module filter, SelectorParser.jj of 5.5.0), odd cases included:
//
//	or         := and { OR and }
//	and        := equality { AND equality }
//	equality   := comparison { ("=" | "<>") comparison | IS [NOT] NULL }
//	comparison := unary { (">" | ">=" | "<" | "<=") unary | [NOT] BETWEEN unary AND unary | [NOT] IN "(" string { "," string } ")"
//	              | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) string }
//	unary      := ("+" | "-" | NOT) unary | string | integer | float | TRUE | FALSE | NULL | property | "(" or ")"
//
// What stands behind a whole expression is not read beyond its first token: "a = 0L" means "a = 0", for an
// integer has no leading zero and L is the next token.
//
// A property is text or missing. It takes the type of what it is compared with, and when it cannot the
// evaluation fails, which a broker takes for "no match". Logic is three-valued.
//
// An Expression is safe for concurrent use. Evaluation allocates nothing for expressions with at most 16
// different properties.
package sql92

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of an expression. Java has none but the stack of its thread and the size of a frame.
const (
	// MaxLength is how many bytes an expression may have.
	MaxLength = 256 << 10
	// MaxDepth is how deep it may be nested. An evaluation takes one call for each level.
	MaxDepth = 1000
)

// Result is the outcome of an evaluation.
type Result uint8

// The results. A message passes a filter when the result is True.
const (
	Unknown Result = iota // SQL's NULL
	False
	True
)

// Errors of Evaluate.
var (
	ErrNumber  = errors.New("a property that is compared with a number is none")
	ErrOrder   = errors.New("only numbers are ordered, and one of the two texts is none")
	ErrBoolean = errors.New("TRUE and FALSE must stand on the right of a comparison with a property")
)

// Error says why an expression does not compile.
type Error struct {
	class string // of Java's exception
	text  string
}

// Error returns what Java's MQFilterException.getMessage gives, which clients see as a remark.
func (e *Error) Error() string { return e.class + ": " + e.text }

// The classes of Java's exceptions.
const (
	runtimeException = "java.lang.RuntimeException"
	numberFormat     = "java.lang.NumberFormatException"
	classCast        = "java.lang.ClassCastException"
	parseException   = "org.apache.rocketmq.filter.parser.ParseException"
	tokenError       = "org.apache.rocketmq.filter.parser.TokenMgrError"
)

// maxText bounds an error's text, which quotes the expression.
const maxText = 16 << 10

func failf(class, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return &Error{class, text}
}

// Expression is a compiled expression.
type Expression struct {
	root  *node
	names []string // the properties it looks at
	nodes int
}

// costly is how many nodes make an expression costly: its evaluation takes some 10 us, with long texts a ms.
const costly = 200

// Costly reports whether an evaluation may take long.
func (e *Expression) Costly() bool { return e.nodes > costly }

// Compile parses text. An error is *Error. Nothing of text is kept alive beyond what the expression holds of it.
// Java: SqlFilter.compile.
func Compile(text string) (*Expression, error) {
	if len(text) > MaxLength {
		return nil, failf(runtimeException, "the expression has %d bytes, %d is the limit", len(text), MaxLength)
	}
	p := parser{lexer: lexer{src: text}}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if root, err = p.boolean(root); err != nil {
		return nil, err
	}
	return &Expression{root, p.names, p.nodes}, nil
}
