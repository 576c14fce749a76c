package inspect

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/segment"
)

const testBatchFile = batchUnitSize * 20

func batchSizes(root string) Options {
	o := sizes(root)
	o.BatchFileSize = testBatchFile
	return o
}

// putBatch stores an inner batch of n messages, a plain message for 0.
func putBatch(t testing.TB, s *store.Store, n int32) {
	t.Helper()
	k := &sink{}
	m := message.Message{Topic: "Batch", BornTimestamp: 1_700_000_000_000, Body: fmt.Append(nil, n, " messages")}
	props := []byte("TAGS\x01a\x02")
	if n > 0 {
		m.SysFlag = message.SysFlagInnerBatch | message.SysFlagNeedUnwrap
		props = message.AppendInnerBase(message.AppendProperty(props, message.PropertyInnerNum, fmt.Sprint(n)))
	}
	b, err := message.AppendRecord(nil, &m, string(props))
	require.NoError(t, err)
	k.wg.Add(1)
	require.NoError(t, s.Submit(&store.Group{Owner: k, Buf: b, Recs: []store.Rec{{Queue: s.Queue("Batch", 0), Size: int32(len(b)), TagsCode: 97, Inner: int16(n)}}}))
	k.wg.Wait()
	require.NoError(t, k.err)
}

// fillBatches makes a store with 50 records in a batch queue, between those of a simple one.
func fillBatches(t testing.TB, root string) {
	t.Helper()
	o := storeOptions(root)
	o.MapperFileSizeBatchConsumeQueue = testBatchFile
	o.BatchTopic = func(topic string) (bool, bool) { return topic == "Batch", true }
	s, err := store.Open(o)
	require.NoError(t, err)
	for i := range 50 {
		putBatch(t, s, int32(i%4))
		put(t, s, "A", 0, i*2, 2)
	}
	require.EqualValues(t, 86, s.Find("Batch", 0).Max())
	require.NoError(t, s.Close())
	topics := `{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1},"topicConfigTable":{"A":{"topicName":"A"},"Batch":{"topicName":"Batch","attributes":{"queue.type":"BatchCQ"}}}}`
	require.NoError(t, os.WriteFile(filepath.Join(root, "config", "topics.json"), []byte(topics), 0o644))
}

func batchPath(root string, file int64) string {
	return filepath.Join(root, "batchconsumequeue", "Batch", "0", segment.Name(file*testBatchFile))
}

func batchFiles(t testing.TB, root string) (out [3][]byte) {
	t.Helper()
	for i := range out {
		b, err := os.ReadFile(batchPath(root, int64(i)))
		require.NoError(t, err)
		out[i] = b
	}
	return out
}

func TestBatchQueuesAreCheckedAndBuiltAnew(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fillBatches(t, root)
	lines, sum := look(t, batchSizes(root))
	require.Empty(t, lines)
	require.EqualValues(t, 150, sum.Units)
	require.EqualValues(t, 2, sum.Queues)
	whole := batchFiles(t, root)
	for name, c := range map[string]struct {
		damage func(d string)
		says   string
	}{
		"offset":  {func(d string) { flip(t, batchPath(d, 1), 5*46+7, 1) }, "is not that of its record|where the log has no record"},
		"base":    {func(d string) { flip(t, batchPath(d, 0), 5*46+35, 1) }, "stands behind that of offset|is not that of its record"},
		"number":  {func(d string) { flip(t, batchPath(d, 0), 6*46+37, 4) }, "is not that of its record"},
		"hole":    {func(d string) { edit(t, batchPath(d, 0), func(b []byte) []byte { clear(b[92:184]); return b }) }, "no units from here on"},
		"head":    {func(d string) { edit(t, batchPath(d, 0), func(b []byte) []byte { clear(b[:46]); return b }) }, "no units from here on"},
		"end":     {func(d string) { edit(t, batchPath(d, 2), func(b []byte) []byte { clear(b[9*46:]); return b }) }, "no unit for the record at"},
		"folder":  {func(d string) { require.NoError(t, os.RemoveAll(filepath.Join(d, "batchconsumequeue"))) }, "no unit for the record at"},
		"file":    {func(d string) { require.NoError(t, os.Remove(batchPath(d, 1))) }, "files are missing in front"},
		"short":   {func(d string) { require.NoError(t, os.Truncate(batchPath(d, 2), 10)) }, "10 bytes long"},
		"garbage": {func(d string) { edit(t, batchPath(d, 2), func(b []byte) []byte { b[919] = 1; return b }) }, "no unit"},
		"stray":   {func(d string) { require.NoError(t, os.WriteFile(batchPath(d, 0)+".x", nil, 0o644)) }, "does not belong"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyTree(t, root)
			c.damage(dir)
			found, sum := look(t, batchSizes(dir))
			require.NotZero(t, sum.Damaged)
			require.Regexp(t, c.says, fmt.Sprint(found))
			steps, lines, _ := mend(t, batchSizes(dir), RepairOptions{})
			require.Empty(t, lines, "%v", steps)
			require.NotEmpty(t, steps)
			require.Equal(t, whole, batchFiles(t, dir))
		})
	}
}

func TestBatchQueueOfAnotherTypeIsDamage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fillBatches(t, root)
	edit(t, filepath.Join(root, "config", "topics.json"), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("BatchCQ"), []byte("SimpleCQ")) })
	lines, _ := look(t, batchSizes(root))
	require.Contains(t, fmt.Sprint(lines), "topics.json has no topic Batch with queue.type=BatchCQ, Java refuses to start")
}

func TestDumpOfABatchQueue(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fillBatches(t, root)
	var out bytes.Buffer
	require.NoError(t, DumpQueue(context.Background(), batchSizes(root), "Batch", 0, 3, 2, false, &out))
	require.Regexp(t, `^2 offset=\d+ size=\d+ tagsCode=97 0{20}@92 messages=2 .*\n4 offset=\d+ size=\d+ tagsCode=97 0{20}@138 messages=3 .*\n$`, out.String())
}
