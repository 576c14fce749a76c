package disk

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// TestConsumeQueueExt takes a folder with enableConsumeQueueExt from Skylark, killed, to Java, killed, and back:
// each finds the tags codes, and the delivery times, that the other put into consumequeue_ext. Each verifies the checksum
// over whole records that the other wrote, and takes a record without one for damaged (Java) or of old (Skylark).
func TestConsumeQueueExt(t *testing.T) {
	cluster.SkipIfOff(t)
	t.Parallel()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	o := cluster.Options{Namesrv: []string{ns.Addr()}, Dir: dir, Port: cluster.FreePort(t), Unlisted: true,
		ExtraConf: append([]string{"enableConsumeQueueExt=true", "mappedFileSizeConsumeQueueExt=1000", "enabledAppendPropCRC=true", "forceVerifyPropCRC=true"}, brokerConf...)}
	w := wire{t, cluster.StartBroker(t, o)}
	w.s.CreateTopic(t, plainTopic, 1)
	w.s.CreateTopic(t, laterTopic, 1)
	l := newLedger(t)
	number := 0
	send := func(n int) {
		for range n {
			number++
			w.send(0, l.compose(plainTopic, number, 20))
		}
		m := l.compose(laterTopic, number, 20)
		m.props["DELAY"] = "3"
		w.send(0, m)
	}
	check := func(delivered int64) {
		t.Helper()
		tags := map[string]int{}
		for _, tag := range []string{"*", "TagA", "TagB", "TagNone"} {
			for next := int64(0); next < int64(number); {
				recs, then := w.pull(plainTopic, 0, next, tag)
				for _, r := range recs {
					if tag == "*" {
						tags[r.tagName]++
					} else {
						require.Equal(t, tag, r.tagName)
						tags[tag]--
					}
				}
				require.Greater(t, then, next)
				next = then
			}
		}
		require.Zero(t, tags["TagA"], "%v", tags)
		require.Zero(t, tags["TagB"], "%v", tags)
		for next := int64(0); next < delivered; {
			recs, _ := w.pull(laterTopic, 0, next, "*")
			for _, r := range recs {
				require.GreaterOrEqual(t, r.stored-r.born(), int64(9000), "delivered too early")
				next++
			}
		}
	}
	send(130)
	check(0)
	w.s.Kill(t)
	w = wire{t, cluster.StartJavaBroker(t, o)}
	check(0)
	send(110)
	check(1)
	w.s.Kill(t)
	checkExt(t, store, 240)
	w = wire{t, cluster.StartBroker(t, o)}
	check(1)
	send(60)
	check(2)
	w.s.Stop(t)
	checkHandBack(t, store)
	checkExt(t, store, 300)
}

// born is the record's BORNTIMESTAMP.
func (r record) born() int64 { return int64(binary.BigEndian.Uint64(r.raw[40:])) }

// checkExt holds consumequeue_ext against the units that point to it.
func checkExt(t *testing.T, store string, n int) {
	t.Helper()
	for i := range n {
		unit := readAt(t, filepath.Join(store, "consumequeue", plainTopic, "0"), int64(i*20), queueFileSize, 20)
		at := int64(binary.BigEndian.Uint64(unit[12:])) - math.MinInt64
		require.EqualValues(t, i/49*1000+i%49*20, at, "the address in unit %d", i)
		ext := readAt(t, filepath.Join(store, "consumequeue_ext", plainTopic, "0"), at, 1000, 20)
		require.EqualValues(t, 20, binary.BigEndian.Uint16(ext))
		require.Zero(t, binary.BigEndian.Uint16(ext[18:]))
		physical := int64(binary.BigEndian.Uint64(unit))
		rec, err := parseRecord(readAt(t, filepath.Join(store, "commitlog"), physical, logFileSize, int(binary.BigEndian.Uint32(unit[8:]))))
		require.NoError(t, err)
		require.EqualValues(t, i, rec.offset)
		require.EqualValues(t, javaHash(rec.tagName), binary.BigEndian.Uint64(ext[2:]))
		require.EqualValues(t, rec.stored, binary.BigEndian.Uint64(ext[10:]))
		if i%49 == 48 {
			require.Equal(t, []byte{0xff, 0xff}, readAt(t, filepath.Join(store, "consumequeue_ext", plainTopic, "0"), at+20, 1000, 2))
		}
	}
}

// readAt reads n bytes of a row of files.
func readAt(t *testing.T, dir string, at, fileSize int64, n int) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, entries[at/fileSize].Name()))
	require.NoError(t, err)
	require.Len(t, b, int(fileSize))
	return b[at%fileSize:][:n]
}
