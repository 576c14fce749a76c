package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const lightTopic, lightX, lightY, lightGroup = "DiskLight", "%LMQ%x", "%LMQ%y", "%LMQ%group"

// TestLightQueues takes messages that light queues get too from Skylark to Java and back, each killed: the offsets go
// on, each record says which it has where, each queue holds the units that Java's format has for it, and the groups
// go on where they were.
func TestLightQueues(t *testing.T) {
	cluster.SkipIfOff(t)
	t.Parallel()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	dir := t.TempDir()
	o := cluster.Options{Namesrv: []string{ns.Addr()}, Dir: dir, Port: cluster.FreePort(t), Unlisted: true,
		ExtraConf: append([]string{"enableLmq=true", "enableMultiDispatch=true"}, brokerConf...)}
	w := wire{t, cluster.StartBroker(t, o)}
	w.s.CreateTopic(t, lightTopic, 2)
	want := map[string][]string{} // bodies by light queue
	n := 0
	send := func() {
		for range 60 {
			m := &message{topic: lightTopic, body: fmt.Append(nil, "light ", n), props: map[string]string{"UNIQ_KEY": fmt.Sprint("K", n), "TAGS": "TagA"}}
			names := [][]string{nil, {lightX}, {lightY, lightX}}[n%3]
			if len(names) > 0 {
				m.props["INNER_MULTI_DISPATCH"] = strings.Join(names, ",")
			}
			w.send(n%2, m)
			for _, name := range names {
				want[name] = append(want[name], string(m.body))
			}
			n++
		}
	}
	check := func(committed int64) {
		t.Helper()
		for name, bodies := range want {
			recs := readLight(t, w, name, int64(len(bodies)))
			for i, r := range recs {
				require.Equal(t, bodies[i], string(r.body))
			}
			low, high := w.bounds(name, 0)
			require.Equal(t, []int64{0, int64(len(bodies))}, []int64{low, high})
		}
		require.Equal(t, committed, w.committed(lightGroup, lightX, 0))
	}
	commit := func(offset int64) {
		w.commit(lightGroup, lightX, 0, offset)
		w.awaitFile(filepath.Join(dir, "store", "config", "lmqConsumerOffset.json"), fmt.Sprintf(`"%s@%s":%d`, lightX, lightGroup, offset))
	}
	send()
	commit(7)
	check(7)
	for i, start := range []func(testing.TB, cluster.Options) *cluster.Server{startJava, startSkylark} {
		w.s.Kill(t)
		w = wire{t, start(t, o)}
		check(7 + int64(i))
		send()
		commit(8 + int64(i))
		check(8 + int64(i))
	}
	recs := map[string][]record{}
	for name, bodies := range want {
		recs[name] = readLight(t, w, name, int64(len(bodies)))
	}
	w.s.Stop(t)
	checkHandBack(t, filepath.Join(dir, "store"))
	for name := range want {
		checkLightUnits(t, filepath.Join(dir, "store", "consumequeue", name, "0"), recs[name])
	}
}

func startJava(t testing.TB, o cluster.Options) *cluster.Server    { return cluster.StartJavaBroker(t, o) }
func startSkylark(t testing.TB, o cluster.Options) *cluster.Server { return cluster.StartBroker(t, o) }

// awaitFile waits until a file of the broker holds text; the blanks in it do not count.
func (w wire) awaitFile(path, text string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		b, _ := os.ReadFile(path)
		return strings.Contains(strings.Join(strings.Fields(string(b)), ""), text)
	}, limit, 20*time.Millisecond, "%s never holds %s", path, text)
}

// readLight reads a light queue up to end and checks what its records say of it.
func readLight(t *testing.T, w wire, name string, end int64) []record {
	t.Helper()
	var out []record
	deadline := time.Now().Add(limit)
	for int64(len(out)) < end {
		recs, _ := w.pull(name, 0, int64(len(out)), "TagA")
		for _, r := range recs {
			require.Equal(t, lightTopic, r.topic)
			names, offsets := strings.Split(r.props["INNER_MULTI_DISPATCH"], ","), strings.Split(r.props["INNER_MULTI_QUEUE_OFFSET"], ",")
			require.Len(t, offsets, len(names))
			for i := range names {
				if names[i] == name {
					require.Equal(t, strconv.Itoa(len(out)), offsets[i], "%v", r.props)
				}
			}
			out = append(out, r)
		}
		require.True(t, time.Now().Before(deadline), "%s does not pass offset %d of %s", w.s, len(out), name)
	}
	return out
}

// checkLightUnits holds the files of a light queue against its records: a unit each, then zeros.
func checkLightUnits(t *testing.T, dir string, recs []record) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []byte
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		got = append(got, b...)
	}
	for i, r := range recs {
		want := binary.BigEndian.AppendUint64(nil, uint64(r.physical))
		want = binary.BigEndian.AppendUint32(want, uint32(len(r.raw)))
		want = binary.BigEndian.AppendUint64(want, uint64(javaHash(r.tagName)))
		require.Equal(t, want, got[:20], "the unit of offset %d", i)
		got = got[20:]
	}
	for _, c := range got {
		require.Zero(t, c, "behind the last unit")
	}
}
