package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const (
	batchCQTopic  = "DiskBatchCQ"
	batchUnitSize = 46 // Java: BatchConsumeQueue.CQ_STORE_UNIT_SIZE

	codeSearchOffset = 29 // SEARCH_OFFSET_BY_TIMESTAMP

	flagInnerBatch, flagNeedUnwrap = 0x80, 0x40 // Java: MessageSysFlag
)

// TestBatchQueues takes a topic with batch queues from Skylark to Java and back, each killed. A stock client sends to
// it and consumes from it, both servers give the same answers, and each unit is the one that Java's format has for
// its record, whoever wrote it.
func TestBatchQueues(t *testing.T) {
	cluster.SkipIfOff(t)
	t.Parallel()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	o := cluster.Options{Namesrv: []string{ns.Addr()}, Dir: dir, Port: cluster.FreePort(t), Unlisted: true,
		ExtraConf: append([]string{"mapperFileSizeBatchConsumeQueue=" + strconv.Itoa(batchUnitSize*8)}, brokerConf...)}
	w := wire{t, cluster.StartBroker(t, o)}
	w.call(codeCreateTopic, map[string]string{"topic": batchCQTopic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1", "perm": "6",
		"topicFilterType": "SINGLE_TAG", "order": "false", "attributes": "+queue.type=BatchCQ"}, nil)
	w.s.AwaitRoute(t, batchCQTopic)

	produce := func(args ...string) []cluster.Event {
		args = append([]string{"namesrv=" + ns.Addr(), "topic=" + batchCQTopic}, args...)
		return cluster.Of(cluster.Java(t, cluster.ClientV5, "produce", args...).Wait(t, limit), "sent")
	}
	bodies := map[int64]string{} // by queue offset
	for _, e := range produce("prefix=batch", "mode=batch", "batch=3", "count=40", "tags=TagA,TagB") {
		bodies[e.QueueOffset()] = e.Body()
	}
	require.Len(t, bodies, 40)
	plainEnd := int64(len(bodies))
	auto := produce("prefix=auto", "mode=async", "autoBatch=true", "count=60", "tag=TagA")
	require.Len(t, auto, 60)
	_, end := w.bounds(batchCQTopic, 0)
	require.EqualValues(t, 100, end)
	got := consumeBatches(t, ns, "GID_disk_batch", 100)
	for offset, body := range bodies {
		require.Equal(t, body, got[offset])
	}
	for _, e := range auto { // the client is told of the batch, not of its message's place in it
		require.Equal(t, got[e.QueueOffset()][:4], e.Body()[:4])
	}
	recs := readBatchQueue(t, w, 0, end)
	require.Greater(t, len(recs), 8, "too few for several files")
	require.Less(t, len(recs), 60, "the client made no batches")
	one := w.send(0, &message{topic: batchCQTopic, body: []byte("single"), props: map[string]string{"UNIQ_KEY": "single", "TAGS": "TagZ"}})
	require.Equal(t, end, one[0].offset)
	answers := batchAnswers(w, recs, plainEnd)
	w.s.Kill(t)

	w = wire{t, cluster.StartJavaBroker(t, o)}
	sameAnswers(t, answers, batchAnswers(w, recs, plainEnd))
	for i := range 20 {
		sendInner(w, i, 1+i%4)
	}
	_, end = w.bounds(batchCQTopic, 0)
	require.EqualValues(t, 101+50, end)
	recs = readBatchQueue(t, w, 0, end)
	answers = batchAnswers(w, recs, plainEnd)
	w.s.Kill(t)
	checkBatchUnits(t, store, recs)

	w = wire{t, cluster.StartBroker(t, o)}
	require.Equal(t, recs, readBatchQueue(t, w, 0, end))
	sameAnswers(t, batchAnswers(w, recs, plainEnd), answers)
	sendInner(w, 99, 5)
	again := consumeBatches(t, ns, "GID_disk_batch_again", int(end)+5)
	for offset, body := range got {
		require.Equal(t, body, again[offset])
	}
	recs = readBatchQueue(t, w, 0, end+5)
	w.s.Stop(t)
	checkHandBack(t, store)
	checkBatchUnits(t, store, recs)
	require.NoDirExists(t, filepath.Join(store, "consumequeue", batchCQTopic), "Java does not start with it")
}

// consumeBatches lets a stock client consume n messages and returns their bodies by queue offset.
func consumeBatches(t *testing.T, ns *cluster.Server, group string, n int) map[int64]string {
	t.Helper()
	out := map[int64]string{}
	run := cluster.Java(t, cluster.ClientV5, "consume", "namesrv="+ns.Addr(), "topic="+batchCQTopic, "group="+group, fmt.Sprintf("expect=%d", n))
	for _, e := range cluster.Of(run.Wait(t, limit), "msg") {
		require.NotContains(t, out, e.QueueOffset(), "a message came twice")
		out[e.QueueOffset()] = e.Body()
	}
	return out
}

// sendInner sends a batch as a Java client does.
func sendInner(w wire, number, n int) {
	w.t.Helper()
	var body []byte
	for i := range n {
		body = append(body, (&message{body: fmt.Append(nil, "inner ", number, " ", i), props: map[string]string{"UNIQ_KEY": fmt.Sprint(number, ".", i)}}).batchItem()...)
	}
	key := fmt.Sprint("KEY", number)
	r := w.call(codeSendBatch, map[string]string{"a": "PID_disk", "b": batchCQTopic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
		"g": strconv.FormatInt(time.Now().UnixMilli(), 10), "h": "0", "j": "0", "k": "false", "i": joinProperties(map[string]string{"UNIQ_KEY": key, "TAGS": "TagC"}), "m": "true"}, body)
	require.Equal(w.t, key, r.Ext["batchUniqId"])
}

// readBatchQueue reads all records and checks how they follow each other.
func readBatchQueue(t *testing.T, w wire, from, end int64) []record {
	t.Helper()
	var out []record
	deadline := time.Now().Add(limit)
	for next := from; next < end; {
		recs, then := w.pull(batchCQTopic, 0, next, "*")
		for _, r := range recs {
			require.Equal(t, next, r.offset)
			next += innerNum(t, r)
			out = append(out, r)
		}
		if len(recs) > 0 {
			require.Equal(t, next, then)
		}
		require.True(t, time.Now().Before(deadline), "%s does not pass offset %d", w.s, next)
	}
	return out
}

// innerNum returns how many messages a record holds.
func innerNum(t *testing.T, r record) int64 {
	if r.props["INNER_NUM"] == "" {
		require.Zero(t, r.sysFlag&(flagInnerBatch|flagNeedUnwrap))
		return 1
	}
	require.EqualValues(t, flagInnerBatch|flagNeedUnwrap, r.sysFlag)
	require.Equal(t, strconv.FormatInt(r.offset, 10), r.props["INNER_BASE"])
	require.Equal(t, "DefaultCluster", r.props["CLUSTER"])
	require.Equal(t, "DefaultRegion", r.props["MSG_REGION"])
	return number(t, r.props, "INNER_NUM")
}

// answer is what a server says, and the records in a reply to a pull.
type answer struct {
	text string
	recs []string
	next int64 // where one that found nothing goes on
}

// sameAnswers compares the answers. Java ends a reply where a file of the queue ends.
func sameAnswers(t *testing.T, ours, javas []answer) {
	t.Helper()
	require.Len(t, ours, len(javas))
	for i, a := range ours {
		require.Equal(t, javas[i].text, a.text)
		require.LessOrEqual(t, javas[i].next, a.next, a.text)
		require.LessOrEqual(t, len(javas[i].recs), len(a.recs), a.text)
		require.Equal(t, javas[i].recs, a.recs[:len(javas[i].recs)], a.text)
	}
}

// batchAnswers asks what must not depend on who serves the folder.
func batchAnswers(w wire, recs []record, plainEnd int64) []answer {
	w.t.Helper()
	var out []answer
	low, high := w.bounds(batchCQTopic, 0)
	out = append(out, answer{text: fmt.Sprintf("bounds %d %d", low, high)})
	pull := func(offset int64, most, tags string) {
		r := w.call(codePull, map[string]string{"consumerGroup": "GID_disk_reader", "topic": batchCQTopic, "queueId": "0",
			"queueOffset": strconv.FormatInt(offset, 10), "maxMsgNums": most, "sysFlag": "4", "commitOffset": "0",
			"suspendTimeoutMillis": "0", "subscription": tags, "subVersion": "0", "expressionType": "TAG"}, nil, respPullNotFound, respPullRetry, 21)
		a := answer{text: fmt.Sprintf("pull %d %s %s: %d %s, of [%s,%s)", offset, most, tags, r.Code, r.Remark, r.Ext["minOffset"], r.Ext["maxOffset"])}
		switch r.Code {
		case respPullRetry:
			a.next = number(w.t, r.Ext, "nextBeginOffset")
		case respSuccess:
			recs, err := parseRecords(r.Body)
			require.NoError(w.t, err)
			for _, rec := range recs {
				a.recs = append(a.recs, string(rec.raw))
			}
		default:
			a.text += ", next " + r.Ext["nextBeginOffset"]
		}
		out = append(out, a)
	}
	for offset := int64(-1); offset < high+3; offset += 3 {
		pull(offset, strconv.Itoa(int(offset%40)+2), "*")
		if offset >= plainEnd {
			pull(offset, "20", "TagA")
		}
	}
	for i := 1; i < len(recs)-1; i++ {
		r := recs[i]
		if recs[i-1].stored == r.stored || recs[i+1].stored == r.stored {
			continue // Java's answers are not the first or last of those of one millisecond
		}
		for _, boundary := range []string{"LOWER", "UPPER"} {
			a := w.call(codeSearchOffset, map[string]string{"topic": batchCQTopic, "queueId": "0", "timestamp": strconv.FormatInt(r.stored, 10), "boundaryType": boundary}, nil)
			out = append(out, answer{text: fmt.Sprintf("search %d %s: %s", r.offset, boundary, a.Ext["offset"])})
		}
	}
	return out
}

// checkBatchUnits holds the files of the queue against its records: a unit each, then zeros.
func checkBatchUnits(t *testing.T, store string, recs []record) {
	t.Helper()
	dir := filepath.Join(store, "batchconsumequeue", batchCQTopic, "0")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []byte
	for i, e := range entries {
		require.Equal(t, fmt.Sprintf("%020d", i*batchUnitSize*8), e.Name())
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		require.Len(t, b, batchUnitSize*8)
		got = append(got, b...)
	}
	for _, r := range recs {
		want := binary.BigEndian.AppendUint64(nil, uint64(r.physical))
		want = binary.BigEndian.AppendUint32(want, uint32(len(r.raw)))
		want = binary.BigEndian.AppendUint64(want, uint64(javaHash(r.tagName)))
		want = binary.BigEndian.AppendUint64(want, uint64(r.stored))
		want = binary.BigEndian.AppendUint64(want, uint64(r.offset))
		want = binary.BigEndian.AppendUint16(want, uint16(innerNum(t, r)))
		want = append(want, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
		require.Equal(t, want, got[:batchUnitSize], "the unit of offset %d", r.offset)
		got = got[batchUnitSize:]
	}
	for _, c := range got {
		require.Zero(t, c, "behind the last unit")
	}
}

// javaHash is String.hashCode of a tag of letters that UTF-16 has in one unit, as a ConsumeQueue's unit holds it.
func javaHash(s string) int64 {
	var h int32
	for _, c := range s {
		h = 31*h + int32(c)
	}
	return int64(h)
}
