package send_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// TestFullDiskIsRefusedWithItsReason: code 14 and which disk is how full, in the reply and in the runtime
// information; sends succeed again as soon as there is space.
func TestFullDiskIsRefusedWithItsReason(t *testing.T) {
	var used atomic.Int64
	looked := make(chan struct{}, 1)
	b := brokertest.Start(t, func(o *broker.Options) {
		o.Store.DiskUsage = func(string) (fsys.Disk, error) {
			select {
			case looked <- struct{}{}:
			default:
			}
			free := 100 - used.Load()
			return fsys.Disk{Total: 100, Free: free, Usable: free}, nil
		}
	})
	c := b.Dial(false)
	// round has the retention goroutine look at the disk. The second request is served behind that.
	round := func(percent int64) {
		require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.CleanExpiredConsumeQueue, nil)).Code)
		for len(looked) > 0 {
			<-looked
		}
		used.Store(percent)
		require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.DeleteExpiredCommitLog, nil)).Code)
		<-looked
		require.Equal(t, protocol.Success, c.Call(protocol.NewRequest(protocol.CleanExpiredConsumeQueue, nil)).Code)
	}
	refusal := func() string {
		var kv body.KVTable
		require.NoError(t, body.Unmarshal(c.Call(protocol.NewRequest(protocol.GetBrokerRuntimeInfo, nil)).Body, &kv))
		return kv.Table["skylarkRefusal"]
	}
	for _, full := range []bool{false, true, false} {
		if full {
			round(93)
		} else {
			round(40)
		}
		resp := c.Call(brokertest.SendRequest("T", 0, "", "hello"))
		if !full {
			require.Equal(t, protocol.Success, resp.Code, resp.Remark)
			require.Empty(t, refusal())
			continue
		}
		why := "the disk of " + b.Options.Store.StorePathRootDir + "/commitlog is 93 % full (diskSpaceWarningLevelRatio 90)"
		require.Equal(t, protocol.ServiceNotAvailable, resp.Code)
		require.Equal(t, "service not available now. It may be caused by one of the following reasons: the broker's disk is full, "+why, resp.Remark)
		require.Equal(t, why, refusal())
	}
}
