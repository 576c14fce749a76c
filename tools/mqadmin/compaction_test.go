package mqadmin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

func TestDumpCompactionLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "00000000000000000000")
	var b []byte
	for i := range int64(2) {
		at := len(b)
		var err error
		b, err = message.AppendRecord(b, &message.Message{Topic: "T", QueueID: 3, Body: []byte("body")}, "KEYS\x01k\x02")
		require.NoError(t, err)
		message.Patch(b[at:], 7+i, int64(at), 1000)
	}
	for _, end := range [][]byte{nil, make([]byte, 100), message.AppendBlank(nil, 100), {0, 0, 1}, b[:50]} {
		require.NoError(t, os.WriteFile(path, append(b[:len(b):len(b)], end...), 0o644))
		out, err := run(t, "dumpCompactionLog", "-f", path)
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		require.Len(t, lines, 2)
		require.Equal(t, "MessageExt [brokerName=null, queueId=3, storeSize=103, queueOffset=8, sysFlag=0, bornTimestamp=0, bornHost=/0.0.0.0:0, storeTimestamp=1000, storeHost=/0.0.0.0:0, "+
			"msgId=00000000000000000000000000000067, commitLogOffset=103, bodyCRC=1537739698, reconsumeTimes=0, preparedTransactionOffset=0, "+
			"toString()=Message{topic='T', flag=0, properties={KEYS=k}, body=null, transactionId='null'}]", lines[1])
	}
	out, err := run(t, "dumpCompactionLog")
	require.NoError(t, err)
	require.Equal(t, "miss dump log file name\n", out)
	_, err = run(t, "dumpCompactionLog", "-f", path+"x")
	require.ErrorContains(t, err, "not exist")
	_, err = run(t, "dumpCompactionLog", "-f", dir)
	require.ErrorContains(t, err, "is a directory")
}
