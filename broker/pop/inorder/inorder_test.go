package inorder_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/pop/inorder"
	"github.com/skylarkmq/skylark/broker/pop/receipt"
)

const popTime = 1700000000123

func open(t *testing.T, path string, free func(string, string, int32)) *inorder.Table {
	t.Helper()
	table, err := inorder.Open(inorder.Options{Path: path, Logger: zerolog.Nop(), PersistEvery: time.Hour, Free: free})
	require.NoError(t, err)
	return table
}

func update(table *inorder.Table, attempt string, queue int32, at int64, offsets ...int64) string {
	var l receipt.Lists
	table.Update(inorder.Popped{Topic: "T", Group: "G", AttemptID: attempt, QueueID: queue, PopTime: at, InvisibleTime: 60000, Offsets: offsets}, &l)
	return string(l.OrderCount)
}

func file(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	text := regexp.MustCompile(`"l":\d+`).ReplaceAllString(string(b), `"l":1`)
	return regexp.MustCompile(`"(\d+)":`).ReplaceAllString(text, "$1:") // Java reads quoted numbers as well
}

// TestFileAndCountsAreJavas does what PopGolden.order does.
func TestFileAndCountsAreJavas(t *testing.T) {
	b, err := os.ReadFile("../testdata/pop.json")
	require.NoError(t, err)
	var golden struct {
		Order struct {
			Counts     []string
			Next       []int64
			File, Last string
		}
	}
	require.NoError(t, json.Unmarshal(b, &golden))
	path := filepath.Join(t.TempDir(), "consumerOrderInfo.json")
	table := open(t, path, nil)
	var next []int64
	ack := func(queue int32, offset, at int64) {
		n, outcome := table.Ack("T", "G", queue, offset, at)
		switch outcome {
		case inorder.Illegal:
			n = -1
		case inorder.Ignored:
			n = -2
		}
		next = append(next, n)
	}
	counts := []string{update(table, "one", 0, popTime, 5, 6, 9)}
	for _, at := range []int64{5, 9, 7} {
		ack(0, at, popTime)
	}
	ack(0, 6, 1)
	table.SetVisible("T", "G", 0, 6, popTime, 1700000070123)
	counts = append(counts, update(table, "", 11, popTime, 5))
	require.NoError(t, table.Close())
	require.Equal(t, golden.Order.File, file(t, path))

	table = open(t, path, nil) // what was written is read
	counts = append(counts, update(table, "two", 0, popTime+100000, 6, 9, 10), update(table, "two", 0, popTime+100001, 6, 9, 10), update(table, "three", 0, popTime+200000, 6, 9))
	ack(0, 6, popTime+200000)
	ack(0, 9, popTime+200000)
	ack(5, 77, 1)
	require.NoError(t, table.Close())
	require.Equal(t, golden.Order.Counts, counts)
	require.Equal(t, golden.Order.Next, next)
	require.Equal(t, golden.Order.Last, file(t, path))
}

func TestQueueIsBlockedUntilAcknowledgedOrVisible(t *testing.T) {
	type queue struct {
		topic, group string
		id           int32
	}
	freed := make(chan queue, 10)
	path := filepath.Join(t.TempDir(), "consumerOrderInfo.json")
	table := open(t, path, func(topic, group string, id int32) { freed <- queue{topic, group, id} })
	now := time.Now().UnixMilli()
	require.False(t, table.Blocked("a", "T", "G", 3, 1000))
	update(table, "a", 3, now, 1, 2)
	require.True(t, table.Blocked("b", "T", "G", 3, 1000))
	require.True(t, table.Blocked("", "T", "G", 3, 1000))
	require.False(t, table.Blocked("a", "T", "G", 3, 1000), "the same attempt gets its messages again")
	require.False(t, table.Blocked("b", "T", "G", 4, 1000))
	table.SetVisible("T", "G", 3, 1, now, now+100)
	require.True(t, table.Blocked("b", "T", "G", 3, 1000), "the other one is not acknowledged")
	table.SetVisible("T", "G", 3, 2, now, now+200)
	require.Equal(t, queue{"T", "G", 3}, <-freed)
	require.GreaterOrEqual(t, time.Now().UnixMilli(), now+200)
	require.False(t, table.Blocked("b", "T", "G", 3, 1000))

	update(table, "c", 3, now, 1, 2)
	for _, at := range []int64{1, 2} {
		require.True(t, table.Blocked("b", "T", "G", 3, 1000))
		_, outcome := table.Ack("T", "G", 3, at, now)
		require.Equal(t, inorder.Commit, outcome)
	}
	require.Equal(t, queue{"T", "G", 3}, <-freed)
	require.False(t, table.Blocked("b", "T", "G", 3, 1000))

	update(table, "d", 3, now, 3)
	require.NoError(t, table.Close())
	table = open(t, path, nil)
	require.True(t, table.Blocked("b", "T", "G", 3, 1000), "a stop frees nothing")
	table.Clear("T", "G", 3)
	require.False(t, table.Blocked("b", "T", "G", 3, 1000))
	require.NoError(t, table.Close())
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"orderInfoCount":1,"table":{"T@G":{0:{"a":"x","cm":5,"i":60000,"l":1,"o":[5,1,4],"oc":{5:1},"ot":{6:7},"popTime":1}}}}`))
	f.Add([]byte(`{"table":{"T@G":{"0":null,"-1":{"o":[1]},"1":{"o":[]}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "consumerOrderInfo.json")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		table, err := inorder.Open(inorder.Options{Path: path, Logger: zerolog.Nop(), PersistEvery: time.Hour})
		if err != nil {
			return
		}
		table.Blocked("", "T", "G", 0, 1)
		table.Ack("T", "G", 0, 5, 1)
		update(table, "y", 0, 1, 5, 6)
		require.NoError(t, table.Close())
	})
}
