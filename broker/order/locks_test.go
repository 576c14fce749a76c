package order

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

func queue(id int32) message.MessageQueue {
	return message.MessageQueue{Topic: "t", BrokerName: "b", QueueID: id}
}

// table returns locks with a clock of their own.
func table() (*Locks, *time.Time) {
	now := time.Unix(1000, 0)
	return New(func() time.Time { return now }), &now
}

func TestALockIsOneClients(t *testing.T) {
	l, _ := table()
	require.Equal(t, []message.MessageQueue{queue(0), queue(1)}, l.LockBatch("g", []message.MessageQueue{queue(0), queue(1)}, "A"))
	require.Equal(t, []message.MessageQueue{queue(2)}, l.LockBatch("g", []message.MessageQueue{queue(1), queue(2)}, "B"))
	require.Len(t, l.LockBatch("h", []message.MessageQueue{queue(0)}, "B"), 1, "groups do not see each other")
	l.UnlockBatch("g", []message.MessageQueue{queue(0), queue(1), queue(9)}, "B")
	require.Empty(t, l.LockBatch("g", []message.MessageQueue{queue(0), queue(1)}, "B"), "it was not B's")
	l.UnlockBatch("g", []message.MessageQueue{queue(0)}, "A")
	l.UnlockBatch("nobody", []message.MessageQueue{queue(0)}, "A")
	require.Equal(t, []message.MessageQueue{queue(0)}, l.LockBatch("g", []message.MessageQueue{queue(0), queue(1)}, "B"))
	none := l.LockBatch("new", nil, "B")
	require.NotNil(t, none)
	require.Empty(t, none)
}

func TestALockEndsUnlessRenewed(t *testing.T) {
	l, now := table()
	require.False(t, l.HasUnexpired("g"))
	l.LockBatch("g", []message.MessageQueue{queue(0), queue(1)}, "A")
	*now = now.Add(40 * time.Second)
	l.LockBatch("g", []message.MessageQueue{queue(1)}, "A")
	*now = now.Add(20 * time.Second)
	require.Empty(t, l.LockBatch("g", []message.MessageQueue{queue(0), queue(1)}, "B"))
	require.True(t, l.HasUnexpired("g"))
	*now = now.Add(time.Millisecond)
	require.Equal(t, []message.MessageQueue{queue(0)}, l.LockBatch("g", []message.MessageQueue{queue(0), queue(1)}, "B"))
	*now = now.Add(MaxLiveTime)
	require.True(t, l.HasUnexpired("g"))
	*now = now.Add(time.Millisecond)
	require.False(t, l.HasUnexpired("g"))
	l.Expire()
	require.Zero(t, l.groups.Len())
	require.Len(t, l.LockBatch("g", []message.MessageQueue{queue(0)}, "C"), 1)
	l.Expire()
	require.True(t, l.HasUnexpired("g"))
}

func TestNamesMayAliasABuffer(t *testing.T) {
	l, _ := table()
	buf := []byte("gtbA")
	str := func(i int) string { return unsafe.String(&buf[i], 1) }
	l.LockBatch(str(0), []message.MessageQueue{{Topic: str(1), BrokerName: str(2)}}, str(3))
	copy(buf, "XXXX")
	require.Empty(t, l.LockBatch("g", []message.MessageQueue{queue(0)}, "B"))
	require.Len(t, l.LockBatch("g", []message.MessageQueue{queue(0)}, "A"), 1)
}

func TestTwoClientsNeverHoldOneQueue(t *testing.T) {
	l := New(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	holder := map[message.MessageQueue]string{}
	for c := range 4 {
		wg.Go(func() {
			me := fmt.Sprint(c)
			for i := range 300 {
				q := queue(int32(i % 3))
				mine := l.LockBatch("g", []message.MessageQueue{q}, me)
				for _, q := range mine {
					mu.Lock()
					if h := holder[q]; h != "" {
						t.Errorf("%v is %s's and %s's", q, h, me)
					}
					holder[q] = me
					mu.Unlock()
				}
				for _, q := range mine {
					mu.Lock()
					holder[q] = ""
					mu.Unlock()
				}
				l.UnlockBatch("g", mine, me)
				l.Expire()
			}
		})
	}
	wg.Wait()
	l.Expire()
	require.False(t, l.HasUnexpired("g"))
}

func BenchmarkHasUnexpired(b *testing.B) {
	l := New(nil)
	l.LockBatch("g", []message.MessageQueue{queue(0), queue(1), queue(2), queue(3)}, "A")
	b.ReportAllocs()
	for b.Loop() {
		if !l.HasUnexpired("g") || l.HasUnexpired("h") {
			b.Error("wrong")
		}
	}
}
