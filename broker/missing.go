package broker

import (
	"errors"
	"os"

	"github.com/skylarkmq/skylark/store/fsys"
)

// warnOfMissing says what a store with messages lacks that was there when they were sent. A broker starts
// without it, as Java's does, and nothing of the messages is lost; but somebody should know.
func (b *Broker) warnOfMissing() {
	if b.store.Stats().MaxPhysical == 0 {
		return // a first start
	}
	offsets := "consumerOffset.json"
	if b.o.Store.EnableLmq && thereOrBackup(b.o.config(lmqOffsets)) {
		offsets = lmqOffsets
	}
	for name, means := range map[string]string{
		"topics.json":            "topics are made anew when somebody sends to them, or by hand",
		"subscriptionGroup.json": "groups are made anew with default settings",
		offsets:                  "consumers begin where their own rules for a new group say",
	} {
		if !thereOrBackup(b.o.config(name)) {
			b.o.Logger.Warn().Str("file", b.o.config(name)).Msg("a configuration file is missing while the store holds messages: " + means)
		}
	}
}

// lmqOffsets is the file of consumer offsets with enableLmq. Java: BrokerPathConfigHelper.
const lmqOffsets = "lmqConsumerOffset.json"

// mostNamed bounds the topics that one line of the log names.
const mostNamed = 20

// warnOfUnknownTopics names the topics whose messages nobody can pull because they are not configured. Their
// queues stay and their offsets go on when they are made again.
func (b *Broker) warnOfUnknownTopics() {
	var names []string
	n := 0
	for _, name := range b.store.Topics() {
		if b.topics.Get(name) == nil && !b.topics.IsSystem(name) {
			if n++; n <= mostNamed {
				names = append(names, name)
			}
		}
	}
	if n > 0 {
		b.o.Logger.Warn().Int("count", n).Strs("topics", names).
			Msg("topics have messages but no configuration; made again, they go on where they were; cleanUnusedTopic would remove their messages from the queues")
	}
}

// thereOrBackup reports whether a configuration file or its backup exists, or may.
func thereOrBackup(path string) bool {
	for _, p := range []string{path, path + fsys.BackupSuffix} {
		if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}
