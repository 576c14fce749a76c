package transaction_test

import (
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/stretchr/testify/require"
)

// TestEnds: commits are delivered, rollbacks never, what is unknown is asked for and then delivered.
func TestEnds(t *testing.T) {
	for _, by := range clients {
		t.Run(by.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, shared(t))
			run := s.producer(by, "prefix=m", "count=9", "end=commit,rollback,unknown", "answer=commit")
			sent := s.sent(run, 9)
			s.delivered(bodies("m", 0, 2, 3, 5, 6, 8)...)
			run.Stop(t, limit)
			asked := cluster.Of(run.Events(), "check")
			require.ElementsMatch(t, bodies("m", 2, 5, 8), cluster.Bodies(asked), "asked for once each")
			for _, e := range asked {
				require.Equal(t, s.topic, e.Topic())
				require.Equal(t, "1", e.Props()["TRANSACTION_CHECK_TIMES"])
			}
			for _, m := range s.seen {
				was := sent[m.Body()]
				require.Equal(t, was.MsgID(), m.MsgID())
				require.Equal(t, was.QueueID(), m.QueueID())
				p := m.Props()
				require.Equal(t, []string{"true", s.group, was.MsgID(), was.MsgID(), "tagA"}, []string{p["TRAN_MSG"], p["PGROUP"], p["UNIQ_KEY"], p["__transactionId__"], p["TAGS"]})
				require.NotContains(t, p, "REAL_TOPIC")
			}
			s.end(by)
		})
	}
}

// TestAnotherProducerOfTheGroupIsAsked when the one that sent the messages is dead.
func TestAnotherProducerOfTheGroupIsAsked(t *testing.T) {
	t.Parallel()
	s := newStage(t, shared(t))
	first := s.producer(java(cluster.ClientV5), "prefix=m", "count=3", "end=unknown")
	s.sent(first, 3)
	first.Kill(t)
	// It makes itself known to the broker by a message of its own.
	second := s.producer(clients[2], "prefix=second", "count=1", "answer=commit")
	s.delivered(append(bodies("m", 0, 1, 2), "second-0")...)
	second.Stop(t, limit)
}

// TestAskedTooOften: messages that nobody decides on go to TRANS_CHECK_MAX_TIME_TOPIC.
func TestAskedTooOften(t *testing.T) {
	t.Parallel()
	c := cluster.Standalone(t, append(keys[:len(keys):len(keys)], "transactionCheckMax=2")...)
	s := newStage(t, c)
	run := s.producer(java(cluster.ClientV4), "prefix=undecided", "count=2", "end=unknown")
	run.Collect(t, limit, "check", 4)
	var moved []message.Record
	require.Eventually(t, func() bool {
		moved = nil
		for _, r := range queue(t, c.Broker, "TRANS_CHECK_MAX_TIME_TOPIC", 0) {
			if message.GetProperty(r.Properties, "PGROUP") == s.group {
				moved = append(moved, r)
			}
		}
		return len(moved) == 2
	}, limit, 200*time.Millisecond)
	for _, r := range moved {
		require.Contains(t, string(r.Body), "undecided-")
		require.Equal(t, s.topic, message.GetProperty(r.Properties, "REAL_TOPIC"))
		require.Equal(t, "2", message.GetProperty(r.Properties, "TRANSACTION_CHECK_TIMES"))
	}
	require.Len(t, cluster.Of(run.Stop(t, limit), "check"), 4)
}

// patient keys leave a broker that starts anew the time to be the first to ask.
var patient = append(keys[:len(keys):len(keys)], "transactionTimeOut=4000")

// TestBrokerDiesBetweenHalfMessageAndEnd by kill -9, with undecided and with ended transactions in its memory.
func TestBrokerDiesBetweenHalfMessageAndEnd(t *testing.T) {
	t.Parallel()
	conf := append(patient[:len(patient):len(patient)], "transactionOpBatchInterval=600000")
	if cluster.PeerIsJava() { // which delivers twice what it has no op of
		conf = patient
	}
	c := cluster.Standalone(t, conf...)
	s := newDeafStage(t, c)
	run := s.producer(java(cluster.ClientV5), "prefix=m", "count=6", "end=commit,unknown,rollback", "answer=commit")
	sent := s.sent(run, 6)
	s.ended(sent["m-2"], sent["m-5"])
	more := s.producer(java(cluster.ClientV5), "prefix=more", "count=2")
	sent = s.sent(more, 2)
	if cluster.PeerIsJava() {
		s.ended(sent["more-0"], sent["more-1"])
	}
	finals := func() int { return len(queue(t, c.Broker, s.topic, 0)) + len(queue(t, c.Broker, s.topic, 1)) }
	require.Eventually(t, func() bool { return finals() >= 4 }, limit, 10*time.Millisecond)
	more.Kill(t)
	c.Broker.Kill(t)
	c.Broker.Restart(t)
	s.consume()
	s.delivered(append(bodies("m", 0, 1, 3, 4), bodies("more", 0, 1)...)...)
	s.end(java(cluster.ClientV5))
	require.ElementsMatch(t, bodies("m", 1, 4), cluster.Bodies(cluster.Of(run.Stop(t, limit), "check")))
}

// TestFolderGoesFromJavaToUsAndBack with open transactions, half messages, ops and offsets in it.
func TestFolderGoesFromJavaToUsAndBack(t *testing.T) {
	t.Parallel()
	cluster.SkipIfOff(t)
	ns := cluster.StartNamesrv(t, cluster.Options{})
	o := cluster.Options{Namesrv: []string{ns.Addr()}, Dir: t.TempDir(), Port: cluster.FreePort(t), ExtraConf: patient}
	c := &cluster.Cluster{Namesrv: ns, Broker: cluster.StartJavaBroker(t, o)}
	s := newDeafStage(t, c)
	by := java(cluster.ClientV5)
	witness := s.producer(by, "prefix=witness", "count=1", "answer=commit") // whom all brokers ask
	s.sent(witness, 1)
	half := func(prefix string) {
		run := s.producer(by, "prefix="+prefix, "count=6", "end=commit,rollback,unknown")
		sent := s.sent(run, 6)
		run.Kill(t)
		s.ended(sent[prefix+"-0"], sent[prefix+"-1"], sent[prefix+"-3"], sent[prefix+"-4"])
	}
	half("java")
	c.Broker.Kill(t)
	c.Broker = cluster.StartBroker(t, o)
	witness.Collect(t, limit, "check", 2)
	half("our")
	c.Broker.Stop(t)
	c.Broker = cluster.StartJavaBroker(t, o)
	witness.Collect(t, limit, "check", 2)
	s.consume()
	s.delivered(append(append(bodies("java", 0, 2, 3, 5), bodies("our", 0, 2, 3, 5)...), "witness-0")...)
	witness.Stop(t, limit)
	require.ElementsMatch(t, append(bodies("java", 2, 5), bodies("our", 2, 5)...), cluster.Bodies(cluster.Of(witness.Events(), "check")))
}
