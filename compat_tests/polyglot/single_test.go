package polyglot

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

func TestSendAcknowledgementNamesThePlaceOfTheMessage(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			acks := byBody(t, s.send(t, 12, "tags=red,blue", "keys=1", "prop.city=Zürich", "prefix=m"))
			msgs := byBody(t, s.consume(t, 12))
			require.Len(t, msgs, 12)
			for body, m := range msgs {
				ack := acks[body]
				i, err := strconv.Atoi(strings.TrimPrefix(body, "m-"))
				require.NoError(t, err)
				require.Equal(t, []string{"red", "blue"}[i%2], m.Tag())
				require.Equal(t, fmt.Sprintf("m-k%d", i), m.Keys())
				require.Equal(t, "Zürich", m.Props()["city"])
				require.Equal(t, s.topic, m.Topic())
				require.Equal(t, 0, m.Reconsume())
				require.Equal(t, ack.MsgID(), m.MsgID())
				require.Equal(t, ack.QueueOffset(), m.QueueOffset())
				if ack.QueueID() >= 0 { // the C++ binding does not say
					require.Equal(t, ack.QueueID(), m.QueueID())
					require.Equal(t, ack.OffsetMsgID(), m.OffsetMsgID())
				}
				require.InDelta(t, time.Now().UnixMilli(), m.Int("storeTimestamp"), 120_000)
			}
		})
	}
}

func TestAsyncSendsAreAllAcknowledged(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			acks := s.send(t, 40, "mode=async", "prefix=a")
			require.Equal(t, names("a", 40), sortedBodies(acks))
			require.Equal(t, names("a", 40), sortedBodies(s.consume(t, 40)))
		})
	}
}

func TestOnewaySendsArrive(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			args := []string{s.c.Arg(), "topic=" + s.topic, "group=P_" + s.topic, "mode=oneway", "count=20", "prefix=o"}
			if l.name == "go" {
				// client-go asks for answers to its one-way sends and reads none at its end: closing the socket then
				// resets it, and what its own kernel has not sent is lost. So it stays until all has arrived.
				args = append(args, "hold=1")
			}
			run := s.start(t, "produce", args...)
			run.Await(t, limit, "done")
			require.Equal(t, names("o", 20), sortedBodies(s.consume(t, 20)))
			require.Len(t, cluster.Of(run.Stop(t, limit), "sentOneway"), 20)
		})
	}
}

func TestBatchIsStoredMessageByMessage(t *testing.T) {
	// Go only: the C++ client's batch flag is "1", which Java's broker reads as false.
	s := newStage(t, golang())
	acks := byBody(t, s.send(t, 20, "mode=batch", "batch=5", "prefix=b", "tags=x,y", "keys=1", "prop.city=Zürich"))
	msgs := byBody(t, s.consume(t, 20))
	require.Len(t, msgs, 20)
	for body, m := range msgs {
		require.Equal(t, acks[body].QueueID(), m.QueueID())
		require.Equal(t, acks[body].QueueOffset(), m.QueueOffset(), "a batch takes consecutive queue offsets")
		require.Equal(t, acks[body].OffsetMsgID(), m.OffsetMsgID())
		require.Equal(t, strings.Replace(body, "b-", "b-k", 1), m.Keys())
		require.Equal(t, "Zürich", m.Props()["city"])
	}
	tagged := s.consume(t, 10, "tag=y", "group=G2_"+s.topic)
	for _, m := range tagged {
		require.Equal(t, "y", m.Tag())
	}
}

func TestTagFilter(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			s.send(t, 30, "tags=a,b,c", "prefix=t")
			two := s.consumer(t, "tag=a||c", "group=G2_"+s.topic)
			one := s.consumer(t, "tag=b", "group=G1_"+s.topic)
			checkTags(t, two.Collect(t, limit, "msg", 20), "a", "c")
			checkTags(t, one.Collect(t, limit, "msg", 10), "b")
			// A message after the others shows that nothing else was on its way.
			s.send(t, 4, "tags=b", "prefix=last")
			checkTags(t, one.Collect(t, limit, "msg", 4), "b")
			require.Len(t, cluster.Of(one.Stop(t, limit), "msg"), 14)
			require.Len(t, cluster.Of(two.Stop(t, limit), "msg"), 20)
		})
	}
}

func checkTags(t *testing.T, msgs []cluster.Event, tags ...string) {
	t.Helper()
	for _, m := range msgs {
		require.Contains(t, tags, m.Tag())
	}
}

func TestConsumerThatWaitsGetsNewMessagesAtOnce(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			s.send(t, queues, "prefix=first")
			run := s.consumer(t)
			run.Collect(t, limit, "msg", queues) // from now on its pulls are held at the broker
			s.send(t, 2*queues, "prefix=new")
			for _, m := range run.Collect(t, limit, "msg", 2*queues) {
				require.Less(t, m.Int("recvTimestamp")-m.Int("storeTimestamp"), int64(4000), "pull was not woken")
			}
			run.Stop(t, limit)
		})
	}
}

func TestBroadcastReachesEveryConsumer(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			var runs []*cluster.Run
			for i := range 2 {
				runs = append(runs, s.consumer(t, "mode=broadcast", fmt.Sprintf("instance=bc%d", i)))
			}
			for _, r := range runs {
				r.Await(t, limit, "started")
			}
			s.send(t, 12, "prefix=all")
			for _, r := range runs {
				require.Equal(t, names("all", 12), sortedBodies(r.Collect(t, limit, "msg", 12)))
				r.Stop(t, limit)
			}
		})
	}
}

func TestConsumersOfAGroupShareTheQueues(t *testing.T) {
	for _, l := range native() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, l)
			first := s.consumer(t, "instance=one", "timeout=90000")
			first.Await(t, limit, "started")
			feed := s.start(t, "produce", s.c.Arg(), "topic="+s.topic, "group=P", "forever=1", "rate=40", "prefix=s")
			first.Collect(t, limit, "msg", 20)
			second := s.consumer(t, "instance=two", "timeout=90000")
			// The broker tells the first consumer to rebalance (code 40); both then get some queues.
			second.Collect(t, limit, "msg", 20)
			before := len(first.Events())
			first.Collect(t, limit, "msg", before+20)
			sent := cluster.Of(feed.Stop(t, limit), "sent")
			require.Eventually(t, func() bool {
				got := map[string]bool{}
				for _, r := range []*cluster.Run{first, second} {
					for _, m := range cluster.Of(r.Events(), "msg") {
						got[m.Body()] = true
					}
				}
				return len(got) == len(sent)
			}, limit, 50*time.Millisecond, "the group lost messages while it rebalanced")
			first.Stop(t, limit)
			second.Stop(t, limit)
		})
	}
}
