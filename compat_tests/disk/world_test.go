package disk

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

// Who serves the folder in a hop.
const (
	skylark = "skylark"
	java5   = "java5"
	java4   = "java4"
)

// hop is one server's time on the folder.
type hop struct {
	server string
	kill   bool // ends by kill -9, else by SIGTERM
}

// world is a folder that goes from server to server, and what is known of it.
type world struct {
	t      *testing.T
	client string // version of the stock Java client
	ns     *cluster.Server
	opts   cluster.Options
	store  string
	hops   []hop
	now    int // index of the current hop
	server *cluster.Server
	wire   wire
	ledger *ledger

	strange map[string]string // foreign files before Skylark started
	configs map[string]map[string]any
	commits map[offsetKey]int64 // what the groups committed
	numbers int                 // of messages composed
	unsure  map[int]*message    // sent when the server was killed, by queue of loadTopic
}

// offsetKey names a consumer offset.
type offsetKey struct {
	group, topic string
	queue        int
}

func newWorld(t *testing.T, client string, hops []hop) *world {
	t.Helper()
	ns := cluster.StartNamesrv(t, cluster.Options{})
	dir := t.TempDir()
	w := &world{t: t, client: client, ns: ns, store: filepath.Join(dir, "store"), hops: hops, now: -1, ledger: newLedger(t),
		configs: map[string]map[string]any{}, commits: map[offsetKey]int64{}, unsure: map[int]*message{},
		opts: cluster.Options{Namesrv: []string{ns.Addr()}, Dir: dir, Port: cluster.FreePort(t), ExtraConf: brokerConf, Unlisted: true}}
	plant(t, w.store)
	return w
}

func (w *world) hop() hop { return w.hops[w.now] }

// lastHop tells whether no server comes after this one.
func (w *world) lastHop() bool { return w.now == len(w.hops)-1 }

// open starts the next server on the folder, with the same broker.conf as those before it.
func (w *world) open() {
	w.t.Helper()
	w.now++
	w.carryIndex()
	w.ledger.starts[w.now], w.ledger.javas[w.now] = time.Now().UnixMilli(), w.hop().server == java5
	switch w.hop().server {
	case skylark:
		w.strange = foreign(w.t, w.store)
		w.requireStrange()
		w.server = cluster.StartBroker(w.t, w.opts)
	case java5:
		w.server = cluster.StartJavaBroker(w.t, w.opts)
	case java4:
		o := w.opts
		o.Version = cluster.ServerV4
		w.server = cluster.StartJavaBroker(w.t, o)
	}
	w.wire = wire{w.t, w.server}
}

// requireStrange checks that the files of Java that Skylark must leave alone are there at all.
func (w *world) requireStrange() {
	w.t.Helper()
	names := []string{"config/ofSomebodyElse.json"}
	if slices.ContainsFunc(w.hops[:w.now], func(h hop) bool { return h.server == java5 }) {
		names = append(names, "rocksdbstore/CURRENT")
	}
	for _, name := range names {
		require.Contains(w.t, w.strange, name, "Java 5.5.0 has not made it")
	}
	w.t.Logf("hop %d: %d files and folders are not Skylark's to touch", w.now+1, len(w.strange))
}

// close ends the server and looks at what it leaves.
func (w *world) close() {
	w.t.Helper()
	how := "stopped"
	if w.hop().kill {
		how = "killed"
		w.killUnderLoad()
		require.FileExists(w.t, filepath.Join(w.store, "abort"), "without it the next server takes this for a clean stop")
		w.trustOffsetsOnDisk()
	} else {
		w.server.Stop(w.t)
		checkHandBack(w.t, w.store)
		w.requireOffsetsOnDisk()
	}
	if w.hop().server == skylark {
		require.Equal(w.t, w.strange, foreign(w.t, w.store), "Skylark touched files that are not its own")
	}
	w.verifyConfigFiles()
	walk := walkLog(w.t, w.store, w.ledger, w.hop().kill)
	w.t.Logf("hop %d: %s %s; log has %d records in %d files with %d blanks, end %d; %d messages in the ledger", w.now+1, w.server, how,
		walk.records, walk.files, walk.blanks, walk.end, len(w.ledger.order))
	require.GreaterOrEqual(w.t, walk.blanks, w.now+1, "too few file ends for the test to mean something")
}

// trustOffsetsOnDisk makes the file the truth about the offsets: a killed server had not written the
// newest. An offset that it wrote must be one that was committed, so it is never above the newest.
func (w *world) trustOffsetsOnDisk() {
	w.t.Helper()
	table := offsetsOnDisk(w.t, w.store)
	for k, newest := range w.commits {
		onDisk := table[k.topic+"@"+k.group][strconv.Itoa(k.queue)]
		require.LessOrEqual(w.t, onDisk, newest, "%v", k)
		w.commits[k] = onDisk
	}
}

// offsetsAreOnDisk tells whether the file holds all that was committed.
func (w *world) offsetsAreOnDisk() bool {
	table := offsetsOnDisk(w.t, w.store)
	for k, want := range w.commits {
		if table[k.topic+"@"+k.group][strconv.Itoa(k.queue)] != want {
			return false
		}
	}
	return true
}

func (w *world) requireOffsetsOnDisk() {
	w.t.Helper()
	require.True(w.t, w.offsetsAreOnDisk(), "consumerOffset.json holds %v, committed was %v", offsetsOnDisk(w.t, w.store), w.commits)
}

// verify reads all that the ledger knows from the current server.
func (w *world) verify() {
	w.t.Helper()
	begin := time.Now()
	w.settleLoad()
	for _, topic := range slices.Sorted(maps.Keys(w.ledger.ends)) {
		for queue, end := range w.ledger.ends[topic] {
			w.verifyQueue(topic, queue, end)
		}
	}
	w.verifyDelivered()
	w.verifyTags()
	for i := 0; i < len(w.ledger.order); i += 97 {
		m := w.ledger.order[i]
		w.ledger.check(m.at, w.wire.view(m.physical))
	}
	for k, want := range w.commits {
		require.Equal(w.t, want, w.wire.committed(k.group, k.topic, k.queue), "%s: committed offset %v", w.server, k)
	}
	for name, want := range w.configs {
		if w.hop().server == java4 {
			want = maps.Clone(want)
			delete(want, "attributes") // of topics that 5.x made
		}
		requireWithin(w.t, name, want, w.config(name))
	}
	w.t.Logf("hop %d: %s verified %d messages in %.1f s", w.now+1, w.server, len(w.ledger.order), time.Since(begin).Seconds())
}

// verifyQueue reads a queue from its first to its last message.
func (w *world) verifyQueue(topic string, queue int, end int64) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	for next := int64(0); next < end; {
		recs, _ := w.wire.pull(topic, queue, next, "*")
		for _, r := range recs {
			w.ledger.check(place{topic, queue, next}, r)
			next++
		}
		require.True(w.t, time.Now().Before(deadline), "%s: %s queue %d ends at %d instead of %d", w.server, topic, queue, next, end)
	}
	low, high := w.wire.bounds(topic, queue)
	require.Equal(w.t, [2]int64{0, end}, [2]int64{low, high}, "%s: bounds of %s queue %d", w.server, topic, queue)
}

// verifyTags pulls by tag, which the broker answers from the ConsumeQueue's tag codes.
func (w *world) verifyTags() {
	w.t.Helper()
	if len(w.ledger.ends[plainTopic]) == 0 {
		return
	}
	var got, want []int64
	deadline := time.Now().Add(limit)
	for next := int64(0); next < w.ledger.ends[plainTopic][0]; {
		recs, then := w.wire.pull(plainTopic, 0, next, "TagA")
		for _, r := range recs {
			got = append(got, r.offset)
		}
		next = then
		require.True(w.t, time.Now().Before(deadline), "%s: pull by tag does not pass offset %d", w.server, next)
	}
	for offset := range w.ledger.ends[plainTopic][0] {
		if w.ledger.places[place{plainTopic, 0, offset}].props["TAGS"] == "TagA" {
			want = append(want, offset)
		}
	}
	require.Equal(w.t, want, got, "%s: messages with TagA", w.server)
}

// verifyDelivered waits until every delayed message was delivered, and reads all deliveries.
func (w *world) verifyDelivered() {
	w.t.Helper()
	wheel := w.hop().server != java4
	count, due := w.ledger.pending(wheel)
	deadline := time.Now().Add(limit)
	if due.After(time.Now()) {
		deadline = due.Add(limit)
	}
	for next := int64(0); ; {
		recs, _ := w.wire.pull(laterTopic, 0, next, "*")
		for _, r := range recs {
			w.ledger.check(place{laterTopic, 0, next}, r)
			next++
		}
		left, _ := w.ledger.pending(wheel)
		if _, high := w.wire.bounds(laterTopic, 0); left == 0 && next == high {
			w.t.Logf("hop %d: %d delayed messages came since the hop before", w.now+1, count)
			return
		}
		require.True(w.t, time.Now().Before(deadline), "%s: %d delayed messages did not come, the last due at %s", w.server, left, due)
	}
}

// What a name in configs that is not a topic's begins with.
const groupPrefix, forbiddenPrefix = "group ", "forbidden to "

// config reads the configuration that has this name in configs.
func (w *world) config(name string) map[string]any {
	w.t.Helper()
	if group, ok := strings.CutPrefix(name, groupPrefix); ok {
		return w.wire.table(codeGroups, "subscriptionGroupTable", group)
	}
	if group, ok := strings.CutPrefix(name, forbiddenPrefix); ok {
		var out map[string]any
		r := w.wire.call(codeForbidden, map[string]string{"group": group, "topic": plainTopic}, nil)
		require.NoError(w.t, json.Unmarshal(r.Body, &out))
		require.Equal(w.t, false, out["readable"], "%s: the group may read again", w.server)
		return out
	}
	return w.wire.table(codeTopics, "topicConfigTable", name)
}

// verifyConfigFiles holds topics.json and subscriptionGroup.json, which servers write at each change,
// against what was configured.
func (w *world) verifyConfigFiles() {
	w.t.Helper()
	topics := readTable(w.t, filepath.Join(w.store, "config", "topics.json"), "topicConfigTable")
	groups := readTable(w.t, filepath.Join(w.store, "config", "subscriptionGroup.json"), "subscriptionGroupTable")
	for name, want := range w.configs {
		if w.hop().server == java4 {
			want = maps.Clone(want)
			delete(want, "attributes")
		}
		if group, ok := strings.CutPrefix(name, groupPrefix); ok {
			requireWithin(w.t, name, want, groups[group])
		} else if !strings.HasPrefix(name, forbiddenPrefix) {
			requireWithin(w.t, name, want, topics[name])
		}
	}
}

// requireWithin checks that all fields of want are in got: versions add fields.
func requireWithin(t *testing.T, path string, want, got any) {
	t.Helper()
	fields, ok := want.(map[string]any)
	if !ok {
		require.Equal(t, want, got, path)
		return
	}
	other, ok := got.(map[string]any)
	require.True(t, ok, "%s is %v", path, got)
	for k, v := range fields {
		requireWithin(t, fmt.Sprintf("%s.%s", path, k), v, other[k])
	}
}
