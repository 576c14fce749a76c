package send_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
)

// hanging is a disk whose syncs of the commit log wait for goOn.
type hanging struct {
	fsys.OS
	goOn chan struct{}
}

type hangingFile struct {
	fsys.File
	goOn chan struct{}
}

func (h hanging) Open(path string, create bool) (fsys.File, error) {
	f, err := h.OS.Open(path, create)
	if err == nil && strings.Contains(path, "/commitlog/") {
		f = hangingFile{f, h.goOn}
	}
	return f, err
}

func (f hangingFile) Datasync() error {
	<-f.goOn
	return f.File.Datasync()
}

// longestPut returns what the runtime information says, ms.
func longestPut(t *testing.T, c *brokertest.Client) int64 {
	t.Helper()
	var info body.KVTable
	require.NoError(t, body.Unmarshal(c.Call(&protocol.Command{Code: protocol.GetBrokerRuntimeInfo}).Body, &info))
	ms, err := strconv.ParseInt(info.Table["putMessageEntireTimeMax"], 10, 64)
	require.NoError(t, err)
	return ms
}

// TestFlushDiskTimeout: the reply is a success in all but its code, since the message is stored.
func TestFlushDiskTimeout(t *testing.T) {
	disk := hanging{goOn: make(chan struct{})}
	b := brokertest.Start(t, func(o *broker.Options) {
		o.Store.FS, o.Store.FlushDiskType, o.Store.SyncFlushTimeout = disk, store.SyncFlush, 20
	})
	c := b.Dial(false)
	resp := c.Call(brokertest.SendRequest("T", 0, "UNIQ_KEY\x01u\x02", "x"))
	require.Equal(t, protocol.FlushDiskTimeout, resp.Code)
	require.Empty(t, resp.Remark)
	require.Equal(t, "0", brokertest.Field(t, resp, "queueOffset"))
	require.Equal(t, "u", brokertest.Field(t, resp, "transactionId"))
	require.Len(t, brokertest.Field(t, resp, "msgId"), 32)
	require.GreaterOrEqual(t, longestPut(t, c), int64(20))
	close(disk.goOn)
	require.Equal(t, "x", string(until(t, c, "T", 0, 1)[0].Body))
}
