package store

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

// anonymous returns the process's anonymous memory in MiB.
func anonymous(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		var kb int
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kb); err == nil {
			return kb >> 10
		}
	}
	return 0
}

// TestManyQueues makes a store of many queues, stops it cleanly and starts it again, and prints what that
// costs. It is a measurement: SKYLARK_QUEUES=100000 go test -run ManyQueues -v ./store
func TestManyQueues(t *testing.T) {
	var queues int
	if _, err := fmt.Sscan(os.Getenv("SKYLARK_QUEUES"), &queues); err != nil {
		t.Skip("SKYLARK_QUEUES is not set")
	}
	o := DefaultOptions()
	o.StorePathRootDir = t.TempDir()
	s := open(t, o)
	begun := time.Now()
	k := &sink{}
	for i := 0; i < queues; i += 100 {
		g := &Group{Owner: k}
		for j := i; j < min(i+100, queues); j++ {
			topic := fmt.Sprintf("topic-%06d", j/8)
			at := len(g.Buf)
			m := message.Message{Topic: topic, QueueID: int32(j % 8), Body: []byte("x")}
			g.Buf, _ = message.AppendRecord(g.Buf, &m, "")
			g.Recs = append(g.Recs, Rec{Queue: s.Queue(topic, m.QueueID), Size: int32(len(g.Buf) - at)})
		}
		put(t, s, g)
	}
	t.Logf("%d queues made in %v", queues, time.Since(begun))
	begun = time.Now()
	require.NoError(t, s.Close())
	t.Logf("stopped in %v", time.Since(begun))
	runtime.GC()
	for _, killed := range []bool{false, true} {
		if killed {
			setAbort(t, o.StorePathRootDir)
		}
		begun = time.Now()
		s = open(t, o)
		took := time.Since(begun)
		runtime.GC()
		t.Logf("started in %v, killed %v, %d MiB anonymous", took, killed, anonymous(t))
		require.EqualValues(t, 1, s.MaxOffset("topic-000000", 0))
		require.NoError(t, s.Close())
	}
}
