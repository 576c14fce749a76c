package body

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBatchAckNames reads Java's short and long names, and writes the short ones.
func TestBatchAckNames(t *testing.T) {
	const short = `{"acks":[{"b":"AgAAAAAAAABA","c":"G","it":1,"pt":2,"q":3,"r":"0","rq":4,"so":5,"t":"T"}],"brokerName":"b"}`
	want := BatchAckMessageRequestBody{BrokerName: "b", Acks: []BatchAck{{BitSet: "AgAAAAAAAABA", ConsumerGroup: "G", InvisibleTime: 1, PopTime: 2, QueueID: 3,
		Retry: "0", ReviveQueueID: 4, StartOffset: 5, Topic: "T"}}}
	for _, text := range []string{short, `{"acks":[{"bitSet":"AgAAAAAAAABA","consumerGroup":"G","invisibleTime":1,"popTime":2,"queueId":3,"retry":"0",` +
		`"reviveQueueId":4,"startOffset":5,"topic":"T"}],"brokerName":"b"}`} {
		var got BatchAckMessageRequestBody
		require.NoError(t, Unmarshal([]byte(text), &got))
		require.Equal(t, want, got)
	}
	b, err := Marshal(want)
	require.NoError(t, err)
	require.Equal(t, short, string(b))
}

// TestQueryAssignmentResponse tells nothing from no queues: a client keeps what it has for the one.
func TestQueryAssignmentResponse(t *testing.T) {
	for want, resp := range map[string]QueryAssignmentResponseBody{`{}`: {}, `{"messageQueueAssignments":[]}`: {MessageQueueAssignments: &[]MessageQueueAssignment{}},
		`{"messageQueueAssignments":[{"messageQueue":{"topic":"T","brokerName":"b","queueId":-1},"mode":"POP"}]}`: {MessageQueueAssignments: &[]MessageQueueAssignment{
			{MessageQueue: MessageQueue{Topic: "T", BrokerName: "b", QueueID: -1}, Mode: RequestModePop}}}} {
		b, err := Marshal(resp)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}
