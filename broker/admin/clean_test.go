package admin

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// brokenCleaner cannot clean.
type brokenCleaner struct{ Cleaner }

func (brokenCleaner) CleanQueues() error { return errors.New("disk on fire") }

func TestCleaningAnswersAsJava(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	for _, code := range []int32{protocol.DeleteExpiredCommitLog, protocol.CleanExpiredConsumeQueue, protocol.CleanUnusedTopic} {
		resp := c.call("tool", request(code, ""))
		require.Equal(t, protocol.Success, resp.Code)
		require.Empty(t, resp.Remark)
		require.Empty(t, resp.Body)
	}
	b = startBroker(t, func(o *Options) { o.Cleaner = brokenCleaner{o.Cleaner} })
	resp := newClients(t, b.addr).call("tool", request(protocol.CleanExpiredConsumeQueue, ""))
	require.Equal(t, protocol.SystemError, resp.Code)
	require.Equal(t, "disk on fire", resp.Remark)
}

// TestOnlyQueuesOfUnknownTopicsGo: those that are configured stay, and the broker's own.
func TestOnlyQueuesOfUnknownTopicsGo(t *testing.T) {
	b := startBroker(t, nil)
	c := newClients(t, b.addr)
	require.Zero(t, c.exchange(newTopic("", "T1")).Code)
	for _, name := range []string{"T1", "Unknown", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x"} {
		b.store.Queue(name, 0)
	}
	require.Zero(t, c.call("tool", request(protocol.CleanUnusedTopic, "")).Code)
	require.ElementsMatch(t, []string{"T1", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x"}, b.store.Topics())
}
