package polyglot

import (
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestTracesAreFound has the Go client write traces and a Java one find them by the message's key. Java's own
// are in client.TestMessageTrace; the C++ binding writes none.
func TestTracesAreFound(t *testing.T) {
	s := newStage(t, golang())
	producer := s.start(t, "produce", s.c.Arg(), "topic="+s.topic, "group=P_"+s.topic, "prefix="+s.topic, "keys=1", "trace=1", "count=3", "hold=1")
	acks := producer.Collect(t, limit, "sent", 3)
	consumer := s.consumer(t, "trace=1")
	consumer.Collect(t, limit, "msg", 3)
	id, key := acks[1].MsgID(), s.topic+"-k1"
	found := map[string]string{}
	for deadline := time.Now().Add(2 * limit); len(found) < 3; {
		require.Less(t, time.Now(), deadline, "traces: %v", found)
		events := cluster.Java(t, cluster.ClientV4, "query", s.c.Arg(), "topic=RMQ_SYS_TRACE_TOPIC", "key="+key).Wait(t, limit)
		for _, m := range cluster.Of(events, "msg") {
			for line := range strings.SplitSeq(m.Body(), "\x02") {
				if kind, _, _ := strings.Cut(line, "\x01"); strings.Contains(line, id) {
					found[kind] = line
				}
			}
		}
	}
	require.Contains(t, found["Pub"], s.topic)
	require.Contains(t, found["SubBefore"], s.group)
	require.Contains(t, found["SubAfter"], id)
	producer.Stop(t, limit)
	consumer.Stop(t, limit)
}

// TestNamespaceOfTheGoClient: its topics and groups have the namespace in front at the broker. C++ has none.
func TestNamespaceOfTheGoClient(t *testing.T) {
	s := newStage(t, golang())
	inside := "INST_go%" + s.topic
	s.c.Broker.CreateTopic(t, inside, queues)
	s.send(t, 2, "prefix=outside")
	s.send(t, 8, "prefix=inside", "namespace=INST_go")
	require.Equal(t, names("inside", 8), sortedBodies(s.consume(t, 8, "namespace=INST_go")))
	whole := s
	whole.topic, whole.group = inside, s.group+"_outside"
	require.Equal(t, names("inside", 8), sortedBodies(whole.consume(t, 8)))
}
