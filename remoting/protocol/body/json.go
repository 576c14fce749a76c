// Package body holds the JSON bodies of commands and of the broker's configuration files, under Java's
// field names, and the dialect of JSON that Java's fastjson writes and reads.
//
// Everything is read through Unmarshal and written through Marshal: they share one frozen configuration.
// What is written is compact, with sorted map keys and without nulls, as Java writes it.
package body

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bytedance/sonic"
)

// api is the one configuration. Two of its options carry the dialect: what MarshalJSON returns is not
// validated, so bare object keys pass, and nil maps and slices are written as {} and [], which Java's
// callers rely on. A test fails should sonic fall back to encoding/json, where they have no effect.
var api = sonic.Config{
	SortMapKeys:             true,
	NoNullSliceOrMap:        true,
	NoValidateJSONMarshaler: true,
	CopyString:              true, // nothing aliases a frame
}.Froze()

// MaxLength is the largest text Unmarshal takes: what a frame can hold, and several times the largest
// configuration file.
const MaxLength = 256 << 20

// Marshal returns v as compact JSON.
func Marshal(v any) ([]byte, error) {
	b, err := api.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %T: %w", v, err)
	}
	return b, nil
}

// Unmarshal reads JSON in Java's dialect (integer and object keys, bare or quoted) into v. Unknown fields
// are ignored.
func Unmarshal(b []byte, v any) error {
	if len(b) > MaxLength {
		return fmt.Errorf("cannot decode %T: %d bytes", v, len(b))
	}
	std, err := standard(b)
	if err == nil {
		err = parse(std, v)
	}
	if err != nil {
		return fmt.Errorf("cannot decode %T: %s", v, short(err))
	}
	return nil
}

// parse reads standard JSON. sonic is not asked whether it is any: it lets some malformed text pass, and the
// text of its error panics at some.
func parse(b []byte, v any) error {
	if !json.Valid(b) {
		return errDialect
	}
	return api.Unmarshal(b, v)
}

// short cuts the error text of sonic, which quotes the input, to one line.
func short(err error) error {
	s := err.Error()
	for i, c := range s {
		if c == '\n' || i > 200 {
			return errors.New(s[:i])
		}
	}
	return err
}

// MarshalPretty returns v as Java writes its configuration files: a tab for each level, no blank behind
// colons.
func MarshalPretty(v any) ([]byte, error) {
	b, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	return pretty(b), nil
}

func pretty(b []byte) []byte {
	out := make([]byte, 0, len(b)*3/2)
	depth := 0
	line := func() {
		out = append(out, '\n')
		for range depth {
			out = append(out, '\t')
		}
	}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			end := skipString(b, i)
			out = append(out, b[i:end]...)
			i = end - 1
		case '{', '[':
			out = append(out, c)
			if i+1 < len(b) && b[i+1] == c+2 { // } and ] are two behind { and [
				out = append(out, b[i+1])
				i++
				continue
			}
			if end := numbers(b, i); end > i {
				out = append(out, b[i+1:end]...)
				i = end - 1
				continue
			}
			depth++
			line()
		case '}', ']':
			depth--
			line()
			out = append(out, c)
		case ',':
			out = append(out, c)
			line()
		default:
			out = append(out, c)
		}
	}
	return out
}

// numbers returns the index behind the array of numbers that begins at b[i], which Java writes on one line,
// or i when there is none.
func numbers(b []byte, i int) int {
	for j := i + 1; b[i] == '[' && j < len(b); j++ {
		switch c := b[j]; {
		case c == ']':
			return j + 1
		case c != ',' && c != '-' && (c < '0' || c > '9'):
			return i
		}
	}
	return i
}

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
