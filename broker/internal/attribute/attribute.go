// Package attribute holds the rules by which attributes of topics and subscription groups change: a
// change names a key as +key=value or -key, and every key has a rule for its values.
// Java: AttributeUtil, AttributeParser and the Attribute classes of rocketmq-common.
package attribute

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Rule says whether a key may change once the topic or group exists, and which values it takes.
type Rule struct {
	Changeable bool
	// Verify returns Java's text as an error for a value that is refused.
	Verify func(value string) error
}

// Rules are the known keys.
type Rules map[string]Rule

// Enum allows the given values; their order is that of Java's message.
func Enum(changeable bool, values ...string) Rule {
	return Rule{changeable, func(v string) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("value is not in set: [%s]", strings.Join(values, ", "))
		}
		return nil
	}}
}

// Range allows whole numbers from low to high, both included.
func Range(changeable bool, low, high int64) Rule {
	return Rule{changeable, func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return fmt.Errorf("For input string: %q", v) //nolint:staticcheck // Java's words
		}
		if n < low || n > high {
			return fmt.Errorf("value is not in range(%d, %d)", low, high)
		}
		return nil
	}}
}

// Boolean allows true and false in any case.
func Boolean(changeable bool) Rule {
	return Rule{changeable, func(v string) error {
		if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			return errors.New("boolean attribute format is wrong.") //nolint:staticcheck // Java's words
		}
		return nil
	}}
}

// Text allows every value.
func Text(changeable bool) Rule {
	return Rule{changeable, func(string) error { return nil }}
}

// Parse reads the text form of a change, "+k1=v1,-k2", into a map with signed keys; empty text is no
// change. Errors carry Java's text.
func Parse(text string) (map[string]string, error) {
	change := map[string]string{}
	if text == "" {
		return change, nil
	}
	parts := strings.Split(text, ",")
	for len(parts) > 1 && parts[len(parts)-1] == "" { // as Java's split drops empty parts at the end
		parts = parts[:len(parts)-1]
	}
	for _, part := range parts {
		key, value, assigns := strings.Cut(part, "=")
		switch {
		case assigns && !strings.Contains(key, "+"):
			return nil, fmt.Errorf("add/alter attribute format is wrong: %s", key)
		case assigns:
			// Java takes what stands between the first two signs and fails on nothing.
			if value, _, _ = strings.Cut(value, "="); value == "" {
				return nil, errors.New("Index 1 out of bounds for length 1") //nolint:staticcheck // Java's words
			}
		case !strings.Contains(key, "-"):
			return nil, fmt.Errorf("delete attribute format is wrong: %s", key)
		}
		if _, twice := change[key]; twice {
			return nil, fmt.Errorf("key duplication: %s", key)
		}
		change[key] = value
	}
	return change, nil
}

// Alter returns current as change, a map with signed keys, leaves it; neither map is changed. create
// means that the topic or group is new, so that only additions make sense. Errors carry Java's text;
// keys are looked at in order, so that the same change always gives the same error.
func Alter(create bool, rules Rules, current, change map[string]string) (map[string]string, error) {
	seen := map[string]bool{}
	signed := slices.Sorted(maps.Keys(change))
	for _, sk := range signed {
		if err := checkKey(create, current, sk, seen); err != nil {
			return nil, err
		}
	}
	final := maps.Clone(current)
	if final == nil {
		final = map[string]string{}
	}
	for _, sk := range signed {
		key, value := sk[1:], change[sk]
		rule, known := rules[key]
		if !known {
			return nil, fmt.Errorf("unsupported key: %s", key)
		}
		if !create && !rule.Changeable {
			return nil, fmt.Errorf("attempt to update an unchangeable attribute. key: %s", key)
		}
		if sk[0] == '-' {
			delete(final, key)
			continue
		}
		if err := rule.Verify(value); err != nil {
			return nil, err
		}
		final[key] = value
	}
	return final, nil
}

// checkKey checks the form of one signed key before any value is looked at.
func checkKey(create bool, current map[string]string, signed string, seen map[string]bool) error {
	if len(signed) < 2 || strings.ContainsAny(signed[1:], "+-") {
		return errors.New("kv string format wrong.") //nolint:staticcheck // Java's words
	}
	sign, key := signed[0], signed[1:]
	if seen[key] {
		return fmt.Errorf("alter duplication key. key: %s", key)
	}
	seen[key] = true
	_, exists := current[key]
	switch {
	case create && sign != '+':
		return fmt.Errorf("only add attribute is supported while creating topic. key: %s", key)
	case sign == '-' && !exists:
		return fmt.Errorf("attempt to delete a nonexistent key: %s", key)
	case sign != '+' && sign != '-':
		return fmt.Errorf("wrong format key: %s", key)
	}
	return nil
}
