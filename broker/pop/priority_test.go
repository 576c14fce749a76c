package pop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestPriorityTopicsArePoppedByPriority: the queue with the highest number first, with priorityOrderAsc off the
// lowest; retries last. A group whose priority.factor is 0 has retries at popFromRetryProbability.
func TestPriorityTopicsArePoppedByPriority(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		asc    bool
		factor string
		want   []string
	}{{true, "", []string{"3", "2", "2", "1", "1", "0", "0", "3"}}, {false, "100", []string{"0", "1", "1", "2", "2", "3", "3", "0"}}, {true, "0", nil}} {
		_, c := start(t, func(o *broker.Options) { o.PriorityOrderAsc, o.PopFromRetryProbability = x.asc, 100 })
		change := &protocol.Command{Code: protocol.UpdateAndCreateTopic, Version: protocol.Version, Ext: fields("topic", topic, "defaultTopic", "TBW102",
			"readQueueNums", "4", "writeQueueNums", "4", "perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false", "attributes", "+message.type=PRIORITY")}
		require.Equal(t, protocol.Success, c.Call(change).Code)
		if x.factor != "" {
			text := fmt.Sprintf(`{"groupName":%q,"consumeEnable":true,"retryMaxTimes":16,"attributes":{"+priority.factor":%q}}`, group, x.factor)
			require.Equal(t, protocol.Success, c.Call(&protocol.Command{Code: protocol.UpdateAndCreateSubscriptionGroup, Version: protocol.Version, Body: []byte(text)}).Code)
		}
		for _, p := range []int{1, 3, 0, 2, 0, 1, 2, 3} {
			send(t, c, 0, fmt.Sprint(p), property("_SYS_MSG_PRIORITY_", fmt.Sprint(p)))
		}
		first := popped(t, c.Call(request("maxMsgNums", "1", "invisibleTime", "100")))
		retries := &protocol.Command{Code: protocol.GetMaxOffset, Version: protocol.Version, Ext: fields("topic", "%RETRY%"+group+"_"+topic, "queueId", "0")}
		require.Eventually(t, func() bool {
			resp := c.Call(retries)
			return resp.Code == protocol.Success && brokertest.Field(t, resp, "offset") == "1"
		}, 30*time.Second, 10*time.Millisecond)
		var got []string
		for range 8 {
			got = append(got, bodies(popped(t, c.Call(request("maxMsgNums", "1"))))...)
		}
		if x.want == nil {
			require.Equal(t, bodies(first), got[:1])
		} else {
			require.Equal(t, x.want, got)
		}
		none(t, c)
	}
}
