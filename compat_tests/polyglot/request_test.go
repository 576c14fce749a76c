package polyglot

import (
	"fmt"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestRequestsOfTheGoClientAreAnswered; Java's are in client.TestClientsAreReachedThroughTheBroker, C++ has none.
func TestRequestsOfTheGoClientAreAnswered(t *testing.T) {
	s := newStage(t, golang())
	events := s.start(t, "request", s.c.Arg(), "topic="+s.topic, "group="+s.group, "count=8").Wait(t, limit)
	require.Empty(t, cluster.Of(events, "replyError"))
	answers := cluster.Of(events, "answer")
	require.Len(t, answers, 8)
	for i, a := range answers {
		require.Equal(t, fmt.Sprintf("re:q-%d", i), a.Body())
		require.NotEmpty(t, a.Props()["CORRELATION_ID"])
		require.NotEmpty(t, a.Props()["PUSH_REPLY_TIME"])
	}
}
