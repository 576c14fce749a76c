// Package cold slows down consumer groups that read messages which are no longer in memory, so that they do not
// take the disk from all others, and answers the codes by which operators look at it: UPDATE_ and
// REMOVE_COLD_DATA_FLOW_CTR_CONFIG, GET_COLD_DATA_FLOW_CTR_INFO, and SET_COMMITLOG_READ_MODE.
// Java: ColdDataCgCtrService.
//
// What groups read is counted for periods of 5 s. The package has no goroutine; its mutex is a leaf.
package cold

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// period is for how long bytes are counted. Java: ColdDataCgCtrService.run.
const period = 5 * time.Second

// stay is how long a group that has read cold data is shown. Java: ColdDataCgCtrService.cgColdAccResideTimeoutMills.
const stay = time.Minute

// Options of a Control.
type Options struct {
	Logger zerolog.Logger
	// GroupThreshold and GlobalThreshold are the bytes that one group and all groups may read in 5 s:
	// cgColdReadThreshold and globalColdReadThreshold.
	GroupThreshold, GlobalThreshold int64
	// ReadAhead sets whether the kernel may read ahead in the CommitLog.
	ReadAhead func(on bool) error
	Now       func() time.Time // nil: time.Now
}

// Control counts what groups read. All methods are safe for concurrent use.
type Control struct {
	o Options

	mu     sync.Mutex
	began  time.Time        // of the period
	limits map[string]int64 // by group, set by operators; lost with the process, as Java's
	groups map[string]*reader
	all    int64 // bytes of the period
}

// reader is a group that reads cold data. Java: AccAndTimeStamp.
type reader struct {
	Bytes    int64 `json:"coldAcc"`               // of the period
	Created  int64 `json:"createTimeMills"`       // ms
	LastRead int64 `json:"lastColdReadTimeMills"` // ms
}

// New returns a Control.
func New(o Options) *Control {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Control{o: o, began: o.Now(), limits: map[string]int64{}, groups: map[string]*reader{}}
}

// Routes returns the rows of the mux.
func (c *Control) Routes(admin *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.UpdateColdDataFlowCtrConfig, Lane: admin, Handle: mux.HandleBare(c.update)},
		{Code: protocol.RemoveColdDataFlowCtrConfig, Lane: admin, Handle: mux.HandleBare(c.remove)},
		{Code: protocol.GetColdDataFlowCtrInfo, Lane: admin, Handle: mux.HandleBare(c.info)},
		{Code: protocol.SetCommitLogReadMode, Lane: admin, Handle: mux.HandleBare(c.readMode)},
	}
}

// turn begins a new period when the last is over; the caller holds c.mu.
func (c *Control) turn() time.Time {
	now := c.o.Now()
	if now.Sub(c.began) < period {
		return now
	}
	c.began, c.all = now, 0
	for name, g := range c.groups {
		if g.Bytes = 0; now.UnixMilli() >= g.LastRead+stay.Milliseconds() {
			delete(c.groups, name)
		}
	}
	return now
}

// Over reports whether a group, or all together while it takes part, has read so much cold data that it has to
// wait. Java: ColdDataCgCtrService.isCgNeedColdDataFlowCtr.
func (c *Control) Over(group string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn()
	g := c.groups[group]
	if g == nil {
		return false
	}
	limit, ok := c.limits[group]
	if !ok {
		limit = c.o.GroupThreshold
	}
	return g.Bytes >= limit || c.all >= c.o.GlobalThreshold
}

// Add counts bytes of cold data that a group has read. The broker's own groups and those of tools do not count.
func (c *Control) Add(group string, bytes int64) {
	if bytes <= 0 || exempt(group) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.turn().UnixMilli()
	g := c.groups[group]
	if g == nil {
		g = &reader{Created: now}
		c.groups[strings.Clone(group)] = g
	}
	g.Bytes += bytes
	g.LastRead = now
	c.all += bytes
}

// exempt reports groups that are not slowed down. Java: MixAll.isSysConsumerGroupPullMessage.
func exempt(group string) bool {
	switch group {
	case "DEFAULT_CONSUMER", "TOOLS_CONSUMER", "SCHEDULE_CONSUMER", "FILTERSRV_CONSUMER", "__MONITOR_CONSUMER", "SELF_TEST_C_GROUP",
		"CID_ONS-HTTP-PROXY", "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL":
		return true
	}
	return strings.HasPrefix(group, "CID_RMQ_SYS_")
}

// update sets limits: lines of group=bytes. Those that are no number are passed over, as by Java.
func (c *Control) update(r *mux.Request) (*protocol.Command, error) {
	p, err := properties.Parse(r.Cmd.Body)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "string2Properties error: %s", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for group, text := range p.All() {
		limit, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			c.o.Logger.Error().Str("group", group).Str("value", text).Msg("a threshold for reading cold data is no number of bytes and is passed over")
			continue
		}
		c.limits[strings.Clone(group)] = limit
		c.o.Logger.Info().Str("group", group).Int64("bytes", limit).Stringer("remote", r.Conn.Remote()).Msg("threshold for reading cold data set")
	}
	return protocol.NewResponse(protocol.Success, ""), nil
}

func (c *Control) remove(r *mux.Request) (*protocol.Command, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.limits, string(r.Cmd.Body))
	c.o.Logger.Info().Str("group", string(r.Cmd.Body)).Stringer("remote", r.Conn.Remote()).Msg("threshold for reading cold data removed")
	return protocol.NewResponse(protocol.Success, ""), nil
}

// info is the body of GET_COLD_DATA_FLOW_CTR_INFO, in Java's order, which mqadmin shows.
type info struct {
	Groups      map[string]*reader `json:"runtimeTable"`
	Limits      map[string]int64   `json:"configTable"`
	GroupLimit  int64              `json:"cgColdReadThreshold"`
	GlobalLimit int64              `json:"globalColdReadThreshold"`
	All         int64              `json:"globalAcc"`
}

func (c *Control) info(*mux.Request) (*protocol.Command, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn()
	text, err := body.Marshal(info{c.groups, c.limits, c.o.GroupThreshold, c.o.GlobalThreshold, c.all})
	if err != nil {
		return nil, err
	}
	resp := protocol.NewResponse(protocol.Success, "")
	resp.Body = text
	return resp, nil
}

// Modes of SET_COMMITLOG_READ_MODE. Java: LibC.MADV_NORMAL and MADV_RANDOM.
const (
	readNormal = 0
	readRandom = 1
)

func (c *Control) readMode(r *mux.Request) (*protocol.Command, error) {
	if len(r.Cmd.Ext) == 0 {
		return nil, protocol.Errorf(protocol.SystemError, "set commitlog readahead mode param error")
	}
	mode, err := -1, strconv.ErrSyntax
	for _, f := range r.Cmd.Ext {
		if f.Key == "READ_AHEAD_MODE" {
			mode, err = strconv.Atoi(f.Value)
		}
	}
	switch {
	case err == nil && mode != readNormal && mode != readRandom:
		return nil, protocol.Errorf(protocol.InvalidParameter, "set commitlog readahead mode param value error")
	case err == nil:
		err = c.o.ReadAhead(mode == readNormal)
	}
	if err != nil {
		c.o.Logger.Error().Err(err).Msg("cannot set how the commit log is read")
		return nil, protocol.Errorf(protocol.SystemError, "set commitlog readahead mode failed")
	}
	return protocol.NewResponse(protocol.Success, "set commitlog readahead mode success, mode: "+strconv.Itoa(mode)), nil
}
