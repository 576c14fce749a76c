package broker_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/segment"
)

// TestFiltersLeaveTheirBits: with enableCalcFilterBitMap a message's unit in consumequeue_ext tells which groups' SQL
// filters let it pass, in as many bits as Java's ConsumerFilterManager takes.
func TestFiltersLeaveTheirBits(t *testing.T) {
	b := brokertest.Start(t)
	c := b.Dial(false)
	send := func(properties string) {
		t.Helper()
		resp := c.Call(brokertest.SendRequest("T", 1, properties, "x"))
		require.EqualValues(t, protocol.Success, resp.Code, resp.Remark)
	}
	send("")
	require.NoError(t, b.Close())
	b.Options.Store.EnableConsumeQueueExt, b.Options.Store.EnableCalcFilterBitMap = true, true
	b.Options.EnablePropertyFilter = true
	b.Restart()
	c = b.Dial(false)
	send("a\x012\x02") // there is no filter yet
	resp := c.Call(&protocol.Command{Code: protocol.HeartBeat, Version: protocol.Version, Body: []byte(`{"clientID":"c","consumerDataSet":[{"groupName":"g",
		"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[
		{"topic":"T","subString":"a > 1","expressionType":"SQL92","subVersion":1,"tagsSet":[],"codeSet":[]}]}],"producerDataSet":[]}`)})
	require.EqualValues(t, protocol.Success, resp.Code, resp.Remark)
	send("a\x012\x02")
	send("a\x010\x02")
	require.NoError(t, b.Close())

	file, err := os.ReadFile(filepath.Join(b.Options.Store.StorePathRootDir, "consumequeue_ext", "T", "1", segment.Name(0)))
	require.NoError(t, err)
	var maps [][]byte
	for size := 0; ; file = file[size:] { // size 2, tags code 8, store timestamp 8, length 2, bit map
		if size = int(int16(binary.BigEndian.Uint16(file))); size <= 0 {
			break
		}
		maps = append(maps, file[20:size])
	}
	require.Len(t, maps, 3)
	require.Empty(t, maps[0])
	require.Len(t, maps[1], 112/8)
	require.Equal(t, make([]byte, 112/8), maps[2])
	require.NotEqual(t, maps[2], maps[1])
}
