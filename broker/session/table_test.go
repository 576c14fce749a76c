package session

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/internal/conntest"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func consumer(group string, version int64, topics ...string) *body.ConsumerData {
	d := &body.ConsumerData{GroupName: group, ConsumeType: body.ConsumePassively, MessageModel: body.Clustering, ConsumeFromWhere: body.ConsumeFromLastOffset}
	for _, topic := range topics {
		d.SubscriptionDataSet = append(d.SubscriptionDataSet, body.SubscriptionData{Topic: topic, SubString: "*", SubVersion: body.Int(version), ExpressionType: "TAG"})
	}
	return d
}

func client(c *conntest.Conn, id string) Client {
	return Client{Conn: c, ID: id, Language: protocol.LanguageJava, Version: protocol.Version}
}

var v1 = Heartbeat{Notify: true}

// told waits for one NOTIFY_CONSUMER_IDS_CHANGED.
func told(t *testing.T, c *conntest.Conn, group string) {
	t.Helper()
	select {
	case cmd := <-c.Sent:
		require.EqualValues(t, protocol.NotifyConsumerIdsChanged, cmd.Code)
		require.True(t, cmd.IsOneway())
		require.Equal(t, protocol.Ext{{Key: "consumerGroup", Value: group}}, cmd.Ext)
	case <-time.After(10 * time.Second):
		require.Fail(t, "not told")
	}
}

// inBubble runs fn with a table whose goroutines are in a synctest bubble: synctest.Wait then means that
// everything that was to be sent is sent.
func inBubble(t *testing.T, o Options, fn func(t *testing.T, tab *Table)) {
	synctest.Test(t, func(t *testing.T) {
		tab := Open(o)
		defer tab.Close()
		fn(t, tab)
	})
}

func quiet(t *testing.T, conns ...*conntest.Conn) {
	t.Helper()
	synctest.Wait()
	for _, c := range conns {
		require.Empty(t, c.Sent)
	}
}

// As heard from Java 5.5.0 when the same heartbeats were sent.
func TestTheGroupIsToldOfChanges(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		a, b := conntest.New(1), conntest.New(2)
		changed, _ := tab.RegisterConsumer(client(a, "A"), consumer("g", 1, "t"), v1)
		require.True(t, changed)
		told(t, a, "g")
		changed, _ = tab.RegisterConsumer(client(b, "B"), consumer("g", 1, "t"), v1)
		require.True(t, changed)
		told(t, a, "g")
		told(t, b, "g")
		changed, _ = tab.RegisterConsumer(client(b, "B"), consumer("g", 2, "t", "t2"), v1)
		require.True(t, changed, "another topic")
		told(t, a, "g")
		told(t, b, "g")
		changed, _ = tab.RegisterConsumer(client(a, "A"), consumer("g", 1, "t"), v1)
		require.True(t, changed, "a topic is gone")
		told(t, a, "g")
		told(t, b, "g")
		changed, _ = tab.RegisterConsumer(client(a, "A"), consumer("g", 9, "t"), v1)
		require.False(t, changed, "a newer version only")
		quiet(t, a, b)
		tab.UnregisterConsumer("g", b, true)
		told(t, a, "g")
		b.Close("gone")
		quiet(t, a, b)
		require.Equal(t, []string{"A"}, tab.ConsumerIDs("g"))
	})
}

func TestNobodyIsToldWhenNotAskedFor(t *testing.T) {
	enabled := false
	inBubble(t, Options{NotifyEnabled: func() bool { return enabled }}, func(t *testing.T, tab *Table) {
		a, b := conntest.New(1), conntest.New(2)
		tab.RegisterConsumer(client(a, "A"), consumer("g", 1, "t"), v1)
		quiet(t, a)
		enabled = true
		tab.RegisterConsumer(client(b, "B"), consumer("g", 1, "t"), Heartbeat{})
		quiet(t, a, b)
		all := consumer("broadcast", 1, "t")
		all.MessageModel = body.Broadcasting
		tab.RegisterConsumer(client(a, "A"), all, v1)
		quiet(t, a)
		_, known, broadcasting := tab.Find("broadcast", "t")
		require.True(t, known && broadcasting)
	})
}

func TestAClosedConnectionLeavesAllGroups(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		a, b := conntest.New(1), conntest.New(2)
		for _, g := range []string{"g1", "g2"} {
			tab.RegisterConsumer(client(a, "A"), consumer(g, 1, "t"), v1)
			tab.RegisterConsumer(client(b, "B"), consumer(g, 1, "t"), Heartbeat{})
			tab.RegisterProducer(client(a, "A"), g)
		}
		quiet(t)
		for len(a.Sent)+len(b.Sent) > 0 {
			select {
			case <-a.Sent:
			case <-b.Sent:
			}
		}
		a.Close("test")
		synctest.Wait()
		require.Len(t, b.Sent, 2)
		require.Equal(t, []string{"B"}, tab.ConsumerIDs("g1"))
		require.Nil(t, tab.PickProducer("g1"))
		require.Nil(t, tab.FindProducer("A"))
		b.Close("test")
		require.Nil(t, tab.ConsumerIDs("g1"))
		require.Nil(t, tab.Group("g1"))
		require.Zero(t, tab.consumers.Len())
		require.Zero(t, tab.producers.Len())
		require.Empty(t, tab.conns.m)
	})
}

func TestARegistrationOnAClosedConnectionIsUndone(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		a := conntest.New(1)
		a.Close("test")
		tab.RegisterConsumer(client(a, "A"), consumer("g", 1, "t"), v1)
		tab.RegisterProducer(client(a, "A"), "p")
		require.Nil(t, tab.ConsumerIDs("g"))
		require.Nil(t, tab.Producers("p"))
		require.Empty(t, tab.conns.m)
	})
}

func TestSilentClientsAreDropped(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		a, b, p := conntest.New(1), conntest.New(2), conntest.New(3)
		beat := func(c *conntest.Conn, id string) { tab.RegisterConsumer(client(c, id), consumer("g", 1, "t"), v1) }
		beat(a, "A")
		tab.RegisterProducer(client(p, "P"), "p")
		time.Sleep(60 * time.Second)
		beat(b, "B")
		synctest.Wait()
		for len(b.Sent) > 0 {
			<-b.Sent
		}
		time.Sleep(59 * time.Second)
		require.Equal(t, []string{"A", "B"}, tab.ConsumerIDs("g"))
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"B"}, tab.ConsumerIDs("g"))
		require.Nil(t, tab.PickProducer("p"))
		require.NotEmpty(t, a.Reason())
		require.NotEmpty(t, p.Reason())
		require.Empty(t, b.Reason())
		told(t, b, "g")
	})
}

func TestHeartbeatV2(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		a := conntest.New(1)
		beat := func(group string, print int32, without bool, topics ...string) bool {
			_, resend := tab.RegisterConsumer(client(a, "A"), consumer(group, 1, topics...), Heartbeat{Fingerprint: print, WithoutSub: without})
			return resend
		}
		// As Java 5.5.0 answered.
		require.False(t, beat("g", 11, false, "t"))
		require.False(t, beat("g", 11, true))
		sub, known, _ := tab.Find("g", "t")
		require.True(t, known)
		require.NotNil(t, sub, "a heartbeat without subscriptions leaves them")
		require.True(t, beat("g", 12, true))
		require.True(t, beat("g", 13, false, "t"))
		require.False(t, beat("g", 13, false, "t"))
		// Java says false here, and the group stays without subscriptions.
		require.True(t, beat("unknown", 13, true))
		require.False(t, beat("unknown", 13, false, "t"))
		tab.UnregisterConsumer("unknown", a, false)
		require.True(t, beat("unknown", 13, true), "the group died and with it what was known")
	})
}

func TestNewerSubscriptionsReplaceOlderOnes(t *testing.T) {
	inBubble(t, Options{Compile: func(d *body.SubscriptionData) any { return d.SubString + "!" }}, func(t *testing.T, tab *Table) {
		a := conntest.New(1)
		beat := func(version int64, expression string, codes ...int32) {
			d := consumer("g", version, "t")
			d.SubscriptionDataSet[0].SubString, d.SubscriptionDataSet[0].CodeSet = expression, codes
			tab.RegisterConsumer(client(a, "A"), d, v1)
		}
		find := func() *Subscription {
			s, _, _ := tab.Find("g", "t")
			return s
		}
		beat(1, "*")
		require.True(t, find().Match(0))
		require.Equal(t, "*!", find().Filter)
		beat(1, "a")
		require.True(t, find().All, "the version is the same")
		beat(2, "a || b")
		require.True(t, find().Match(message.TagsCode("a")))
		require.True(t, find().Match(message.TagsCode("b")))
		require.False(t, find().Match(message.TagsCode("c")))
		require.False(t, find().Match(0))
		beat(3, "z", 7)
		require.True(t, find().Match(7))
		require.False(t, find().Match(message.TagsCode("z")), "the codes given decide")
		old := find()
		beat(2, "*")
		require.Same(t, old, find())
		s, known, _ := tab.Find("g", "other")
		require.True(t, known)
		require.Nil(t, s)
		_, known, _ = tab.Find("nobody", "t")
		require.False(t, known)
		require.Equal(t, []string{"g"}, tab.GroupsOf("t"))
		require.Empty(t, tab.GroupsOf("other"))
	})
}

// TestSubscribedAndLeft: heartbeats that leave their subscriptions out say nothing of them, and a group is left
// once, by its last consumer.
func TestSubscribedAndLeft(t *testing.T) {
	var told []string
	o := Options{Left: func(group string) { told = append(told, "left "+group) }, Subscribed: func(group string, subs []body.SubscriptionData) {
		for i := range subs {
			told = append(told, group+" "+subs[i].Topic)
		}
	}}
	inBubble(t, o, func(t *testing.T, tab *Table) {
		a, b := conntest.New(1), conntest.New(2)
		tab.RegisterConsumer(client(a, "A"), consumer("g", 1, "t", "u"), v1)
		tab.RegisterConsumer(client(a, "A"), consumer("g", 1, "t"), v1)
		tab.RegisterConsumer(client(b, "B"), consumer("g", 1), Heartbeat{Fingerprint: 5, WithoutSub: true})
		require.Equal(t, []string{"g t", "g u", "g t"}, told)
		told = nil
		tab.UnregisterConsumer("g", a, true)
		tab.UnregisterConsumer("g", a, true)
		require.Empty(t, told)
		b.Close("test")
		require.Equal(t, []string{"left g"}, told)
	})
}

func TestNothingOfTheRequestIsKept(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		buf := []byte("CgttagPp")
		str := func(from, n int) string { return unsafe.String(&buf[from], n) }
		a := conntest.New(1)
		d := consumer(str(1, 1), 1, str(2, 1))
		d.SubscriptionDataSet[0].SubString, d.SubscriptionDataSet[0].TagsSet, d.SubscriptionDataSet[0].CodeSet = str(3, 3), []string{str(3, 3)}, []int32{5}
		tab.RegisterConsumer(client(a, str(0, 1)), d, v1)
		tab.RegisterProducer(client(a, str(6, 1)), str(7, 1))
		d.SubscriptionDataSet[0].TagsSet[0], d.SubscriptionDataSet[0].CodeSet[0] = "x", 6
		copy(buf, "XXXXXXXX")
		require.Equal(t, []string{"C"}, tab.ConsumerIDs("g"))
		g := tab.Group("g")
		require.Equal(t, "g", g.Name)
		require.Equal(t, &body.SubscriptionData{Topic: "t", SubString: "tag", TagsSet: []string{"tag"}, CodeSet: []int32{5}, SubVersion: 1, ExpressionType: "TAG"}, g.Subscriptions["t"].Data)
		require.Equal(t, "P", tab.FindProducer("P").ClientID)
		tab.EachProducer(func(group string, _ []*Channel) bool {
			require.Equal(t, "p", group)
			return true
		})
	})
}

func TestAReconnectedClientCountsOnce(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		old, now, other := conntest.New(1), conntest.New(2), conntest.New(3)
		tab.RegisterConsumer(client(old, "B"), consumer("g", 1, "t"), v1)
		tab.RegisterConsumer(client(now, "B"), consumer("g", 1, "t"), v1)
		tab.RegisterConsumer(client(other, "A"), consumer("g", 1, "t"), v1)
		require.Equal(t, []string{"A", "B"}, tab.ConsumerIDs("g"))
		require.Same(t, now, tab.FindChannel("g", "B").Conn)
		require.Nil(t, tab.FindChannel("g", "C"))
		require.Nil(t, tab.FindChannel("h", "B"))
		old.Close("test")
		require.Same(t, now, tab.FindChannel("g", "B").Conn)
		tab.RegisterConsumer(client(now, "B2"), consumer("g", 1, "t"), v1)
		require.Equal(t, []string{"A", "B2"}, tab.ConsumerIDs("g"))
		require.Equal(t, body.Connection{ClientAddr: "127.0.0.1:40002", ClientID: "B2", Language: "JAVA", Version: 513}, tab.FindChannel("g", "B2").Connection())
	})
}

func TestProducersTakeTurns(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, tab *Table) {
		conns := []*conntest.Conn{conntest.New(1), conntest.New(2), conntest.New(3)}
		for i, c := range conns {
			tab.RegisterProducer(client(c, fmt.Sprint(i)), "p")
			tab.RegisterProducer(client(c, fmt.Sprint(i)), "p")
		}
		picked := map[string]int{}
		for range 9 {
			picked[tab.PickProducer("p").ClientID]++
		}
		require.Equal(t, map[string]int{"0": 3, "1": 3, "2": 3}, picked)
		tab.UnregisterProducer("p", conns[1])
		require.Len(t, tab.Producers("p"), 2)
		require.Nil(t, tab.FindProducer("1"))
		require.NotNil(t, tab.FindProducer("2"))
		require.Nil(t, tab.PickProducer("q"))
		tab.RegisterProducer(client(conns[0], "0"), "q")
		tab.UnregisterProducer("q", conns[0])
		tab.RegisterProducer(client(conns[0], "0"), "p")
		require.NotNil(t, tab.FindProducer("0"), "a client in two groups is found again after it left one")
	})
}

func TestManyChangesAtOnce(t *testing.T) {
	tab := Open(Options{})
	defer tab.Close()
	var wg, closing sync.WaitGroup
	keep := make([]*conntest.Conn, 8)
	for w := range keep {
		keep[w] = conntest.New(uint64(1000 + w))
		wg.Go(func() {
			for i := range 100 {
				c := conntest.New(uint64(10000 + w*1000 + i))
				g := fmt.Sprintf("g%d", i%3)
				tab.RegisterConsumer(client(c, fmt.Sprint(w, i)), consumer(g, 1, "t"), v1)
				tab.RegisterProducer(client(c, fmt.Sprint(w, i)), g)
				tab.Find(g, "t")
				tab.PickProducer(g)
				if i%2 == 0 {
					tab.UnregisterConsumer(g, c, true)
					tab.UnregisterProducer(g, c)
				}
				closing.Go(func() { c.Close("test") })
			}
			tab.RegisterConsumer(client(keep[w], fmt.Sprint(w)), consumer("g0", 1, "t"), v1)
			tab.RegisterProducer(client(keep[w], fmt.Sprint(w)), "g0")
		})
	}
	wg.Wait()
	closing.Wait()
	require.Len(t, tab.ConsumerIDs("g0"), len(keep))
	require.Len(t, tab.Producers("g0"), len(keep))
	require.Equal(t, 1, tab.consumers.Len())
	require.Equal(t, 1, tab.producers.Len())
	for _, c := range keep {
		c.Close("test")
	}
	require.Zero(t, tab.consumers.Len())
	require.Empty(t, tab.conns.m)
}

func BenchmarkFind(b *testing.B) {
	tab := Open(Options{})
	defer tab.Close()
	c := conntest.New(1)
	names := make([]string, 1024)
	for i := range names {
		names[i] = fmt.Sprintf("group-%d", i)
		tab.RegisterConsumer(client(c, "A"), consumer(names[i], 1, "t1", "t2", "%RETRY%x"), Heartbeat{})
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if s, _, _ := tab.Find(names[i&1023], "t2"); !s.Match(5) {
				b.Error("wrong")
			}
		}
	})
}

func BenchmarkPickProducer(b *testing.B) {
	tab := Open(Options{})
	defer tab.Close()
	for i := range 16 {
		tab.RegisterProducer(client(conntest.New(uint64(i)), fmt.Sprint(i)), "p")
	}
	b.ReportAllocs()
	for b.Loop() {
		if tab.PickProducer("p") == nil {
			b.Error("wrong")
		}
	}
}
