package send_test

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/fsys"
)

// slow is the real file system; writes to the CommitLog wait for gate while there is one.
type slow struct {
	fsys.OS
	gate    atomic.Pointer[chan struct{}]
	waiting atomic.Int32
}

type slowFile struct {
	fsys.File
	fs *slow
}

func (s *slow) Open(path string, create bool) (fsys.File, error) {
	f, err := s.OS.Open(path, create)
	if err != nil || filepath.Base(filepath.Dir(path)) != "commitlog" {
		return f, err
	}
	return &slowFile{f, s}, nil
}

func (f *slowFile) WriteVec(p [][]byte, off int64) error {
	if gate := f.fs.gate.Load(); gate != nil {
		f.fs.waiting.Add(1)
		<-*gate
		f.fs.waiting.Add(-1)
	}
	return f.File.WriteVec(p, off)
}

// TestStalledDiskTurnsProducersAway: while a write hangs, producers are told that the broker is busy instead of
// being left waiting: those whose messages wait, and those that come. Nothing that was refused is stored, what was
// being written is. Consumers do not notice.
func TestStalledDiskTurnsProducersAway(t *testing.T) {
	t.Parallel()
	fs := &slow{}
	b := brokertest.Start(t, func(o *broker.Options) { o.Store.FS, o.Store.OsPageCacheBusyTimeOutMills = fs, 100 })
	const reject, cleaned = "[REJECTREQUEST]system busy, start flow control for a while", "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: "
	writing, queued, more := b.Dial(false), b.Dial(false), b.Dial(false)
	taken := func(body string) func() bool { // this machine may stall, too
		return func() bool {
			return more.Call(brokertest.SendRequest("T", 0, "", body)).Code == protocol.Success
		}
	}
	require.Eventually(t, taken("before"), 30*time.Second, time.Millisecond)
	gate := make(chan struct{})
	fs.gate.Store(&gate)
	writing.Send(brokertest.SendRequest("T", 0, "", "being written"))
	require.Eventually(t, func() bool { return fs.waiting.Load() == 1 }, 30*time.Second, time.Millisecond)
	resp := queued.Call(brokertest.SendRequest("T", 0, "", "queued"))
	require.Equal(t, protocol.SystemBusy, resp.Code)
	require.Truef(t, strings.HasPrefix(resp.Remark, cleaned) || resp.Remark == reject, resp.Remark) // slow machines come late
	require.Eventually(t, func() bool {
		resp := more.Call(brokertest.SendRequest("T", 0, "", "more"))
		require.Equal(t, protocol.SystemBusy, resp.Code)
		return resp.Remark == reject
	}, 30*time.Second, time.Millisecond)
	require.Len(t, brokertest.Records(t, more.Call(brokertest.PullRequest("T", 0, 0, "*")).Body), 1)
	fs.gate.Store(nil)
	close(gate)
	require.Equal(t, protocol.Success, writing.Read().Code)
	require.Eventually(t, taken("after"), 30*time.Second, time.Millisecond)
	var bodies []string
	for _, r := range brokertest.Records(t, more.Call(brokertest.PullRequest("T", 0, 0, "*")).Body) {
		bodies = append(bodies, string(r.Body))
	}
	require.Equal(t, []string{"before", "being written", "after"}, bodies)
}
