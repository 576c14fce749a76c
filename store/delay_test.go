package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

func TestDefaultDelayLevelsAreJavas(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	var seconds []int
	for _, d := range s.DelayLevels() {
		seconds = append(seconds, int(d/time.Second))
	}
	require.Equal(t, []int{1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200}, seconds)
	o := testOptions(t.TempDir())
	o.MessageDelayLevel = "1s soon"
	_, err := Open(o)
	require.ErrorContains(t, err, `"soon" is not like`)
}

// TestDelayUnitsAreTheSameAfterRecovery: what append and recovery make of one record, by level and tags.
func TestDelayUnitsAreTheSameAfterRecovery(t *testing.T) {
	o := idle(testOptions(t.TempDir()))
	o.Now = func() time.Time { return time.UnixMilli(5_000_000) }
	s := open(t, o)
	k := &sink{}
	for level := 1; level <= 18; level++ {
		g := &Group{Owner: k}
		m := message.Message{Topic: ScheduleTopic, QueueID: int32(level - 1), Body: []byte("x")}
		g.Buf, _ = message.AppendRecord(nil, &m, fmt.Sprintf("TAGS\x01a\x02DELAY\x01%d\x02", level))
		q := s.Queue(ScheduleTopic, m.QueueID)
		g.Recs = []Rec{{Queue: q, Size: int32(len(g.Buf)), TagsCode: 97, DelayMillis: s.DelayLevels()[level-1].Milliseconds()}}
		put(t, s, g)
		u, ok, err := q.At(0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 5_000_000+s.DelayLevels()[level-1].Milliseconds(), u.TagsCode)
	}
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	r := open(t, killed)
	require.Equal(t, s.Topics(), r.Topics())
	for id := range int32(18) {
		require.Equal(t, unitAt(t, s, ScheduleTopic, id), unitAt(t, r, ScheduleTopic, id), "queue %d", id)
	}
}

func unitAt(t *testing.T, s *Store, topic string, id int32) consumequeue.Unit {
	t.Helper()
	u, ok, err := s.Find(topic, id).At(0)
	require.NoError(t, err)
	require.True(t, ok)
	return u
}

// TestTagsCodeOfARecord: levels that are none count as tags, as in Java.
func TestTagsCodeOfARecord(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	a := int64(message.HashCode("a"))
	for _, x := range []struct {
		topic, delay string
		want         int64
	}{
		{ScheduleTopic, "1", 1000 + 1000}, {ScheduleTopic, "18", 1000 + 7200_000}, {ScheduleTopic, "19", 1000 + 7200_000},
		{ScheduleTopic, "0", a}, {ScheduleTopic, "-1", a}, {ScheduleTopic, "x", a}, {ScheduleTopic, "", a}, {"T", "3", a},
	} {
		r := message.Record{Message: message.Message{Topic: x.topic}, StoreTimestamp: 1000, Properties: "TAGS\x01a\x02DELAY\x01" + x.delay + "\x02"}
		require.Equal(t, x.want, s.tagsCode(&r), "%s %q", x.topic, x.delay)
	}
	none := message.Record{Message: message.Message{Topic: "T"}}
	require.Zero(t, s.tagsCode(&none))
	_, err := ParseDelayLevels(strings.Repeat("1s ", 1000))
	require.NoError(t, err)
}
