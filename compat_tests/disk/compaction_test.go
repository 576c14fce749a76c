package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const (
	compactedTopic       = "DiskCompacted"
	compactedCqSize      = 46 * 10 // nine messages and the end
	compactedLogFileSize = 46 * 10 * 60
)

// TestCompactionLog takes a topic with cleanup.policy=COMPACTION from Skylark to Java and back, killed and stopped: each has
// the last message of each key, whoever compacted, goes on from there, and leaves pairs of files that hold what Java's format
// has for the messages. Two bugs of Java are kept out: it never compacts while it is written to, as a file that it begins
// while it puts those of a round into place is lost to it (CompactionLog.replaceFiles does not hold putMessageLock); and it
// looks for offsets without its cache, which after a start knows new files only and so skips the old ones until a round.
func TestCompactionLog(t *testing.T) {
	cluster.SkipIfOff(t)
	t.Parallel()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	dir, port := t.TempDir(), cluster.FreePort(t)
	start := func(start func(testing.TB, cluster.Options) *cluster.Server, interval time.Duration) wire {
		return wire{t, start(t, cluster.Options{Namesrv: []string{ns.Addr()}, Dir: dir, Port: port, Unlisted: true,
			ExtraConf: append([]string{fmt.Sprint("compactionCqMappedFileSize=", compactedCqSize), fmt.Sprint("compactionMappedFileSize=", compactedLogFileSize-compactedCqSize),
				fmt.Sprint("compactionScheduleInternal=", interval.Milliseconds()), "searchBcqByCacheEnable=false"}, brokerConf...)})}
	}
	const often, never = 300 * time.Millisecond, time.Hour
	c := &compacted{last: map[string]int64{}, bodies: map[int64]string{}}

	w := start(startSkylark, often)
	w.call(codeCreateTopic, map[string]string{"topic": compactedTopic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1", "perm": "6",
		"topicFilterType": "SINGLE_TAG", "order": "false", "attributes": "+cleanup.policy=COMPACTION"}, nil)
	c.write(w, "a")
	c.verify(w, true)
	w.s.Kill(t)

	w = start(startJava, never)
	c.verify(w, false)
	c.write(w, "b")
	c.verify(w, false)
	w.s.Kill(t)

	w = start(startSkylark, often)
	c.verify(w, true)
	c.write(w, "c")
	c.verify(w, true)
	c.write(w, "d") // of which some is compacted and some is not
	w.s.Stop(t)
	c.checkFiles(t, filepath.Join(dir, "store", "compaction"))
	sameDump(t, filepath.Join(dir, "store", "compaction", "compactionLog", compactedTopic, "0", fmt.Sprintf("%020d", 0)))

	w = start(startJava, often)
	c.verify(w, true)
}

// compacted is what was sent: the last offset of each key, and the bodies by offset.
type compacted struct {
	last   map[string]int64
	bodies map[int64]string
	end    int64
}

// write sends values for keys of this round and those of all rounds, deletes a key of either, and fills the files up.
func (c *compacted) write(w wire, round string) {
	w.t.Helper()
	item := func(key, body string) *message {
		m := &message{topic: compactedTopic, body: []byte(body), props: map[string]string{"KEYS": key, "UNIQ_KEY": fmt.Sprint("U", c.end), "TAGS": "Tag" + key}}
		c.last[key], c.bodies[c.end] = c.end, body
		c.end++
		return m
	}
	for i := range 24 {
		w.send(0, item(fmt.Sprint(round, i%5), fmt.Sprintf("value %s %d", round, i)))
		w.send(0, item(fmt.Sprint("all", i%4), fmt.Sprintf("all %s %d", round, i)))
	}
	w.send(0, item(round+"3", ""), item("all2", ""))
	for i := range 20 {
		w.send(0, item(fmt.Sprintf("fill %s %d", round, i%10), fmt.Sprint("fill ", i)))
	}
}

// read pulls all there is.
func (c *compacted) read(w wire) (out []record) {
	w.t.Helper()
	for at := int64(0); at < c.end; {
		recs, next := w.pull(compactedTopic, 0, at, "*")
		if next == at {
			return out
		}
		for _, r := range recs {
			require.Equal(w.t, c.bodies[r.offset], string(r.body), "offset %d", r.offset)
		}
		out, at = append(out, recs...), next
	}
	return out
}

// verify reads all: the last value of each key is there and, once a round is through, no old one but in the last two files.
func (c *compacted) verify(w wire, compacted bool) {
	w.t.Helper()
	problem := func() (problem string) {
		seen, before := map[string]int64{}, int64(-1)
		for _, r := range c.read(w) {
			key := r.props["KEYS"]
			require.Greater(w.t, r.offset, before)
			before = r.offset
			seen[key] = r.offset
			if old := r.offset < c.last[key] || len(r.body) == 0; old && compacted && r.offset < c.end-18 {
				problem = fmt.Sprintf("offset %d of key %s is still there", r.offset, key)
			}
		}
		for key, offset := range c.last {
			at, ok := seen[key]
			if ok && at != offset || !ok && c.bodies[offset] != "" {
				problem = fmt.Sprintf("key %s stands at %d (%v), not at %d", key, at, ok, offset)
			}
		}
		return problem
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		why := problem()
		if why == "" {
			return
		}
		require.True(w.t, time.Now().Before(deadline), "%s: %s", w.s, why)
	}
}

// checkFiles looks at the files of a server that has stopped: all pair up, and have what Java's format has for messages
// that were sent, among them the last of each key.
func (c *compacted) checkFiles(t *testing.T, dir string) {
	t.Helper()
	logDir, cqDir := filepath.Join(dir, "compactionLog", compactedTopic, "0"), filepath.Join(dir, "compactionCq", compactedTopic, "0")
	names := func(dir string) (out []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			require.False(t, e.IsDir(), e.Name())
			out = append(out, e.Name())
		}
		return out
	}
	require.Equal(t, names(logDir), names(cqDir))
	before, seen := int64(-1), map[string]int64{}
	for _, name := range names(logDir) {
		log, err := os.ReadFile(filepath.Join(logDir, name))
		require.NoError(t, err)
		cq, err := os.ReadFile(filepath.Join(cqDir, name))
		require.NoError(t, err)
		require.Equal(t, []int{compactedLogFileSize, compactedCqSize}, []int{len(log), len(cq)})
		var base int64
		_, err = fmt.Sscanf(name, "%d", &base)
		require.NoError(t, err)
		at := 0
		for ; int64(binary.BigEndian.Uint64(cq)) >= 0 && binary.BigEndian.Uint32(cq[8:]) > 0; cq = cq[46:] {
			r, err := parseRecord(log[at:])
			require.NoError(t, err)
			unit := binary.BigEndian.AppendUint64(nil, uint64(base+int64(at)))
			unit = binary.BigEndian.AppendUint32(unit, uint32(len(r.raw)))
			unit = binary.BigEndian.AppendUint64(unit, uint64(javaHash(r.tagName)))
			unit = binary.BigEndian.AppendUint64(unit, uint64(r.stored))
			unit = binary.BigEndian.AppendUint64(unit, uint64(r.offset))
			unit = append(unit, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
			require.Equal(t, unit, cq[:46])
			require.EqualValues(t, base+int64(at), r.physical)
			require.Greater(t, r.offset, before)
			require.Equal(t, c.bodies[r.offset], string(r.body))
			before, seen[r.props["KEYS"]] = r.offset, r.offset
			at += len(r.raw)
		}
	}
	for key, offset := range c.last {
		if c.bodies[offset] != "" {
			require.Equal(t, offset, seen[key], key)
		}
	}
}

// sameDump has the stock dumpCompactionLog and ours print a file.
func sameDump(t *testing.T, path string) {
	t.Helper()
	properties := regexp.MustCompile(`properties=\{[^}]*\}`) // HashMap has an order of its own
	masked := func(text string) (out []string) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "MessageExt [") { // the stock tool tells of its logging, too
				out = append(out, properties.ReplaceAllString(line, ""))
			}
		}
		return out
	}
	javas := masked(cluster.MQAdmin(t, "dumpCompactionLog", "-f", path))
	ours, err := exec.Command(cluster.Skylark(t), "admin", "dumpCompactionLog", "-f", path).Output()
	require.NoError(t, err)
	require.Equal(t, javas, masked(string(ours)))
	require.NotEmpty(t, javas)
}
