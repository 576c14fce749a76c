package polyglot

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const (
	smallCount = 6
	largeCount = 3
	largeSize  = 20_000 // bytes; clients compress bodies from 4 KiB on
	city       = "Zürich 東京 😀"
)

// all are the clients that must read each other's messages.
func all() []language {
	return []language{java(cluster.ClientV5), java(cluster.ClientV4), golang(), cpp()}
}

// TestEveryClientReadsWhatTheOthersWrite has every client produce into one topic and every client
// consume all of it: small and compressed bodies, tags, keys, properties, UTF-8 throughout.
func TestEveryClientReadsWhatTheOthersWrite(t *testing.T) {
	c := shared(t)
	topic := unique(t.Name())
	c.Broker.CreateTopic(t, topic, queues)
	want := map[string]string{} // body to the language that sent it
	var runs []*cluster.Run
	for _, l := range all() {
		s := stage{l, c, topic, ""}
		runs = append(runs, s.start(t, "produce", s.args("ö"+l.name, smallCount)...))
		runs = append(runs, s.start(t, "produce", append(s.args("L"+l.name, largeCount), fmt.Sprintf("size=%d", largeSize))...))
		for i := range smallCount {
			want[fmt.Sprintf("ö%s-%d", l.name, i)] = l.name
		}
		for i := range largeCount {
			body := fmt.Sprintf("L%s-%d", l.name, i)
			want[body+strings.Repeat(".", largeSize-len(body))] = l.name
		}
		// Two at a time: JVMs among them.
		for _, r := range runs {
			require.Empty(t, cluster.Of(r.Wait(t, limit), "sendError"), l.name)
		}
	}
	for _, l := range all() {
		t.Run(l.name, func(t *testing.T) {
			s := stage{l, c, topic, unique("G_cross_" + strings.ReplaceAll(l.name, ".", "_"))}
			msgs := s.consume(t, len(want))
			checkCross(t, msgs, want)
			if l.name == "go" {
				checkCompressed(t, c, msgs)
			}
		})
	}
}

func (s stage) args(prefix string, count int) []string {
	return []string{s.c.Arg(), "topic=" + s.topic, "group=P_cross_" + strings.ReplaceAll(s.name, ".", "_"), "keys=1",
		"tags=rot,grün", "prop.city=" + city, "prop.note=a=b c", "prefix=" + prefix, fmt.Sprintf("count=%d", count)}
}

func checkCross(t *testing.T, msgs []cluster.Event, want map[string]string) {
	t.Helper()
	got := byBody(t, msgs)
	require.Len(t, got, len(want))
	for body, sender := range want {
		require.Contains(t, got, body, "message of %s", sender)
		m, i := got[body], number(t, body)
		prefix := body[:strings.IndexByte(body, '-')]
		require.Equal(t, []string{"rot", "grün"}[i%2], m.Tag(), sender)
		require.Equal(t, fmt.Sprintf("%s-k%d", prefix, i), m.Keys(), sender)
		require.Equal(t, city, m.Props()["city"], sender)
		require.Equal(t, "a=b c", m.Props()["note"], sender)
	}
}

// checkCompressed reads the stored records: every large body must have been stored as its sender
// compressed it, or the consumers above have proved nothing about compression.
func checkCompressed(t *testing.T, c *cluster.Cluster, msgs []cluster.Event) {
	t.Helper()
	const compressed, posSysFlag = 1, 36 // Java: MessageSysFlag.COMPRESSED_FLAG, MessageDecoder.SYSFLAG_POSITION
	for _, m := range msgs {
		id := m.OffsetMsgID()
		offset, err := strconv.ParseInt(id[len(id)-16:], 16, 64)
		require.NoError(t, err)
		resp, err := cluster.Call(c.Broker.Addr(), codeView, map[string]string{"offset": strconv.FormatInt(offset, 10)}, nil)
		require.NoError(t, err)
		require.Zero(t, resp.Code, resp.Remark)
		flag := binary.BigEndian.Uint32(resp.Body[posSysFlag:])
		if len(m.Body()) < largeSize {
			require.Zero(t, flag&compressed, m.Body())
			continue
		}
		require.NotZero(t, flag&compressed, m.Body()[:20])
		require.Less(t, len(resp.Body), largeSize/4)
	}
}
