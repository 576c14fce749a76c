package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// Runtime are the figures of GET_BROKER_RUNTIME_INFO that neither the statistics nor the lanes know.
// Offsets are physical offsets, sizes are bytes.
type Runtime struct {
	// Active says that delayed messages and transactions are being looked after (brokerActive).
	Active bool
	// RootDir, CommitLogDirs and ConsumeQueueDir are looked at for their disk's free space.
	RootDir         string
	CommitLogDirs   []string
	ConsumeQueueDir string

	CommitLogMin, CommitLogMax int64
	// Flushed and Dispatched are up to where the commit log is durable and in the consume queues.
	Flushed, Dispatched int64
	// EarliestStoreTime is the store timestamp (ms) of the oldest message, -1 when there is none.
	EarliestStoreTime int64
	// AppendLocked is for how long the append that runs now has been running (pageCacheLockTimeMills).
	AppendLocked time.Duration
	// LongestGet is how long reading messages for one pull took at most (getMessageEntireTimeMax).
	LongestGet time.Duration
	// PutFailed counts messages that could not be stored.
	PutFailed int64
	// Refusal says why no message is taken for want of disk space, "" when they are. Java shows nothing of the
	// kind, we show skylarkRefusal while it lasts.
	Refusal string
	// AcceptSendFrom is startAcceptSendRequestTimeStamp, ms.
	AcceptSendFrom int64
	// DelayOffsets are the delivered and the newest queue offset of each delay level that has an offset.
	DelayOffsets map[int32][2]int64
}

// transientBuffers is what Java shows while its transient store pool is off: Integer.MAX_VALUE.
const transientBuffers = math.MaxInt32

// runtimeInfo returns the figures of the running broker. Java: AdminBrokerProcessor.prepareRuntimeInfo and
// DefaultMessageStore.getRuntimeInfo.
//
// Figures of what this broker does not have are left out. putMessageTimesTotal is 0 while there are none; Java shows 1.
func (h *Handlers) runtimeInfo(*mux.Request) (*protocol.Command, error) {
	kv := map[string]string{}
	rt := h.o.Runtime()
	h.putTraffic(kv)
	h.putTimes(kv, &rt)
	putStore(kv, &rt)
	putDisks(kv, &rt)
	h.putLanes(kv)
	kv["brokerVersionDesc"] = versionDesc
	kv["brokerActive"] = strconv.FormatBool(rt.Active)
	kv["startAcceptSendRequestTimeStamp"] = itoa(rt.AcceptSendFrom)
	h.putTimer(kv)
	return body.Reply(nil, body.KVTable{Table: kv})
}

// versionDesc names protocol.Version. Java: MQVersion.getVersionDesc.
const versionDesc = "V5_5_0"

// putTraffic adds rates and totals.
func (h *Handlers) putTraffic(kv map[string]string) {
	kv["bootTimestamp"] = itoa(h.o.Stats.Boot().UnixMilli())
	kv["runtime"] = since(h.o.Stats.Boot())
	rates := h.o.Stats.Rates()
	kv["putTps"] = spell(rates.Put)
	kv["getFoundTps"] = spell(rates.Found)
	kv["getMissTps"] = spell(rates.Missed)
	kv["getTransferredTps"] = spell(rates.Transferred)
	var both [3]stats.Rate
	for i := range both { // Java counts an unknown rate as zero here
		both[i] = stats.Rate{TPS: rates.Found[i].TPS + rates.Missed[i].TPS, Known: true}
	}
	kv["getTotalTps"] = spell(both)
	t := h.o.Stats.Totals()
	kv["putMessageTimesTotal"] = itoa(t.PutMessages)
	kv["putMessageSizeTotal"] = itoa(t.PutBytes)
	kv["putMessageAverageSize"] = javaDouble(float64(t.PutBytes) / float64(max(t.PutMessages, 1)))
	d := h.o.Stats.Days()
	kv["msgPutTotalYesterdayMorning"] = itoa(d.PutYesterdayMorning)
	kv["msgPutTotalTodayMorning"] = itoa(d.PutTodayMorning)
	kv["msgPutTotalTodayNow"] = itoa(d.PutNow)
	kv["msgGetTotalYesterdayMorning"] = itoa(d.GetYesterdayMorning)
	kv["msgGetTotalTodayMorning"] = itoa(d.GetTodayMorning)
	kv["msgGetTotalTodayNow"] = itoa(d.GetNow)
}

// putClasses are the names of stats.Times.PutClasses. Java: StoreStatsService.PUT_MESSAGE_ENTIRE_TIME_MAX_DESC.
var putClasses = [...]string{"[<=0ms]", "[0~10ms]", "[10~50ms]", "[50~100ms]", "[100~200ms]", "[200~500ms]", "[500ms~1s]", "[1~2s]", "[2~3s]",
	"[3~4s]", "[4~5s]", "[5~10s]", "[10s~]"}

// putTimes adds how long puts and gets take.
func (h *Handlers) putTimes(kv map[string]string, rt *Runtime) {
	kv["putMessageFailedTimes"] = itoa(rt.PutFailed)
	kv["dispatchMaxBuffer"] = "0" // Java never sets it
	t := h.o.Stats.Times()
	kv["putMessageEntireTimeMax"] = itoa(t.PutMax.Milliseconds())
	kv["getMessageEntireTimeMax"] = itoa(rt.LongestGet.Milliseconds())
	kv["putLatency99"] = fmt.Sprintf("%.2f", t.Put99)
	kv["putLatency999"] = fmt.Sprintf("%.2f", t.Put999)
	if t.PutClasses == nil {
		kv["putMessageDistributeTime"] = "null" // as Java in its first minute
		return
	}
	var b strings.Builder
	for i, n := range t.PutClasses {
		fmt.Fprintf(&b, "%s:%d ", putClasses[i], n)
	}
	kv["putMessageDistributeTime"] = b.String()
}

func putStore(kv map[string]string, rt *Runtime) {
	kv["commitLogMinOffset"] = itoa(rt.CommitLogMin)
	kv["commitLogMaxOffset"] = itoa(rt.CommitLogMax)
	kv["dispatchBehindBytes"] = itoa(max(rt.CommitLogMax-rt.Dispatched, 0))
	kv["remainHowManyDataToFlush"] = readableBytes(max(rt.CommitLogMax-rt.Flushed, 0))
	kv["remainTransientStoreBufferNumbs"] = itoa(transientBuffers)
	kv["pageCacheLockTimeMills"] = itoa(rt.AppendLocked.Milliseconds())
	kv["earliestMessageTimeStamp"] = itoa(rt.EarliestStoreTime)
	for level, at := range rt.DelayOffsets {
		kv[fmt.Sprintf("scheduleMessageOffset_%d", level)] = fmt.Sprintf("%d,%d", at[0], at[1])
	}
}

func putDisks(kv map[string]string, rt *Runtime) {
	lowest := math.MaxFloat64
	for _, dir := range rt.CommitLogDirs {
		ratio := usedRatio(dir)
		lowest = min(lowest, ratio)
		kv["commitLogDiskRatio_"+dir] = javaDouble(ratio)
	}
	kv["commitLogDiskRatio"] = javaDouble(lowest)
	kv["consumeQueueDiskRatio"] = javaDouble(usedRatio(rt.ConsumeQueueDir))
	if d, err := fsys.DiskOf(rt.RootDir); err == nil {
		kv["commitLogDirCapacity"] = fmt.Sprintf("Total : %s, Free : %s.", readableBytes(d.Total), readableBytes(d.Free))
	}
	if rt.Refusal != "" {
		kv["skylarkRefusal"] = rt.Refusal
	}
}

func (h *Handlers) putLanes(kv map[string]string) {
	now := time.Now()
	for _, l := range h.o.Lanes {
		waiting, head := l.Lane.Waiting(now)
		kv[l.Key+"Size"] = strconv.Itoa(waiting)
		kv[l.Key+"Capacity"] = strconv.Itoa(l.Lane.Capacity())
		kv[l.Key+"HeadWaitTimeMills"] = itoa(head.Milliseconds())
	}
	if l := h.o.EndTransaction; l != nil { // Java's names, with a large E and apart from all others
		waiting, _ := l.Waiting(now)
		kv["EndTransactionQueueSize"] = strconv.Itoa(waiting)
		kv["EndTransactionThreadPoolQueueCapacity"] = strconv.Itoa(l.Capacity())
	}
}

// usedRatio returns which part of a folder's disk is used, in whole percents rounded up, or -1 when the
// folder does not exist. Java: UtilAll.getDiskPartitionSpaceUsedPercent.
func usedRatio(dir string) float64 {
	d, err := fsys.DiskOf(dir)
	if percent := d.UsedPercent(); err == nil && percent >= 0 {
		return float64(percent) / 100
	}
	return -1
}

// readableBytes spells a size in powers of 1024. Java: MixAll.humanReadableByteCount.
func readableBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1024, 0
	for ; size >= 1024; size /= 1024 {
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTPE"[unit])
}

// since spells the time that has passed. Java: StoreStatsService.getFormatRuntime.
func since(boot time.Time) string {
	s := int64(time.Since(boot).Seconds())
	return fmt.Sprintf("[ %d days, %d hours, %d minutes, %d seconds ]", s/86400, s/3600%24, s/60%60, s%60)
}

// spell joins rates with blanks; one that is not known yet is empty, as with Java.
func spell(rates [3]stats.Rate) string {
	var parts [3]string
	for i, r := range rates {
		if r.Known {
			parts[i] = javaDouble(r.TPS)
		}
	}
	return strings.Join(parts[:], " ")
}

// javaDouble spells a number as Java's Double.toString.
func javaDouble(f float64) string {
	return properties.List(&struct {
		V float64 `prop:"v"`
	}{f})[0].Value
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
