package pull

import (
	"strings"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Filter selects messages by their tags' hash. Collisions are sorted out by the consumer.
type Filter struct {
	All            bool
	Codes          []int32
	SubVersion     int64
	ExpressionType string
}

// isTag tells a tag expression from others. Java: ExpressionType.isTagType.
func isTag(expressionType string) bool { return expressionType == "" || expressionType == "TAG" }

// every takes all messages; most subscriptions do.
var every = &Filter{All: true}

// ParseTags parses a tag expression, "a || b", "*" or empty. It fails on one that has separators only.
// Java: FilterAPI.buildSubscriptionData.
func ParseTags(expression string) (*Filter, bool) {
	if expression == "" || expression == "*" {
		return every, true
	}
	f := &Filter{}
	for tag := range strings.SplitSeq(expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" {
			f.Codes = append(f.Codes, message.HashCode(tag))
		}
	}
	return f, len(f.Codes) > 0
}

// Match reports whether a unit with tagsCode passes.
func (f *Filter) Match(tagsCode int64) bool {
	if f.All {
		return true
	}
	for _, c := range f.Codes {
		if c == int32(tagsCode) {
			return true
		}
	}
	return false
}

// matcher returns what the store asks for each unit, nil for all.
func (f *Filter) matcher() func(int64) bool {
	if f.All {
		return nil
	}
	return f.Match
}

// NewFilter returns the filter of a heartbeat's subscription. An expression that cannot be parsed lets
// nothing pass; Java's clients refuse it before they send it.
func NewFilter(d *body.SubscriptionData) *Filter {
	f := Filter{SubVersion: int64(d.SubVersion), ExpressionType: d.ExpressionType}
	if isTag(d.ExpressionType) {
		if parsed, ok := ParseTags(d.SubString); ok {
			f.All, f.Codes = parsed.All, parsed.Codes
		}
	}
	return &f
}
