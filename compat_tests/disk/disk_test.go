// Package disk proves that Skylark is a drop-in on disk, both ways: one data folder with one broker.conf
// goes from Java to Skylark and back, by clean stops and by kill -9, and each server must find all that
// any before it acknowledged, byte for byte at its place, and go on from there.
package disk

import (
	"encoding/binary"
	"encoding/json"
	"flag"
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
	// limit bounds one wait.
	limit = 90 * time.Second

	logFileSize   = 1 << 20
	queueFileSize = 2000 // 100 units

	plainTopic, batchTopic, smallTopic = "DiskPlain", "DiskBatch", "DiskSmall"
	laterTopic, halfTopic, oddTopic    = "DiskLater", "DiskHalf", "Disk-Odd_%topic"
	loadTopic                          = "DiskLoad"
	scheduleTopic, wheelTopic          = "SCHEDULE_TOPIC_XXXX", "rmq_sys_wheel_timer"

	halfGroup, wireGroup, oddGroup = "GID_disk_half", "GID_disk_wire", "GID_disk_odd"
)

// brokerConf is what all servers of a folder are given beside what the harness writes.
var brokerConf = []string{
	"mappedFileSizeCommitLog=" + strconv.Itoa(logFileSize), "mappedFileSizeConsumeQueue=" + strconv.Itoa(queueFileSize),
	"maxHashSlotNum=200", "maxIndexNum=800", "mappedFileSizeTimerLog=1048576",
	"messageDelayLevel=1s 4s 9s", "flushConsumerOffsetInterval=1000",
}

func TestMain(m *testing.M) {
	flag.Parse()
	// A scenario mostly waits: for Java's start and stop, for delayed messages. So all run side by side.
	if err := flag.Set("test.parallel", "3"); err != nil {
		panic("BUG: the testing package has this flag: " + err.Error())
	}
	os.Exit(m.Run())
}

// levels are the delays of brokerConf.
var levels = []time.Duration{time.Second, 4 * time.Second, 9 * time.Second}

func TestJavaFirst(t *testing.T) {
	play(t, cluster.ClientV5, hop{java5, true}, hop{skylark, true}, hop{java5, false}, hop{skylark, false}, hop{java5, true})
}

func TestSkylarkFirst(t *testing.T) {
	play(t, cluster.ClientV4, hop{skylark, true}, hop{java5, true}, hop{skylark, false}, hop{java5, false}, hop{skylark, false})
}

func TestJava4First(t *testing.T) {
	play(t, cluster.ClientV4, hop{java4, true}, hop{skylark, false}, hop{java4, false}, hop{skylark, false}, hop{java5, true})
}

// play sends one folder through the hops.
func play(t *testing.T, client string, hops ...hop) {
	cluster.SkipIfOff(t)
	t.Parallel()
	if cluster.PeerIsJava() {
		for i := range hops {
			if hops[i].server == skylark {
				hops[i].server = java5
			}
		}
	}
	w := newWorld(t, client, hops)
	for range hops {
		w.open()
		if w.now == 0 {
			w.create()
		} else {
			w.verify()
			w.verifyIndex(7)
		}
		w.write()
		w.writeHalf()
		if w.now == 0 {
			w.consumeHalf()
		}
		w.writeHalf()
		if w.lastHop() {
			w.consumeRest()
		}
		w.sendDelayed()
		w.verifyWritten()
		w.awaitTimer()
		w.close()
	}
}

// create makes the topics and groups.
func (w *world) create() {
	w.t.Helper()
	w.server.CreateTopic(w.t, plainTopic, 4)
	w.server.CreateTopic(w.t, batchTopic, 3)
	w.server.CreateTopic(w.t, smallTopic, 1)
	w.server.CreateTopic(w.t, laterTopic, 1)
	w.server.CreateTopic(w.t, halfTopic, 2)
	w.server.CreateTopic(w.t, loadTopic, loadQueues)
	w.server.CreateGroup(w.t, halfGroup, 16)
	w.server.CreateGroup(w.t, wireGroup, 16)
	odd := map[string]string{"topic": oddTopic, "defaultTopic": "TBW102", "readQueueNums": "7", "writeQueueNums": "3", "perm": "4",
		"topicFilterType": "SINGLE_TAG", "topicSysFlag": "1", "order": "true"}
	group := map[string]any{"groupName": oddGroup, "consumeEnable": false, "consumeFromMinEnable": false, "consumeBroadcastEnable": false,
		"retryQueueNums": 3, "retryMaxTimes": 5, "brokerId": 2, "whichBrokerWhenConsumeSlowly": 7, "notifyConsumerIdsChangedEnable": false}
	if w.hop().server != java4 { // 4.9.8 knows none of these
		odd["attributes"] = "+message.type=DELAY"
		group["consumeMessageOrderly"], group["groupSysFlag"], group["consumeTimeoutMinute"] = true, 1, 33
		group["groupRetryPolicy"] = map[string]any{"type": "CUSTOMIZED", "customizedRetryPolicy": map[string]any{"next": []int64{10, 2000}}}
	}
	w.wire.call(codeCreateTopic, odd, nil)
	body, err := json.Marshal(group)
	require.NoError(w.t, err)
	w.wire.call(codeCreateGroup, nil, body)
	names := []string{plainTopic, oddTopic, groupPrefix + halfGroup, groupPrefix + oddGroup}
	if w.hop().server != java4 { // which does not know the request
		w.wire.call(codeForbidden, map[string]string{"group": oddGroup, "topic": plainTopic, "readable": "false"}, nil)
		names = append(names, forbiddenPrefix+oddGroup)
	}
	for _, name := range names {
		w.configs[name] = w.config(name)
	}
	require.EqualValues(w.t, 4, w.configs[oddTopic]["perm"])
	require.EqualValues(w.t, 3, w.configs[groupPrefix+oddGroup]["retryQueueNums"])
}

// put sends messages to a queue, several as a batch, and enters them.
func (w *world) put(queue int, messages ...*message) {
	w.t.Helper()
	w.enter(queue, messages, w.wire.send(queue, messages...))
}

// enter enters messages that the current server acknowledged.
func (w *world) enter(queue int, messages []*message, acks []ack) {
	w.t.Helper()
	w.ledger.acked(w.now, queue, messages, acks)
	for _, m := range messages {
		m.findable = w.hop().indexed() && !m.held()
	}
}

func (w *world) compose(topic string, size int) *message {
	w.numbers++
	return w.ledger.compose(topic, w.numbers, size)
}

// write sends messages of every kind, some of each more than one log file apart.
func (w *world) write() {
	w.t.Helper()
	sizes := []int{1, 17, 100, 900, 2500, 9000}
	for i := range 120 {
		w.put(i%4, w.compose(plainTopic, sizes[i%len(sizes)]))
		if i%40 == 20 {
			w.put(i%4, w.compose(plainTopic, 200<<10+i*1000))
		}
		if i%12 == 0 {
			var batch []*message
			for j := range 2 + i/8 {
				batch = append(batch, w.compose(batchTopic, sizes[(i+j)%len(sizes)]))
			}
			w.put(i/12%3, batch...)
		}
		if i%3 == 0 {
			w.put(0, w.compose(smallTopic, i), w.compose(smallTopic, i+1), w.compose(smallTopic, i+2))
			w.put(0, w.compose(smallTopic, 2*i+1))
		}
	}
	w.timed(time.Hour)
	// A topic of this hop, so that each server brings its topics to the next.
	own := fmt.Sprintf("DiskHop%d", w.now+1)
	w.server.CreateTopic(w.t, own, w.now+1)
	w.configs[own] = w.config(own)
	for queue := range w.now + 1 {
		w.put(queue, w.compose(own, 50))
	}
	for queue, end := range w.ledger.ends[plainTopic] {
		offset := end/2 + int64(queue)
		w.wire.commit(wireGroup, plainTopic, queue, offset)
		w.commits[offsetKey{wireGroup, plainTopic, queue}] = offset
	}
}

// writeHalf sends to the topic of which a stock client consumes half.
func (w *world) writeHalf() {
	w.t.Helper()
	for i := range 30 {
		m := w.compose(halfTopic, 0)
		m.body = []byte("half " + strconv.Itoa(w.numbers)) // text, because the Java driver prints it as such
		w.put(i%2, m)
	}
}

// sendDelayed sends messages that come due while no server runs, and some that the next server has to
// hold back: a JVM takes some seconds to start, ours does not.
func (w *world) sendDelayed() {
	w.t.Helper()
	highest := 1
	if !w.lastHop() {
		highest = 2
		if w.hops[w.now+1].server != skylark {
			highest = 3
		}
	}
	for i := range 6 * highest {
		m := w.compose(laterTopic, 10+i)
		m.level = 1 + i%highest
		m.props["DELAY"] = strconv.Itoa(m.level)
		w.put(0, m)
	}
	for _, delay := range levels[:highest] {
		w.timed(delay + 500*time.Millisecond)
	}
}

// timed sends messages for an arbitrary time to a server that takes such.
func (w *world) timed(delay time.Duration) {
	w.t.Helper()
	if w.hop().server == java4 {
		return
	}
	for i := range 3 {
		m := w.compose(laterTopic, 300+i)
		m.timer = time.Now().Add(delay).UnixMilli()
		m.props["TIMER_DELIVER_MS"] = strconv.FormatInt(m.timer, 10)
		w.put(0, m)
	}
}

// awaitTimer waits until Java has noted its timer message in the timer log and the wheel.
func (w *world) awaitTimer() {
	w.t.Helper()
	if w.hop().server != java5 {
		return
	}
	sent := w.ledger.ends[wheelTopic][0]
	require.Eventually(w.t, func() bool {
		b, err := os.ReadFile(filepath.Join(w.store, "config", "timercheck"))
		return err == nil && len(b) > 24 && int64(binary.BigEndian.Uint64(b[16:])) >= sent // lastTimerQueueOffset
	}, limit, 50*time.Millisecond, "%s does not take up timer messages", w.server)
}

// verifyWritten reads on the server that wrote them what the messages of this hop look like, so that
// later servers can be held against every byte.
func (w *world) verifyWritten() {
	w.t.Helper()
	for topic, ends := range w.ledger.ends {
		for queue, end := range ends {
			w.verifyQueue(topic, queue, end)
		}
	}
	if w.lastHop() {
		w.verify()
		w.verifyIndex(3)
	}
}

// consumeHalf lets a stock client consume what there is of a topic, before more is sent to it, and waits
// until the broker has written down where the group stands.
func (w *world) consumeHalf() {
	w.t.Helper()
	w.consumeRest()
	require.Eventually(w.t, w.offsetsAreOnDisk, limit, 50*time.Millisecond, "%s does not write consumerOffset.json", w.server)
}

// consumeRest lets a stock client consume as the group: it gets all that the group had not committed,
// and nothing before that.
func (w *world) consumeRest() {
	w.t.Helper()
	w.server.AwaitRoute(w.t, halfTopic)
	want := map[place]bool{}
	for queue, end := range w.ledger.ends[halfTopic] {
		for offset := w.commits[offsetKey{halfGroup, halfTopic, queue}]; offset < end; offset++ {
			want[place{halfTopic, queue, offset}] = true
		}
	}
	run := cluster.Java(w.t, w.client, "consume", "namesrv="+w.ns.Addr(), "topic="+halfTopic, "group="+halfGroup,
		fmt.Sprintf("expect=%d", len(want)))
	got := w.checkConsumed(run.Wait(w.t, limit))
	require.Equal(w.t, want, got)
	for queue, end := range w.ledger.ends[halfTopic] {
		k := offsetKey{halfGroup, halfTopic, queue}
		w.commits[k] = end
		require.Equal(w.t, end, w.wire.committed(halfGroup, halfTopic, queue), "%v", k)
	}
	w.t.Logf("a Java %s client consumed %d messages of %s", w.client, len(want), halfTopic)
}

// checkConsumed holds what a stock client got against the ledger and returns the places.
func (w *world) checkConsumed(events []cluster.Event) map[place]bool {
	w.t.Helper()
	got := map[place]bool{}
	for _, e := range cluster.Of(events, "msg") {
		p := place{e.Topic(), e.QueueID(), e.QueueOffset()}
		m := w.ledger.places[p]
		require.NotNil(w.t, m, "%v", p)
		require.Equal(w.t, string(m.body), e.Body(), "%v", p)
		require.Equal(w.t, m.id, e.MsgID(), "%v", p)
		require.Equal(w.t, m.physical, e.Int("commitLogOffset"), "%v", p)
		for name, value := range m.props {
			if name != "WAIT" { // the client hides it
				require.Equal(w.t, value, e.Props()[name], "%v: property %s", p, name)
			}
		}
		got[p] = true
	}
	return got
}
