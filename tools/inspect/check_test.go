package inspect

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/segment"
)

func TestCleanStoreIsCleanAndUntouched(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	before := tree(t, root)
	for _, o := range []Options{sizes(root), {Root: root, HashSlots: 16, IndexEntries: 64}} { // the sizes of log and queue files are found as well
		lines, s := look(t, o)
		require.Empty(t, lines)
		require.EqualValues(t, 420, s.Records)
		require.EqualValues(t, 420, s.Units)
		require.EqualValues(t, 2, s.Queues)
		require.EqualValues(t, 3, s.LogFiles)
		last := recs["B"][209]
		require.Equal(t, last.PhysicalOffset+int64(last.Size), s.LogEnd)
		require.True(t, s.Clean)
		require.False(t, s.Running)
	}
	require.Equal(t, before, tree(t, root), "a check writes nothing")
}

func TestRunningStoreHasNoDamage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := storeOptions(root)
	o.FlushIntervalConsumeQueue = 1 << 30 // the units stay in memory
	s, err := store.Open(o)
	require.NoError(t, err)
	defer s.Close()
	for i := range 20 {
		put(t, s, "A", 0, i*7, 7)
	}
	lines, sum := look(t, sizes(root))
	require.True(t, sum.Running)
	require.Zero(t, sum.Damaged, lines)
	require.EqualValues(t, 140, sum.Records)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "WARNING consumequeue/A/0@0: queue A-0: no units for offsets 0 to 139")
}

// TestCheckBesideABusyBroker: while the log, the queues and their files grow under it a check finds no damage.
func TestCheckBesideABusyBroker(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := storeOptions(root)
	o.FlushIntervalConsumeQueue = 10
	s, err := store.Open(o)
	require.NoError(t, err)
	defer s.Close()
	put(t, s, "A", 0, 0, 7)
	const rounds, perRound = 30, 40 // bounded: a check takes longer the more there is
	next, done := make(chan struct{}, rounds), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			if i%perRound == 0 {
				if _, ok := <-next; !ok {
					return
				}
			}
			put(t, s, "A", 0, i*7, 7)
			put(t, s, "B", int32(i%5), i/5, 1)
		}
	}()
	for range rounds {
		next <- struct{}{}
		lines, sum := look(t, sizes(root))
		if !assert.Zero(t, sum.Damaged, "%s", strings.Join(lines, "\n")) {
			break
		}
	}
	close(next)
	<-done
}

func TestNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Check(t.Context(), Options{Root: dir}, nil)
	require.ErrorIs(t, err, ErrNoStore)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "consumequeue"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "consumequeue", "CURRENT"), nil, 0o644))
	_, err = Check(t.Context(), Options{Root: dir}, nil)
	require.ErrorContains(t, err, "RocksDB")
	require.Empty(t, func() []os.DirEntry { e, _ := os.ReadDir(filepath.Join(dir, "commitlog")); return e }())
}

// TestEachFieldOfARecord flips a bit of each field of one record.
func TestEachFieldOfARecord(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	r := recs["A"][10]
	pos, end := r.PhysicalOffset, r.PhysicalOffset+int64(r.Size)
	require.Less(t, end, int64(testLogFile))
	at := "commitlog/00000000000000000000@" + fmt.Sprint(pos)
	damage := fmt.Sprintf("DAMAGED %s: damaged bytes [%d,%d) of the log, %d to %d of the file: ", at, pos, end, pos, end)
	lost := "WARNING consumequeue/A/0/00000000000000000000@200: queue A-0: the units of offsets 10 to 10 point to " + fmt.Sprint(pos) + " and on, into damaged bytes of the log"
	unit := fmt.Sprintf("DAMAGED consumequeue/A/0/00000000000000000000@200: queue A-0: the units of offsets 10 to 10 point to %d and on, where the log has no record of theirs", pos)
	body := int64(88)
	topic := body + int64(len("A-0-10")) + 1
	for _, x := range []struct {
		field string
		at    int64
		mask  byte
		want  []string // beginnings of the lines
	}{
		{"size", 3, 4, []string{damage + "lengths do not add up", lost}},
		{"size, huge", 0, 0x40, []string{damage + "a record of 10737", lost}},
		{"size, the rest of the file", 2, 0x10, []string{damage + "lengths do not add up to size 42", lost}},
		{"magic", 5, 1, []string{damage + "magic 0x", lost}},
		{"body CRC", 9, 1, []string{damage + "body checksum", lost}},
		{"queue id", 15, 1, []string{"DAMAGED consumequeue/A/1@0: queue A-1: no units for offsets 10 to 10, whose records are in the log from " + fmt.Sprint(pos), unit}},
		{"queue id, negative", 12, 0x80, []string{"DAMAGED " + at + ": the record is of queue -2147483648, offset 10", unit}},
		{"queue offset", 27, 1, []string{"DAMAGED consumequeue/A/0/00000000000000000000@220: queue A-0: the unit of offset 11 points to", unit}},
		{"physical offset", 35, 1, []string{damage + "the record says it is at", lost}},
		{"sysFlag, transaction", 39, 8, nil}, // a committed message: nothing tells
		{"sysFlag, prepared", 39, 4, []string{}},
		{"sysFlag, host", 39, 0x10, []string{damage + "lengths do not add up", lost}},
		{"store timestamp, back", 56, 0xff, []string{"WARNING " + at + ": the store timestamp is "}},
		{"body length", 87, 1, []string{damage + "lengths do not add up", lost}},
		{"body", body, 1, []string{damage + "body checksum", lost}},
		{"topic length", topic - 1, 1, []string{damage + "lengths do not add up", lost}},
		{"topic", topic, 2, []string{"DAMAGED consumequeue/C/0@0: queue C-0: no units", unit}},
		{"tags", topic + 3 + 5, 2, []string{"DAMAGED consumequeue/A/0/00000000000000000000@200: queue A-0: the unit of offset 10 has the tags code 97, its record 99"}},
	} {
		t.Run(x.field, func(t *testing.T) {
			dir := copyTree(t, root)
			flip(t, logPath(dir, 0), pos+x.at, x.mask)
			lines, s := look(t, sizes(dir))
			if len(x.want) != len(lines) {
				require.Equal(t, x.want, lines)
			}
			damaged := int64(0)
			for i, w := range x.want {
				require.True(t, strings.HasPrefix(lines[i], w), "%s\n%s", w, lines[i])
				if strings.HasPrefix(w, "DAMAGED") {
					damaged++
				}
			}
			require.Equal(t, damaged, s.Damaged)
		})
	}
}

func TestPropertyChecksum(t *testing.T) {
	t.Parallel()
	m := message.Message{Topic: "T", Body: []byte("body")}
	make1 := func(digits string) []byte {
		b, err := message.AppendRecord(nil, &m, "TAGS\x01a\x02__CRC32#\x01"+digits+"\x02")
		require.NoError(t, err)
		message.Patch(b, 7, 0, 1000)
		return b
	}
	b := make1("0000000000")
	_, crc, ok := message.PropertyCRC(b, "TAGS\x01a\x02__CRC32#\x010000000000\x02")
	require.True(t, ok)
	digits := ""
	for range 10 { // least significant first
		digits += fmt.Sprint(crc % 10)
		crc /= 10
	}
	b = make1(digits)
	_, why := wholeRecord(b)
	require.Empty(t, why)
	for at := range len(b) - message.CRCPropertySize {
		broken := append([]byte(nil), b...)
		broken[at] ^= 1
		_, why := wholeRecord(broken)
		require.NotEmpty(t, why, "byte %d", at)
	}
	_, _, ok = message.PropertyCRC(b, "__CRC32#\x01000000000x\x02")
	require.False(t, ok)
}

func TestDamagedLogFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	end := recs["B"][209].PhysicalOffset + int64(recs["B"][209].Size)
	for _, x := range []struct {
		name   string
		damage func(dir string)
		want   string
		status int64 // damaged
	}{
		{"stray", func(d string) {
			require.NoError(t, os.WriteFile(filepath.Join(d, "commitlog", "foo.tmp"), nil, 0o644))
		}, "DAMAGED commitlog/foo.tmp@0: the file does not belong", 1},
		{"short", func(d string) { require.NoError(t, os.Truncate(logPath(d, 1), 5000)) },
			"DAMAGED commitlog/00000000000000016384@5000: 5000 bytes long, files here have 16384", 2},
		{"hole", func(d string) { require.NoError(t, os.Remove(logPath(d, 1))) },
			"DAMAGED commitlog@0: the files between 00000000000000000000 and 00000000000000032768 are missing", 1},
		{"stale tail", func(d string) { flip(t, logPath(d, 2), end%testLogFile+500, 1) },
			fmt.Sprintf("DAMAGED commitlog/00000000000000032768@%d: bytes up to %d stand behind the end", end%testLogFile, end%testLogFile+501), 1},
		{"blank record", func(d string) {
			flip(t, logPath(d, 0), lastOf(recs, 0)+7, 1)
		}, fmt.Sprintf("DAMAGED commitlog/00000000000000000000@%d: damaged bytes [%d,16384)", lastOf(recs, 0), lastOf(recs, 0)), 1},
		{"last file gone", func(d string) { require.NoError(t, os.Remove(logPath(d, 2))) },
			"DAMAGED consumequeue/A/0/00000000000000002000@920: queue A-0: the units of offsets 146 to 209 point to 32768 and on, behind the end", -1},
		{"zero file behind", func(d string) {
			require.NoError(t, os.WriteFile(logPath(d, 3), make([]byte, testLogFile), 0o644))
		}, "WARNING commitlog/00000000000000049152@0: a file of zeros", 0},
		{"empty file behind", func(d string) { require.NoError(t, os.WriteFile(logPath(d, 3), nil, 0o644)) },
			"WARNING commitlog/00000000000000049152@0: the last file is empty", 0},
		{"odd name", func(d string) {
			require.NoError(t, os.WriteFile(filepath.Join(d, "commitlog", "00000000000000065537"), make([]byte, testLogFile), 0o644))
		}, "DAMAGED commitlog/00000000000000065537@0: the name is no multiple", 1},
		{"durable tail zeroed", func(d string) {
			edit(t, logPath(d, 2), func(b []byte) []byte { clear(b[end%testLogFile-150:]); return b })
		}, "DAMAGED commitlog/00000000000000032768@", 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := copyTree(t, root)
			x.damage(dir)
			lines, s := look(t, sizes(dir))
			require.NotEmpty(t, lines)
			require.True(t, strings.HasPrefix(lines[0], x.want), "%s", strings.Join(lines, "\n"))
			if x.status >= 0 {
				require.Equal(t, x.status, s.Damaged, "%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// lastOf returns where the last record of log file n ends.
func lastOf(recs map[string][]store.Rec, n int64) int64 {
	out := int64(0)
	for _, rs := range recs {
		for _, r := range rs {
			if r.PhysicalOffset/testLogFile == n {
				out = max(out, r.PhysicalOffset%testLogFile+int64(r.Size))
			}
		}
	}
	return out
}

func TestDamagedQueues(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, 30)
	a := func(d string) string { return queuePath(d, "A", 0, 0) }
	for _, x := range []struct {
		name   string
		damage func(dir string)
		want   []string
	}{
		{"physical offset", func(d string) { flip(t, a(d), 5*20+7, 1) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000000000@100: queue A-0: the unit of offset 5 points to"}},
		{"size", func(d string) { flip(t, a(d), 5*20+11, 1) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000000000@100: queue A-0: the unit of offset 5 points to"}},
		{"tags code", func(d string) { flip(t, a(d), 5*20+19, 1) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000000000@100: queue A-0: the unit of offset 5 has the tags code 96, its record 97"}},
		{"negative", func(d string) { flip(t, a(d), 5*20, 0x80) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000000000@100: queue A-0: offsets 5 to 5 hold no units"}},
		{"first unit far ahead", func(d string) { flip(t, a(d), 3, 1) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000000000@0: queue A-0: the units of offsets 0 to 0 point to 4294967296 and on, behind the end"}},
		{"torn last unit", func(d string) {
			edit(t, queuePath(d, "A", 0, 4), func(b []byte) []byte { clear(b[9*20+8 : 10*20]); return b })
		}, []string{"DAMAGED consumequeue/A/0/00000000000000004000@180: queue A-0: bytes behind the last unit, of offset 208, are not zero",
			"DAMAGED consumequeue/A/0/00000000000000004000@180: queue A-0: no units for offsets 209 to 209"}},
		{"hole", func(d string) {
			edit(t, a(d), func(b []byte) []byte { clear(b[100:200]); return b })
		}, []string{"DAMAGED consumequeue/A/0/00000000000000000000@100: queue A-0: no units from offset 5 on, and units again at 10"}},
		{"stale bytes", func(d string) { flip(t, queuePath(d, "A", 0, 4), 900, 1) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000004000@900: queue A-0: bytes behind the last unit, of offset 209"}},
		{"first file gone", func(d string) { require.NoError(t, os.Remove(a(d))) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000000000@0: queue A-0: no units for offsets 0 to 49"}},
		{"middle file gone", func(d string) { require.NoError(t, os.Remove(queuePath(d, "A", 0, 1))) },
			[]string{"DAMAGED consumequeue/A/0@0: the files between 00000000000000000000 and 00000000000000002000 are missing",
				"DAMAGED consumequeue/A/0/00000000000000001000@0: queue A-0: no units for offsets 50 to 99"}},
		{"short file", func(d string) { require.NoError(t, os.Truncate(queuePath(d, "A", 0, 4), 500)) },
			[]string{"DAMAGED consumequeue/A/0/00000000000000004000@500: 500 bytes long, files here have 1000"}},
		{"folder gone", func(d string) { require.NoError(t, os.RemoveAll(filepath.Dir(a(d)))) },
			[]string{"DAMAGED consumequeue/A/0@0: queue A-0: no units for offsets 0 to 209"}},
		{"stray", func(d string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(a(d)), "x"), nil, 0o644))
		},
			[]string{"DAMAGED consumequeue/A/0/x@0: the file does not belong"}},
		{"stray a level higher", func(d string) {
			require.NoError(t, os.WriteFile(filepath.Join(d, "consumequeue", "x"), nil, 0o644))
		}, nil},
		{"deleted topic", func(d string) {
			require.NoError(t, os.RemoveAll(filepath.Dir(a(d))))
			require.NoError(t, os.WriteFile(filepath.Join(d, "config", "topics.json"), []byte(`{"topicConfigTable":{"B":{}}}`), 0o644))
		}, []string{"WARNING consumequeue/A/0@0: queue A-0: no units for offsets 0 to 209, whose records are in the log from 0 on; the topic is not in topics.json"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := copyTree(t, root)
			x.damage(dir)
			lines, _ := look(t, sizes(dir))
			require.Len(t, lines, len(x.want), "%s", strings.Join(lines, "\n"))
			for i, w := range x.want {
				require.True(t, strings.HasPrefix(lines[i], w), "%s\n%s", w, lines[i])
			}
		})
	}
}

// TestCrashIsNoDamage: what a start repairs by itself is a warning while the abort file is there.
func TestCrashIsNoDamage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, 4)
	require.NoError(t, os.WriteFile(filepath.Join(root, "abort"), []byte("1"), 0o644))
	require.NoError(t, os.Remove(filepath.Join(root, "checkpoint")))
	edit(t, queuePath(root, "A", 0, 0), func(b []byte) []byte { clear(b[27*20+8:]); return b })
	lines, s := look(t, sizes(root))
	require.Len(t, lines, 3)
	require.Zero(t, s.Damaged)
	require.False(t, s.Clean)
	verify(t, root, "A", 0, 28)
}

// TestQueuesThatBeginLater: pre-blank units, and units whose records the log has lost by age, are right.
func TestQueuesThatBeginLater(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	recs := fill(t, root, 30)
	require.NoError(t, os.Remove(logPath(root, 0)))
	lines, s := look(t, sizes(root))
	require.Empty(t, lines)
	require.EqualValues(t, testLogFile, s.LogFrom)
	edit(t, queuePath(root, "A", 0, 0), func(b []byte) []byte {
		for i := range 10 {
			consumequeue.PutUnit(b[i*20:], consumequeue.Unit{Size: preBlank})
		}
		return b
	})
	lines, _ = look(t, sizes(root))
	require.Empty(t, lines)
	// Below the log's first byte again, behind units that are not.
	first := 0
	for recs["A"][first].PhysicalOffset < testLogFile {
		first++
	}
	n := first + 20
	edit(t, queuePath(root, "A", 0, int64(n/50)), func(b []byte) []byte { clear(b[n%50*20 : n%50*20+8]); return b })
	lines, _ = look(t, sizes(root))
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "in front of the log")
}

func TestFormerLifeOfATopic(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	put(t, s, "A", 0, 0, 20)
	require.NoError(t, s.DeleteTopic("A"))
	put(t, s, "A", 0, 0, 5)
	require.NoError(t, s.Close())
	lines, sum := look(t, sizes(root))
	require.Empty(t, lines)
	require.EqualValues(t, 25, sum.Records)
	require.EqualValues(t, 5, sum.Units)
	edit(t, queuePath(root, "A", 0, 0), func(b []byte) []byte { clear(b[20:40]); return b })
	_, lines, sum = mend(t, sizes(root), RepairOptions{})
	require.Empty(t, lines)
	require.EqualValues(t, 5, sum.Units)
	verify(t, root, "A", 0, 5)
}

func TestDelayQueueHoldsTheDeliveryTime(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	k := &sink{}
	g := &store.Group{Owner: k}
	m := message.Message{Topic: store.ScheduleTopic, QueueID: 2, Body: []byte("x")}
	g.Buf, _ = message.AppendRecord(nil, &m, "TAGS\x01a\x02DELAY\x013\x02")
	g.Recs = []store.Rec{{Queue: s.Queue(store.ScheduleTopic, 2), Size: int32(len(g.Buf)), TagsCode: 97, DelayMillis: 10_000}}
	k.wg.Add(1)
	require.NoError(t, s.Submit(g))
	k.wg.Wait()
	require.NoError(t, s.Close())
	lines, _ := look(t, sizes(root))
	require.Empty(t, lines)
	o := sizes(root)
	o.DelayLevels = "1s 2s 3s"
	lines, sum := look(t, o)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "was messageDelayLevel changed?")
	require.Zero(t, sum.Damaged)
}

func TestStateFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, 3)
	write := func(d, name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(d, "config"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(d, "config", name), []byte(text), 0o644))
	}
	long := func(d string, i int, v int64) {
		edit(t, filepath.Join(d, "checkpoint"), func(b []byte) []byte { binary.BigEndian.PutUint64(b[8*i:], uint64(v)); return b })
	}
	for _, x := range []struct {
		name   string
		damage func(d string)
		want   string
	}{
		{"Java's dialect", func(d string) { write(d, "consumerOffset.json", `{"offsetTable":{"A@g":{0:5,1:0}}}`) }, ""},
		{"offset ahead", func(d string) { write(d, "consumerOffset.json", `{"offsetTable":{"A@g":{0:22}}}`) },
			"WARNING config/consumerOffset.json@0: A@g is at offset 22 of queue A-0, which ends at 21"},
		{"delay offset ahead", func(d string) { write(d, "delayOffset.json", `{"offsetTable":{3:1}}`) },
			"WARNING config/delayOffset.json@0: level 3 is at offset 1 of queue SCHEDULE_TOPIC_XXXX-2, which ends at 0"},
		{"broken", func(d string) { write(d, "topics.json", `{"a":`) }, "DAMAGED config/topics.json@0: not the JSON Java writes"},
		{"broken backup", func(d string) { write(d, "topics.json.bak", `x`) }, "DAMAGED config/topics.json.bak@0: not the JSON Java writes"},
		{"empty", func(d string) { write(d, "topics.json", "") }, "WARNING config/topics.json@0: the file is empty"},
		{"binary", func(d string) { write(d, "timercheck", "\x00\x01") }, ""},
		{"checkpoint ahead", func(d string) { long(d, 5, 1<<40) }, "DAMAGED checkpoint@40: logicsPhysicalOffset is 1099511627776, the log ends at"},
		{"checkpoint negative", func(d string) { long(d, 3, -5) }, "DAMAGED checkpoint@24: masterFlushedOffset is -5"},
		{"checkpoint in the future", func(d string) { long(d, 1, 1<<50) }, "DAMAGED checkpoint@8: logicsMsgTimestamp is"},
		{"checkpoint short", func(d string) { require.NoError(t, os.Truncate(filepath.Join(d, "checkpoint"), 12)) }, "DAMAGED checkpoint@12: the checkpoint has 12 bytes"},
		{"no checkpoint", func(d string) { require.NoError(t, os.Remove(filepath.Join(d, "checkpoint"))) }, "WARNING checkpoint@0: there is no checkpoint"},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := copyTree(t, root)
			x.damage(dir)
			lines, _ := look(t, sizes(dir))
			if x.want == "" {
				require.Empty(t, lines)
				return
			}
			require.Len(t, lines, 1, "%s", strings.Join(lines, "\n"))
			require.True(t, strings.HasPrefix(lines[0], x.want), lines[0])
		})
	}
}

// TestAListingIsNoSnapshot: files that a broker made while their folder was listed are looked for.
func TestAListingIsNoSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const size = 20
	var all []logFile
	for i := range int64(8) {
		f := logFile{filepath.Join(dir, segment.Name(i*size)), i * size, size}
		require.NoError(t, os.WriteFile(f.path, make([]byte, size), 0o644))
		all = append(all, f)
	}
	seen := []logFile{all[1], all[4], all[5], all[7]}
	seen[2].size = 0 // it was being made
	require.Equal(t, all[1:], settle(seen, size))
	require.NoError(t, os.Remove(all[2].path))
	require.NoError(t, os.Remove(all[7].path))
	require.Equal(t, []logFile{all[1], all[4], all[5], all[6]}, settle([]logFile{all[1], all[4], {all[5].path, all[5].base, 3}, all[6]}, size))
}
