package consumer

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// TestQueuesAreSharedOutAsJavaDoes compares all divisions with AllocateMessageQueueAveragely's.
func TestQueuesAreSharedOutAsJavaDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/allocate.json")
	require.NoError(t, err)
	var java map[string]any
	require.NoError(t, json.Unmarshal(text, &java))
	checked := 0
	for key, shares := range java {
		queues, consumers, ok := strings.Cut(key, "/")
		if !ok {
			continue
		}
		nq, _ := strconv.Atoi(queues)
		nc, _ := strconv.Atoi(consumers)
		var all []client.MessageQueue
		var ids []string
		for i := range nq {
			all = append(all, client.MessageQueue{Topic: "T", BrokerName: "b", QueueID: int32(i)})
		}
		for i := range nc {
			ids = append(ids, "c"+strconv.Itoa(i))
		}
		for i := range nc {
			rand.Shuffle(nq, func(a, b int) { all[a], all[b] = all[b], all[a] })
			rand.Shuffle(nc, func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
			got := []any{}
			for _, q := range allocate("c"+strconv.Itoa(i), ids, all) {
				got = append(got, float64(q.QueueID))
			}
			require.Equal(t, shares.([]any)[i], got, "%s, consumer %d", key, i)
			checked++
		}
	}
	require.Equal(t, 17*45, checked)
	require.Empty(t, allocate("stranger", []string{"a"}, []client.MessageQueue{{}}))
}

func TestQueuesAreOrderedAsJavaDoes(t *testing.T) {
	list := []client.MessageQueue{{Topic: "b"}, {Topic: "a", BrokerName: "y", QueueID: 1}, {Topic: "a", BrokerName: "x", QueueID: 10}, {Topic: "a", BrokerName: "x", QueueID: 2}}
	slices.SortFunc(list, client.MessageQueue.Compare)
	require.Equal(t, []client.MessageQueue{{Topic: "a", BrokerName: "x", QueueID: 2}, {Topic: "a", BrokerName: "x", QueueID: 10}, {Topic: "a", BrokerName: "y", QueueID: 1}, {Topic: "b"}}, list)
}

func messages(from, to int) []*client.MessageExt {
	var out []*client.MessageExt
	for i := from; i < to; i++ {
		m := &client.MessageExt{}
		m.QueueOffset, m.Body = int64(i), []byte("four")
		out = append(out, m)
	}
	return out
}

// TestOffsetIsThatOfTheFirstMessageInHand: what is finished in between does not move it.
func TestOffsetIsThatOfTheFirstMessageInHand(t *testing.T) {
	pq := newProcessQueue(context.Background(), client.MessageQueue{}, 10)
	var committed []int64
	commit := func(offset int64) { committed = append(committed, offset) }
	pq.advance(12, commit)
	list := pq.put(append(messages(12, 15), messages(20, 22)...), 30)
	pq.advance(40, commit) // there are messages in hand
	pq.finish(list[1:2], commit)
	pq.finish(list[1:2], commit) // twice is once
	pq.finish(list[:1], commit)
	pq.finish(list[4:], commit)
	pq.finish(list[2:4], commit)
	require.Equal(t, []int64{12, 12, 12, 14, 14, 30}, committed)
	require.Zero(t, pq.count)
	require.Zero(t, pq.size)

	list = pq.put(messages(30, 33), 33)
	pq.drop()
	pq.finish(list, commit)
	pq.advance(50, commit)
	require.Len(t, committed, 6, "nothing is committed of a queue that is another consumer's")
}

func TestQueueIsFull(t *testing.T) {
	pq := newProcessQueue(context.Background(), client.MessageQueue{}, 0)
	o := &Options{MaxCached: 3, MaxCachedBytes: 100, MaxSpan: 50}
	full := func() []bool { return []bool{pq.full(o, false), pq.full(o, true)} }
	list := pq.put(messages(0, 3), 3)
	require.Equal(t, []bool{false, false}, full())
	list = append(list, pq.put(messages(60, 61), 61)...)
	require.Equal(t, []bool{true, true}, full(), "by number")
	nothing := func(int64) {}
	pq.finish(list[1:3], nothing)
	require.Equal(t, []bool{true, false}, full(), "by span")
	pq.finish(list[:1], nothing)
	require.Equal(t, []bool{false, false}, full())
	big := messages(61, 62)
	big[0].Body = make([]byte, 100)
	pq.put(big, 62)
	require.Equal(t, []bool{true, true}, full(), "by size")
	<-pq.room
}

func TestTasksAreTakenOnceEach(t *testing.T) {
	tasks := newTasks()
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan *processQueue, 100)
	ended := make(chan struct{})
	for range 4 {
		go func() {
			for {
				one, ok := tasks.take(ctx)
				if !ok {
					ended <- struct{}{}
					return
				}
				got <- one.pq
			}
		}()
	}
	seen := map[*processQueue]bool{}
	for range 25 {
		tasks.put(task{pq: &processQueue{}}, task{pq: &processQueue{}}, task{pq: &processQueue{}}, task{pq: &processQueue{}})
	}
	for range 100 {
		pq := <-got
		require.False(t, seen[pq])
		seen[pq] = true
	}
	cancel()
	for range 4 {
		<-ended
	}
}

func TestSubscriptionIsParsedAsJavaDoes(t *testing.T) {
	s := Subscription{Topic: "T", Expression: " TagA || TagB||TagA ||"}.subscription(5)
	require.Equal(t, "TAG", s.ExpressionType)
	require.Equal(t, []string{"TagA", "TagB"}, s.TagsSet)
	require.Equal(t, body.CodeSet{2598919, 2598920}, s.CodeSet)
	require.Empty(t, Subscription{Topic: "T", Expression: "*"}.subscription(5).TagsSet)
	require.Equal(t, "*", Subscription{Topic: "T"}.subscription(5).SubString)
	sql := Subscription{Topic: "T", Expression: "a > 1 || b", SQL: true}.subscription(5)
	require.Equal(t, "SQL92", sql.ExpressionType)
	require.Empty(t, sql.TagsSet)
}

// TestFileOfOffsetsIsJavas reads what Java's LocalFileOffsetStore writes, and writes the same.
func TestFileOfOffsetsIsJavas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "group", "offsets.json")
	q := client.MessageQueue{Topic: "T", BrokerName: "b", QueueID: 3}
	s := &offsets{file: path, group: "g", all: map[client.MessageQueue]int64{}, stored: map[client.MessageQueue]int64{}}
	require.NoError(t, s.readFile(), "there is none")
	s.update(q, 42)
	require.NoError(t, s.store(context.Background()))
	const java = `{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:42}}`
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, java, string(text))
	// With blanks, as Java's pretty form has it.
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(strings.ReplaceAll(java, ":42", ":43"), "{", "{\n\t")), 0o600))
	again := &offsets{file: path, group: "g", all: map[client.MessageQueue]int64{}, stored: map[client.MessageQueue]int64{}}
	require.NoError(t, again.readFile())
	require.EqualValues(t, 43, again.get(q))
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	require.Error(t, again.readFile())
}
