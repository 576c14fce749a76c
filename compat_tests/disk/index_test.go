package disk

import (
	"strings"
)

// skylarkHasIndex tells that Skylark writes Java's IndexFile and answers QUERY_MESSAGE. Set it when that
// is built: from then on Skylark must find by key what any server wrote, and Java what Skylark wrote.
const skylarkHasIndex = true

// indexed tells whether a server writes and reads the key index.
func (h hop) indexed() bool { return h.server != skylark || skylarkHasIndex }

// carryIndex takes what can be found by key over to the server that starts now. After a clean stop, and
// by Skylark always, that is all. After a crash Java deletes the index files that it had not filled and
// puts back what its recovery of the CommitLog reads again: with 5.x and its slow checkpoint that is at
// least its own last run, as ours are shorter than a minute; after Skylark, whose checkpoint is young, and
// after 4.x it may be nothing.
func (w *world) carryIndex() {
	before := w.now - 1
	if !w.ledger.killed[before] {
		return
	}
	for _, m := range w.ledger.order {
		switch {
		case w.hop().server != skylark:
			m.findable = m.findable && m.run == before && w.hops[before].server == java5
		case !skylarkHasIndex && m.run == before && m.topic == loadTopic:
			m.findable = false // acknowledged, but perhaps not yet dispatched to the index when the kill came
		}
	}
}

// verifyIndex looks messages up by unique key and by each of their keys, every stride-th of them.
func (w *world) verifyIndex(stride int) {
	w.t.Helper()
	if !w.hop().indexed() {
		return
	}
	asked, lucky, lost := 0, 0, 0
	for i := 0; i < len(w.ledger.order); i += stride {
		m := w.ledger.order[i]
		if m.held() {
			continue
		}
		if !m.findable {
			if w.finds(m, m.id, true) {
				lucky++
			} else {
				lost++
			}
			continue
		}
		asked++
		if !w.finds(m, m.id, true) {
			w.t.Errorf("%s does not find %s of hop %d by its unique key", w.server, m.id, m.run+1)
		}
		for _, key := range strings.Fields(m.props["KEYS"]) {
			if strings.HasPrefix(key, "common-") {
				continue // more messages than one answer holds
			}
			if !w.finds(m, key, false) {
				w.t.Errorf("%s does not find %s of hop %d by key %s", w.server, m.id, m.run+1, key)
			}
		}
	}
	w.t.Logf("index: %d messages found by all keys; of those that may be missing %d found, %d not", asked, lucky, lost)
}

// finds tells whether a query returns the message, and checks what it returns.
func (w *world) finds(m *message, key string, unique bool) bool {
	w.t.Helper()
	found := false
	for _, r := range w.wire.query(m.topic, key, unique) {
		if r.physical == m.physical {
			found = true
		}
		if p := (place{r.topic, r.queue, r.offset}); w.ledger.places[p] != nil {
			w.ledger.check(p, r)
		}
	}
	return found
}
