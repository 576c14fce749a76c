package pop

import "github.com/skylarkmq/skylark/remoting/message"

// Filter is what a subscription lets pass; the zero value lets everything pass. It holds for the group's retry
// topics, too, where messages have the tags and properties they were sent with. Java: ExpressionMessageFilter.
type Filter struct {
	// Match judges by the tags' hash; nil: it has no say.
	Match func(tagsCode int64) bool
	// MatchProperties judges by a message's properties; nil: they have no say.
	MatchProperties func(properties string) bool
	// Costly says that MatchProperties may take too long for whoever makes a message visible.
	Costly bool
}

// record returns what the store asks for each record, nil for all.
func (f *Filter) record() func([]byte) bool {
	if f.MatchProperties == nil {
		return nil
	}
	return func(record []byte) bool {
		r, err := message.Parse(record, false)
		return err == nil && f.MatchProperties(r.Properties)
	}
}

// wants returns what says of a message that has just become visible whether it wakes a request, nil for all.
func (f *Filter) wants() func(tagsCode int64, record []byte) bool {
	if f.Match == nil && (f.MatchProperties == nil || f.Costly) {
		return nil
	}
	return func(tagsCode int64, record []byte) bool {
		if f.Match != nil && !f.Match(tagsCode) {
			return false
		}
		if f.MatchProperties == nil || f.Costly {
			return true
		}
		r, err := message.Parse(record, false)
		return err != nil || f.MatchProperties(r.Properties) // without a record, see store.Options.Listener, the pop reads it
	}
}
