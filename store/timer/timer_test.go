package timer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

func start(t *testing.T, change func(o *Options)) *rig {
	t.Helper()
	r := newRig(t, newDisk(t), begin, change)
	require.NoError(t, r.open())
	return r
}

func (r *rig) requireDelivered(want string) {
	r.t.Helper()
	recs, err := r.delivered()
	require.NoError(r.t, err)
	require.Equal(r.t, want, bodies(recs))
}

// TestNothingIsEarlyAndOrderIsKept: a message comes in the tick behind the one it is due in, those of a tick in
// the order they were sent.
func TestNothingIsEarlyAndOrderIsKept(t *testing.T) {
	r := start(t, nil)
	for i, at := range []int64{2500, 2001, 3000, 2000, 1999, 3001} {
		require.NoError(t, r.send(strconv.Itoa(i), begin+at))
	}
	for _, x := range []struct {
		now  int64
		want string
	}{{1999, ""}, {2000, "3 4"}, {2999, "3 4"}, {3000, "3 4 0 1 2"}, {3999, "3 4 0 1 2"}, {4000, "3 4 0 1 2 5"}} {
		r.now.Store(begin + x.now)
		require.NoError(t, r.turns())
		r.requireDelivered(x.want)
	}
	require.NoError(t, r.close())
}

func TestPropertiesAreJavas(t *testing.T) {
	r := start(t, nil)
	require.NoError(t, r.send("wheel", begin+3000))
	require.NoError(t, r.turns())
	require.NoError(t, r.send("late", begin+500))
	r.now.Store(begin + 1000)
	require.NoError(t, r.send("far", begin+30_000)) // rolled: the window is 20 s
	require.NoError(t, r.pass(begin+40_000))
	recs, err := r.delivered()
	require.NoError(t, err)
	require.Equal(t, "late wheel far", bodies(recs))
	for i, want := range []map[string]string{
		{"TIMER_ENQUEUE_MS": "9223372036854775807", "TIMER_OUT_MS": strconv.Itoa(begin)},
		{"TIMER_ENQUEUE_MS": strconv.Itoa(begin), "TIMER_OUT_MS": strconv.Itoa(begin + 2000)},
		{"TIMER_ENQUEUE_MS": strconv.Itoa(begin + 22_000), "TIMER_OUT_MS": strconv.Itoa(begin + 29_000), "TIMER_ROLL_TIMES": "1"},
	} {
		p := message.ParseProperties(recs[i].Properties)
		dequeue, err := strconv.ParseInt(p.Get("TIMER_DEQUEUE_MS"), 10, 64)
		require.NoError(t, err)
		require.Equal(t, recs[i].StoreTimestamp, dequeue)
		for name, value := range want {
			require.Equal(t, value, p.Get(name), "%s of %s", name, recs[i].Body)
		}
		for name, value := range map[string]string{"REAL_TOPIC": realTopic, "REAL_QID": "0", "TAGS": "tag", "UNIQ_KEY": string(recs[i].Body), "TIMER_DEL_UNIQKEY": ""} {
			require.Equal(t, value, p.Get(name), "%s of %s", name, recs[i].Body)
		}
		require.Equal(t, realTopic, recs[i].Topic)
		u, _, err := r.store.Find(realTopic, 0).At(int64(i))
		require.NoError(t, err)
		require.Equal(t, message.TagsCode("tag"), u.TagsCode)
	}
	require.Zero(t, r.timer.Stats().Pending)
	require.NoError(t, r.close())
}

func TestRecall(t *testing.T) {
	for _, withTopic := range []bool{false, true} {
		r := start(t, func(o *Options) { o.AppendTopicToKeys = withTopic })
		for i, at := range []int64{5000, 5000, 50_000, 6000} {
			require.NoError(t, r.send(strconv.Itoa(i), begin+at))
		}
		require.NoError(t, r.turns())
		for _, x := range []struct {
			key string
			at  int64
		}{{"1", 5000}, {"2", 50_000}, {"3", 5000}} { // the last one names another slot
			name := DeleteKey(realTopic, x.key, withTopic)
			require.NoError(t, r.send(x.key, begin+x.at, message.PropertyTimerDelUniqKey, name))
		}
		require.NoError(t, r.pass(begin+70_000))
		r.requireDelivered("0 3")
		require.Zero(t, r.timer.Stats().Pending)
		var m metricsFile
		require.NoError(t, json.Unmarshal(r.timer.Metrics(), &m))
		require.Equal(t, int64(0), m.TimingCount[realTopic].Count)
		require.NoError(t, r.close())
	}
}

// TestWhatCannotBeDeliveredIsPassedOver: nothing that a client stores in the topic stops the timer.
func TestWhatCannotBeDeliveredIsPassedOver(t *testing.T) {
	r := start(t, nil)
	require.NoError(t, r.send("no time", begin+2000, message.PropertyTimerOutMs, "soon"))
	require.NoError(t, r.send("huge", begin+2000, message.PropertyTimerOutMs, strconv.Itoa(1<<62)))
	require.NoError(t, r.send("negative", begin+2000, message.PropertyTimerOutMs, "-5"))
	require.NoError(t, r.send("odd", begin+2000, message.PropertyTimerOutMs, strconv.Itoa(begin+1234)))
	require.NoError(t, r.send("no queue", begin+2000, message.PropertyRealQueueID, "-1"))
	require.NoError(t, r.send("no topic", begin+2000, message.PropertyRealTopic, ""))
	require.NoError(t, r.send("full", begin+2000, "x", strings.Repeat("v", message.MaxProperties-200)))
	require.NoError(t, r.send("good", begin+2000))
	require.NoError(t, r.pass(begin+5000))
	r.requireDelivered("negative odd full good")
	require.Equal(t, int64(1), r.timer.Stats().Pending)
	require.NoError(t, r.pass(begin+60_000)) // the huge one rolls for ever
	require.Equal(t, int64(1), r.timer.Stats().Pending)
	require.NoError(t, r.close())
}

// TestClockSetBack: what was delivered does not come again, and what is sent then is not lost.
func TestClockSetBack(t *testing.T) {
	r := start(t, nil)
	require.NoError(t, r.send("a", begin+2000))
	require.NoError(t, r.send("b", begin+9000))
	require.NoError(t, r.pass(begin+5000))
	r.now.Store(begin + 1000)
	require.NoError(t, r.send("c", begin+3000))
	require.NoError(t, r.pass(begin+2500))
	r.requireDelivered("a")
	require.NoError(t, r.close())
	require.NoError(t, r.open())
	require.NoError(t, r.pass(begin+10_000))
	r.requireDelivered("a c b")
	require.NoError(t, r.close())
}

// TestLongStop: all that came due meanwhile is delivered, also what is older than the wheel is long.
func TestLongStop(t *testing.T) {
	r := start(t, func(o *Options) { o.RollWindow = 1 << 20 })
	for i := range 10 {
		require.NoError(t, r.send(strconv.Itoa(i), begin+int64(i)*15_000+2000))
	}
	require.NoError(t, r.turns())
	require.NoError(t, r.close())
	r.now.Store(begin + 300_000) // 256 ticks of a second are its length
	require.NoError(t, r.open())
	for i := range 4 {
		require.NoError(t, r.send("new"+strconv.Itoa(i), begin+300_000+int64(i)*30_000+1000))
	}
	require.NoError(t, r.pass(begin+500_000))
	r.requireDelivered("0 1 2 3 4 5 6 7 8 9 new0 new1 new2 new3")
	require.NoError(t, r.close())
}

// TestManyInOneSlot: more than are read at once come in order.
func TestManyInOneSlot(t *testing.T) {
	r := start(t, func(o *Options) { o.LogFileSize = 1 << 20 })
	want := make([]string, 2*chunk+10)
	for i := range want {
		want[i] = fmt.Sprint(i)
		require.NoError(t, r.send(want[i], begin+3000))
	}
	require.NoError(t, r.pass(begin+4000))
	r.requireDelivered(strings.Join(want, " "))
	require.NoError(t, r.close())
}

// TestDamageIsRepaired loses or damages files between a clean stop and a start.
func TestDamageIsRepaired(t *testing.T) {
	for name, breakIt := range map[string]func(d *simfs.Disk) error{
		"no wheel": func(d *simfs.Disk) error { return d.Remove(root + "/timerwheel") },
		"no log":   func(d *simfs.Disk) error { return d.RemoveAll(root + "/timerlog") },
		"no wheel and log": func(d *simfs.Disk) error {
			_ = d.Remove(root + "/timerwheel")
			return d.RemoveAll(root + "/timerlog")
		},
		"no checkpoint": func(d *simfs.Disk) error { return d.Remove(root + "/config/timercheck") },
		"unit in use":   func(d *simfs.Disk) error { return d.Flip(root+"/timerlog/00000000000000000600", 8*(52+28+6)) },
		"prev in use":   func(d *simfs.Disk) error { return d.Flip(root+"/timerlog/00000000000000000600", 8*(5*52+4+7)) },
		"first unit":    func(d *simfs.Disk) error { return d.Flip(root+"/timerlog/00000000000000000000", 3) },
		"wheel slot":    func(d *simfs.Disk) error { return d.Flip(root+"/timerwheel", 8*(32*((begin/1000+30)%512)+7)) },
		"wheel length": func(d *simfs.Disk) error {
			return d.WriteFile(root+"/timerwheel", []byte("short"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			r := newRig(t, d, begin, func(o *Options) { o.RollWindow = 100 })
			require.NoError(t, r.open())
			var want []string
			for i := range 40 {
				key := fmt.Sprint(i)
				want = append(want, key)
				require.NoError(t, r.send(key, begin+1000*int64(1+i)))
			}
			require.NoError(t, r.pass(begin+20_900))
			require.NoError(t, r.close())
			require.NoError(t, breakIt(d))
			require.NoError(t, r.open())
			require.NoError(t, r.send("after", begin+35_500))
			require.NoError(t, r.pass(begin+60_000))
			recs, err := r.delivered()
			require.NoError(t, err)
			seen := map[string]int{}
			for _, rec := range recs {
				seen[string(rec.Body)]++
				at, _ := strconv.ParseInt(message.GetProperty(rec.Properties, message.PropertyTimerDeliverMs), 10, 64)
				require.GreaterOrEqual(t, rec.StoreTimestamp, at)
			}
			for _, key := range append(want, "after") {
				if name == "unit in use" && seen[key] == 0 {
					continue // its record cannot be found again without the log, which looks whole
				}
				n := seen[key]
				if name == "no checkpoint" {
					require.GreaterOrEqual(t, n, 1, key)
					continue
				}
				require.Equal(t, 1, n, key)
			}
			require.NoError(t, r.close())
		})
	}
}

// TestFullDisk: nothing is lost while the timer's files have no room.
func TestFullDisk(t *testing.T) {
	d := newDisk(t)
	r := newRig(t, d, begin, nil)
	require.NoError(t, r.open())
	full := true
	d.SetHook(func(op *simfs.Op) simfs.Fault {
		if full && op.Kind == "write" && (strings.Contains(op.Path, "timerlog") || strings.Contains(op.Path, "timerwheel")) {
			return simfs.Fault{Err: syscall.ENOSPC}
		}
		return simfs.Fault{}
	})
	for i := range 30 {
		require.NoError(t, r.send(fmt.Sprint(i), begin+1000*int64(i)))
		_ = r.turns()
		r.now.Add(300)
	}
	full = false
	require.NoError(t, r.pass(begin+40_000))
	recs, err := r.delivered()
	require.NoError(t, err)
	require.Equal(t, 30, len(recs))
	require.NoError(t, r.close())
}

// TestFailedSyncIsFinal: behind it nothing says what is durable.
func TestFailedSyncIsFinal(t *testing.T) {
	d := newDisk(t)
	r := newRig(t, d, begin, nil)
	require.NoError(t, r.open())
	require.NoError(t, r.send("a", begin+5000))
	require.NoError(t, r.turns())
	fail := true
	d.SetHook(func(op *simfs.Op) simfs.Fault {
		if fail && op.Kind == "sync" && strings.Contains(op.Path, "timerlog") {
			return simfs.Fault{Err: syscall.EIO, Drop: true}
		}
		return simfs.Fault{}
	})
	r.now.Add(2000)
	require.Error(t, r.turns())
	require.Error(t, r.timer.failed)
	require.Error(t, r.close())
	fail = false
	require.NoError(t, r.store.Close())
	require.NoError(t, r.open())
	require.NoError(t, r.pass(begin+8000))
	r.requireDelivered("a")
	require.NoError(t, r.close())
}

// TestNoTimerNoFiles: a store without timers gets no timer files and keeps nothing in memory.
func TestNoTimerNoFiles(t *testing.T) {
	d := newDisk(t)
	r := newRig(t, d, begin, nil)
	require.NoError(t, r.open())
	require.NoError(t, r.pass(begin+5000))
	require.NoError(t, r.close())
	for _, p := range d.Paths() {
		require.NotContains(t, p, "timer")
	}
	_, err := d.ReadFile(root + "/timerwheel")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestMetricsAreJavas reads Java's file and writes the same.
func TestMetricsAreJavas(t *testing.T) {
	java, err := os.ReadFile("testdata/timermetrics.golden")
	require.NoError(t, err)
	path := t.TempDir() + "/timermetrics"
	require.NoError(t, os.WriteFile(path, java, 0o644))
	var m metrics
	require.NoError(t, m.load(path, zerolog.Nop()))
	require.Equal(t, string(java), string(m.json()))
	m.add("TopicTest", 1, begin)
	require.NoError(t, m.persist())
	var again metrics
	require.NoError(t, again.load(path, zerolog.Nop()))
	require.Equal(t, int64(8), again.file.TimingCount["TopicTest"].Count)
}
