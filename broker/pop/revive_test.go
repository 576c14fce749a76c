package pop

import (
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/pop/revivelog"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/message"
)

// TestCheckpointsThatComeTwice are one: the acknowledgement between or behind them counts. A crash makes the timer
// deliver some again.
func TestCheckpointsThatComeTwice(t *testing.T) {
	counters := stats.Open(stats.Options{})
	defer counters.Close()
	v := &reviver{p: &Popper{o: Options{Logger: zerolog.Nop(), BrokerName: "b", Stats: counters}}}
	q := &reviveQueue{byKey: map[revivelog.Key]*revivelog.CheckPoint{}}
	note := func(tag string, encode func() ([]byte, error)) {
		b, err := encode()
		require.NoError(t, err)
		v.note(q, &message.Record{Message: message.Message{Body: b}, Properties: "TAGS\x01" + tag + "\x02TIMER_DELIVER_MS\x01100\x02"})
		q.next++
	}
	ck := &revivelog.CheckPoint{Topic: "T", Group: "G", BrokerName: "b", PopTime: 1, Num: 3, Diffs: []int32{0, 5, 6}}
	ack := func(offset int64) *revivelog.Ack {
		return &revivelog.Ack{Topic: "T", Group: "G", BrokerName: "b", PopTime: 1, Offset: offset}
	}
	note(revivelog.AckTag, ack(0).Encode) // in front of its checkpoint: it is of one that is settled
	note(revivelog.CheckPointTag, ck.Encode)
	note(revivelog.AckTag, ack(5).Encode)
	note(revivelog.CheckPointTag, ck.Encode)
	note(revivelog.BatchAckTag, (&revivelog.Ack{Topic: "T", Group: "G", PopTime: 1, Offsets: []int64{6, 7}}).Encode) // an old one, without broker
	note(revivelog.CheckPointTag, func() ([]byte, error) { return []byte("{"), nil })
	require.Len(t, q.pending, 1)
	require.EqualValues(t, 1, q.pending[0].ReviveOffset)
	require.EqualValues(t, 0b110, q.pending[0].BitMap)
	require.EqualValues(t, 100, q.latest)
}
