package revivelog_test

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

type entry struct {
	JSON, Unique  string
	Due, Attempts int64
	Index         map[string]int
	Offsets       []int64
}

// golden is what Java's classes wrote (scripts/golden/java/PopGolden.java).
func golden(t testing.TB) (g struct{ CheckPoints, Acks []entry }) {
	t.Helper()
	b, err := os.ReadFile("../testdata/pop.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	require.NotEmpty(t, g.CheckPoints)
	require.NotEmpty(t, g.Acks)
	return g
}

func TestCheckPointsAreJavas(t *testing.T) {
	for _, g := range golden(t).CheckPoints {
		c, err := revivelog.DecodeCheckPoint([]byte(g.JSON))
		require.NoError(t, err)
		b, err := c.Encode()
		require.NoError(t, err)
		require.Equal(t, g.JSON, string(b))
		require.Equal(t, g.Unique, c.UniqKey())
		require.Equal(t, g.Due, c.Due())
		require.EqualValues(t, g.Attempts, c.Attempts())
		for at, want := range g.Index {
			offset, err := strconv.ParseInt(at, 10, 64)
			require.NoError(t, err)
			require.Equal(t, want, c.Index(offset), at)
			require.Equal(t, want >= 0, c.Ack(offset))
		}
		for i, want := range g.Offsets {
			require.Equal(t, want, c.Offset(i))
		}
	}
}

func TestAcksAreJavas(t *testing.T) {
	for _, g := range golden(t).Acks {
		a, err := revivelog.DecodeAck([]byte(g.JSON))
		require.NoError(t, err)
		b, err := a.Encode()
		require.NoError(t, err)
		require.Equal(t, g.JSON, string(b))
		if a.BrokerName != "" { // Java writes null there
			require.Equal(t, g.Unique, a.UniqKey())
		}
		require.Equal(t, revivelog.Key{Topic: "T", Group: "G", QueueID: 3, StartOffset: 5, PopTime: 1700000000123, BrokerName: a.BrokerName}, a.Key())
		var offsets []int64
		a.Each(func(at int64) { offsets = append(offsets, at) })
		if a.Tag() == revivelog.BatchAckTag {
			require.Equal(t, []int64{5, 12}, offsets)
		} else {
			require.Equal(t, []int64{12}, offsets)
		}
	}
	a, err := revivelog.DecodeAck([]byte(`{"ackOffset":12,"startOffset":5,"consumerGroup":"G","topic":"T","queueId":3,"popTime":7,"brokerName":"b","ackOffsetList":[1]}`))
	require.NoError(t, err)
	require.Equal(t, &revivelog.Ack{Offset: 12, Offsets: []int64{1}, BrokerName: "b", Group: "G", PopTime: 7, QueueID: 3, StartOffset: 5, Topic: "T"}, a)
}

func FuzzDecode(f *testing.F) {
	for _, g := range append(golden(f).CheckPoints, golden(f).Acks...) {
		f.Add([]byte(g.JSON))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := revivelog.DecodeCheckPoint(b); err == nil {
			for i := range int(c.Num) {
				c.Ack(c.Offset(i))
				_ = c.Acked(i)
			}
			_, err = c.Encode()
			require.NoError(t, err)
		}
		if a, err := revivelog.DecodeAck(b); err == nil {
			a.Each(func(int64) {})
			_, err = a.Encode()
			require.NoError(t, err)
		}
	})
}

// TestMessages looks at what is stored.
func TestMessages(t *testing.T) {
	var m message.Message
	var p message.Properties
	broken := errors.New("broken")
	var outcome error
	w := revivelog.Writer{Topic: revivelog.Topic("c"), Put: func(msg *message.Message, properties message.Properties, done func(error, []store.Rec)) error {
		m, p = *msg, properties
		if errors.Is(outcome, broken) {
			return outcome
		}
		done(outcome, nil)
		return nil
	}}
	ck := &revivelog.CheckPoint{Topic: "T", Group: "G", PopTime: 1700000000123, InvisibleTime: 60000, Num: 1}
	a := &revivelog.Ack{Topic: "T", Group: "G"}
	for _, x := range []struct {
		write        func(done func(error))
		tag, key, at string
	}{
		{func(done func(error)) { w.CheckPoint(ck, 5, done) }, "ck", ck.UniqKey(), "1700000059123"},
		{func(done func(error)) { w.Ack(a, 5, 1700000060123, done) }, "ack", a.UniqKey(), "1700000060123"},
		{func(done func(error)) { w.Ack(&revivelog.Ack{Topic: "T", Group: "G", Offsets: []int64{1}}, 5, 1, done) }, "bAck", a.UniqKey(), "1"},
	} {
		for got, want := range map[error]error{nil: nil, store.ErrFlushTimeout: nil, store.ErrBusy: store.ErrBusy, broken: broken} {
			outcome = got
			called := 0
			x.write(func(err error) {
				called++
				require.ErrorIs(t, err, want)
			})
			require.Equal(t, 1, called)
		}
		require.Equal(t, "rmq_sys_REVIVE_LOG_c", m.Topic)
		require.EqualValues(t, 5, m.QueueID)
		require.Equal(t, x.tag, p.Get("TAGS"))
		require.Equal(t, x.key, p.Get("UNIQ_KEY"))
		require.Equal(t, x.at, p.Get("TIMER_DELIVER_MS"))
	}
}
