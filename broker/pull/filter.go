package pull

import (
	"strings"

	"github.com/skylarkmq/skylark/broker/filter"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Filter selects messages by their tags' hash, whose collisions are sorted out by the consumer, or by an expression.
type Filter struct {
	All            bool
	Codes          []int32
	SubVersion     int64
	ExpressionType string

	// properties judges by a message's properties; nil: it has no say. Then All is set.
	properties func(properties string) bool
	// costly says that properties may take too long for whoever makes a message visible.
	costly bool
}

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

// matchRecord returns what the store asks for each record, nil for all.
func (f *Filter) matchRecord() func([]byte) bool {
	if f.properties == nil {
		return nil
	}
	return func(record []byte) bool {
		r, err := message.Parse(record, false)
		return err == nil && f.properties(r.Properties)
	}
}

// arrival is a message that has just become visible.
type arrival struct {
	tagsCode   int64
	record     []byte
	properties string
	parsed     bool
}

// wants reports whether a held pull is to be woken by a message.
func (f *Filter) wants(a *arrival) bool {
	if !f.Match(a.tagsCode) || f.properties == nil || f.costly {
		return f.Match(a.tagsCode)
	}
	if !a.parsed {
		r, err := message.Parse(a.record, false)
		if err != nil {
			return true // there is no record, see store.Options.Listener; the pull reads it
		}
		a.parsed, a.properties = true, r.Properties
	}
	return f.properties(a.properties)
}

// byExpression returns the filter of an expression on a topic. On a group's retry topic, with filterSupportRetry,
// each message is judged by the group's filter on the topic it was first sent to, and passes when there is none.
// Java: ExpressionMessageFilter and ExpressionForRetryMessageFilter.
func (p *Puller) byExpression(topic string, d *filter.Data) *Filter {
	f := &Filter{All: true, ExpressionType: d.Type, properties: d.Match, costly: d.Costly()}
	if group, retry := strings.CutPrefix(topic, retryPrefix); retry && p.live.Load().FilterSupportRetry {
		f.costly = true // that of the other filters is not known yet
		f.properties = func(properties string) bool {
			first := p.o.Filters.Get(message.GetProperty(properties, message.PropertyRetryTopic), group)
			return first == nil || first.Match(properties)
		}
	}
	return f
}

// retryPrefix begins the name of a group's retry topic. Java: MixAll.RETRY_GROUP_TOPIC_PREFIX.
const retryPrefix = "%RETRY%"

// NewFilter returns the filter of a heartbeat's subscription to tags. An expression that cannot be parsed lets
// nothing pass; Java's clients refuse it before they send it. Those of other types are found in Options.Filters.
func NewFilter(d *body.SubscriptionData) *Filter {
	f := Filter{SubVersion: int64(d.SubVersion), ExpressionType: d.ExpressionType}
	if filter.IsTag(d.ExpressionType) {
		if parsed, ok := ParseTags(d.SubString); ok {
			f.All, f.Codes = parsed.All, parsed.Codes
		}
	}
	return &f
}
