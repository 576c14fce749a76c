package admin

import (
	"strconv"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/timer"
)

// Timer is what the handlers need of the timer of messages of arbitrary time.
type Timer interface {
	// Checkpoint returns the body of GET_TIMER_CHECK_POINT, Metrics that of GET_TIMER_METRICS.
	Checkpoint() []byte
	Metrics() []byte
	Stats() timer.Stats
	// ForgetTopic drops what the metrics have of a deleted topic.
	ForgetTopic(topic string)
	// SetStopEnqueue changes timerStopEnqueue.
	SetStopEnqueue(stop bool)
}

// The engines that SWITCH_TIMER_ENGINE names. Java: MessageConst.TIMER_ENGINE_FILE_TIME_WHEEL and
// TIMER_ENGINE_ROCKSDB_TIMELINE.
const (
	timerWheel   = "F"
	timerRocksDB = "R"
)

// switchTimerEngine makes the wheel of files take messages, the one engine there is: with timerStopEnqueue it took
// none. The other is refused as by a broker without timerRocksDBEnable. Java: AdminBrokerProcessor.switchTimerEngine.
func (h *Handlers) switchTimerEngine(r *mux.Request) (*protocol.Command, error) {
	if h.o.Timer == nil {
		return nil, invalid("broker timerWheelEnable is false")
	}
	if len(r.Cmd.Ext) == 0 {
		return nil, invalid("param error, extFields is null")
	}
	engine := ""
	for _, f := range r.Cmd.Ext {
		if f.Key == "E_T" {
			engine = f.Value
		}
	}
	switch engine {
	case timerWheel:
		h.o.Timer.SetStopEnqueue(false)
		h.o.Logger.Info().Stringer("remote", r.Conn.Remote()).Msg("the timer takes messages (SWITCH_TIMER_ENGINE)")
		return protocol.NewResponse(protocol.Success, "switch timer engine success"), nil
	case timerRocksDB:
		return nil, invalid("timerRocksDBEnable must be configured true when broker start")
	}
	return nil, invalid("param error")
}

// timerCheckPoint tells how far the timer has come. Java: AdminBrokerProcessor.getTimerCheckPoint.
func (h *Handlers) timerCheckPoint(*mux.Request) (*protocol.Command, error) {
	if h.o.Timer == nil {
		return nil, protocol.Errorf(protocol.SystemError, "The checkpoint is null")
	}
	return protocol.Reply(nil, h.o.Timer.Checkpoint()), nil
}

// timerMetrics tells how many messages of each topic wait. Java: AdminBrokerProcessor.getTimerMetrics.
func (h *Handlers) timerMetrics(*mux.Request) (*protocol.Command, error) {
	if h.o.Timer == nil {
		return nil, protocol.Errorf(protocol.SystemError, "The timer message store is null")
	}
	return protocol.Reply(nil, h.o.Timer.Metrics()), nil
}

// putTimer adds the timer's figures; without a timer they are zero, as with Java.
func (h *Handlers) putTimer(kv map[string]string) {
	var s timer.Stats
	if h.o.Timer != nil {
		s = h.o.Timer.Stats()
	}
	kv["timerReadBehind"] = itoa(int64(s.ReadBehind.Seconds()))
	kv["timerOffsetBehind"] = itoa(s.OffsetBehind)
	kv["timerCongestNum"] = itoa(s.Pending)
	kv["timerEnqueueTps"], kv["timerDequeueTps"] = javaFloat(s.EnqueueTPS), javaFloat(s.DequeueTPS)
}

// javaFloat spells a rate as Java's Float.toString does below ten millions.
func javaFloat(f float64) string {
	if f == float64(int64(f)) {
		return strconv.FormatFloat(f, 'f', 1, 32)
	}
	return strconv.FormatFloat(f, 'f', -1, 32)
}
