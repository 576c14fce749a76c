package admin

import (
	"errors"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Cleaner is the message store as far as it removes what is of no use any more.
type Cleaner interface {
	// DeleteExpired has commit log files that are past their age removed soon, whatever the hour.
	DeleteExpired()
	// CleanQueues removes consume queue files whose messages are gone, and waits for it.
	CleanQueues() error
	// Topics returns the topics that have queues.
	Topics() []string
}

// deleteExpiredCommitLog removes expired files at any hour. Java: AdminBrokerProcessor.deleteExpiredCommitLog.
func (h *Handlers) deleteExpiredCommitLog(r *mux.Request) (*protocol.Command, error) {
	h.o.Logger.Info().Stringer("remote", r.Conn.Remote()).Msg("removal of expired commit log files was asked for")
	h.o.Cleaner.DeleteExpired()
	return success(), nil
}

// cleanExpiredConsumeQueue removes files of consume queues whose messages are gone. Java removes queues
// without any message as a whole, and their offsets begin at 0 again, in front of what consumers have
// committed; here a queue keeps its last file, and with it its offsets.
// Java: AdminBrokerProcessor.cleanExpiredConsumeQueue.
func (h *Handlers) cleanExpiredConsumeQueue(r *mux.Request) (*protocol.Command, error) {
	h.o.Logger.Info().Stringer("remote", r.Conn.Remote()).Msg("cleaning of consume queues was asked for")
	if err := h.o.Cleaner.CleanQueues(); err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	return success(), nil
}

// cleanUnusedTopic removes the queues of topics that are not configured any more.
// Java: AdminBrokerProcessor.cleanUnusedTopic, DefaultMessageStore.cleanUnusedTopic.
func (h *Handlers) cleanUnusedTopic(r *mux.Request) (*protocol.Command, error) {
	var problems []error
	var names []string
	for _, name := range h.o.Cleaner.Topics() {
		if h.o.Topics.Get(name) == nil && !h.o.Topics.IsSystem(name) && !message.IsLMQ(name) {
			names = append(names, name)
			problems = append(problems, h.o.Store.DeleteTopic(name))
		}
	}
	h.o.Logger.Info().Strs("topics", names).Stringer("remote", r.Conn.Remote()).Msg("queues of unknown topics removed by request")
	if err := errors.Join(problems...); err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	return success(), nil
}
