package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/index"
)

// writeIndex writes an index file of the first n records of topic A as Java would, 16 slots and 64 entries.
func writeIndex(t *testing.T, root string, recs []store.Rec, n int) string {
	t.Helper()
	o := sizes(root)
	b := make([]byte, indexHeaderSize+4*o.HashSlots+indexEntrySize*o.IndexEntries)
	long := func(at int, v int64) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }
	word := func(at int64, v int32) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
	long(0, recs[0].StoreTimestamp)
	long(8, recs[n-1].StoreTimestamp)
	long(16, recs[0].PhysicalOffset)
	long(24, recs[n-1].PhysicalOffset)
	used := int32(0)
	for i := range n {
		hash := index.Hash("A", fmt.Sprintf("k%d", i))
		slot := indexHeaderSize + 4*(int64(hash)%o.HashSlots)
		prev := int32(binary.BigEndian.Uint32(b[slot:]))
		if prev == 0 {
			used++
		}
		at := indexHeaderSize + 4*o.HashSlots + indexEntrySize*int64(i+1)
		word(at, hash)
		long(int(at)+4, recs[i].PhysicalOffset)
		word(at+16, prev)
		word(slot, int32(i+1))
	}
	word(32, used)
	word(36, int32(n+1))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "index"), 0o755))
	path := filepath.Join(root, "index", "20260102030405678")
	require.NoError(t, os.WriteFile(path, b, 0o644))
	return path
}

func TestIndexFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 10)["A"]
	writeIndex(t, root, recs, 60)
	lines, s := look(t, sizes(root))
	require.Empty(t, lines)
	require.EqualValues(t, 60, s.IndexEntries)
	entry := func(n int64) int64 { return indexHeaderSize + 4*16 + indexEntrySize*n }
	for _, x := range []struct {
		name string
		at   int64
		mask byte
		want string
	}{
		{"count", 36, 1, "@32: the header counts 16777277 entries"},
		{"end offset", 24, 1, "@0: the header tells of times"},
		{"hash", entry(20), 0x80, fmt.Sprintf("@%d: entry 20 has key hash -", entry(20))},
		{"hash of another key", entry(20), 0x10, fmt.Sprintf("@%d: entry 20 points to %d, whose record has no key with hash", entry(20), recs[19].PhysicalOffset)},
		{"offset ahead", entry(20) + 4, 1, fmt.Sprintf("@%d: entry 20 has key hash", entry(20))},
		{"offset of no record", entry(20) + 11, 1, fmt.Sprintf("@%d: entry 20 points to %d, where the log has no record", entry(20), recs[19].PhysicalOffset^1)},
		{"chain", entry(59) + 19, 0x20, fmt.Sprintf("@%d: entry 59 continues with entry", entry(59)+16)},
		{"slot", indexHeaderSize + 3, 0x20, fmt.Sprintf("@%d: slot 0 holds entry", indexHeaderSize)},
		{"used", 35, 1, "@32: the header counts 15 used slots, there are 14"},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := copyTree(t, root)
			flip(t, filepath.Join(dir, "index", "20260102030405678"), x.at, x.mask)
			lines, s := look(t, sizes(dir))
			require.NotEmpty(t, lines)
			require.NotZero(t, s.Damaged)
			require.Contains(t, strings.Join(lines, "\n"), "DAMAGED index/20260102030405678"+x.want)
			_, lines, _ = mend(t, sizes(dir), RepairOptions{})
			require.Empty(t, lines)
			require.NoFileExists(t, filepath.Join(dir, "index", "20260102030405678"))
		})
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "index", "x"), nil, 0o644))
	require.NoError(t, os.Truncate(filepath.Join(root, "index", "20260102030405678"), 100))
	lines, _ = look(t, sizes(root))
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], "@100: 100 bytes long")
	require.Contains(t, lines[1], "index/x@0: the file does not belong")
	require.NoError(t, os.WriteFile(filepath.Join(root, "abort"), nil, 0o644))
	_, s = look(t, sizes(root))
	require.Zero(t, s.Damaged, "after a crash a start drops what it does not trust")
}

// TestTagsAreAKey: the hash stands in an index file that a 5.5.0 broker wrote for topic A, tags a.
func TestTagsAreAKey(t *testing.T) {
	t.Parallel()
	r := message.Record{Message: message.Message{Topic: "A"}, Properties: "TAGS\x01a\x02"}
	require.True(t, hasKey(&r, 61153456))
	require.False(t, hasKey(&r, 61153457))
}

// TestKeyHashIsJavas: "a" of topic "T" is Math.abs("T#a".hashCode()); the least int becomes 0.
func TestKeyHashIsJavas(t *testing.T) {
	t.Parallel()
	h := int32(0)
	for _, c := range "T#a" {
		h = 31*h + c
	}
	require.Equal(t, h, index.Hash("T", "a"))
	require.GreaterOrEqual(t, index.Hash("TopicA", "polygenelubricants"), int32(0))
}

func TestDumps(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 10)
	writeIndex(t, root, recs["A"], 60)
	o := sizes(root)
	dump := func(fn func(w *bytes.Buffer) error) []string {
		t.Helper()
		var w bytes.Buffer
		require.NoError(t, fn(&w))
		return strings.Split(strings.TrimSuffix(w.String(), "\n"), "\n")
	}
	log := func(q LogQuery) []string {
		return dump(func(w *bytes.Buffer) error { return DumpLog(t.Context(), o, q, w) })
	}
	require.Len(t, log(LogQuery{}), 140)
	require.Len(t, log(LogQuery{Topic: "B"}), 70)
	second := recs["A"][1]
	lines := log(LogQuery{From: 1, Count: 1, Body: true}) // inside the first record
	require.Len(t, lines, 1)
	require.True(t, strings.HasPrefix(lines[0], fmt.Sprintf("%d %d A-0@1 ", second.PhysicalOffset, second.Size)), lines[0])
	require.Contains(t, lines[0], `sysFlag=0x0 keys="k1" tags="a" properties="TAGS␁a␂KEYS␁k1␂" body="A-0-1"`)
	lines = log(LogQuery{From: recs["B"][69].PhysicalOffset, JSON: true})
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `"queueOffset":69`)
	require.Contains(t, lines[0], `"properties":"TAGS\u0001a\u0002KEYS\u0001k69\u0002"`)
	require.Equal(t, []string{""}, log(LogQuery{From: 1 << 40}))
	lines = dump(func(w *bytes.Buffer) error { return DumpQueue(t.Context(), o, "A", 0, -1, 0, false, w) })
	require.Len(t, lines, 70)
	require.Equal(t, fmt.Sprintf("1 offset=%d size=%d tagsCode=97 00000000000000000000@20", second.PhysicalOffset, second.Size), lines[1])
	lines = dump(func(w *bytes.Buffer) error { return DumpQueue(t.Context(), o, "A", 0, 60, 2, true, w) })
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `{"queueOffset":60,`)
	for _, topic := range []string{"none", "../consumequeue/A", ".."} {
		require.ErrorIs(t, DumpQueue(t.Context(), o, topic, 0, 0, 0, false, &bytes.Buffer{}), ErrNoStore, topic)
	}
	lines = dump(func(w *bytes.Buffer) error { return DumpIndex(t.Context(), o, "", false, w) })
	require.Contains(t, lines[0], "60 entries in 14 chains (14 by the header)")
	require.ErrorIs(t, DumpIndex(t.Context(), o, "none", false, &bytes.Buffer{}), ErrNoStore)
	lines = dump(func(w *bytes.Buffer) error { return DumpCheckpoint(o, false, w) })
	require.Len(t, lines, 9)
	lines = dump(func(w *bytes.Buffer) error { return DumpCheckpoint(o, true, w) })
	require.Contains(t, lines[0], `"logicsPhysicalOffset":`)
	// Damage shows between the records.
	flip(t, logPath(root, 0), second.PhysicalOffset+90, 1)
	lines = log(LogQuery{Count: 2})
	require.Equal(t, fmt.Sprintf("%d %d DAMAGED body checksum", second.PhysicalOffset, second.Size), lines[1][:len(lines[1])-len(" 0x00000000, stored 0x00000000")])
}
