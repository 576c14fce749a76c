package admin

import (
	"context"

	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// Runtime returns the figures of a broker (Java: GET_BROKER_RUNTIME_INFO), all of them texts.
func (c *Client) Runtime(ctx context.Context, broker string) (map[string]string, error) {
	t, err := get[body.KVTable](ctx, c, broker, protocol.GetBrokerRuntimeInfo, nil, nil)
	if err != nil {
		return nil, err
	}
	return t.Table, nil
}

// BrokerConfig returns the settings of a broker in the order of their keys.
func (c *Client) BrokerConfig(ctx context.Context, broker string) ([]properties.KV, error) {
	return c.settings(ctx, broker, protocol.GetBrokerConfig)
}

// UpdateBrokerConfig changes settings of a broker.
func (c *Client) UpdateBrokerConfig(ctx context.Context, broker string, settings ...properties.KV) error {
	return c.do(ctx, broker, protocol.UpdateBrokerConfig, nil, []byte(properties.Text(settings)))
}

// CleanExpiredConsumeQueue removes files of queues whose messages are gone.
func (c *Client) CleanExpiredConsumeQueue(ctx context.Context, broker string) error {
	return c.do(ctx, broker, protocol.CleanExpiredConsumeQueue, nil, nil)
}

// CleanUnusedTopic removes queues of topics that are not configured.
func (c *Client) CleanUnusedTopic(ctx context.Context, broker string) error {
	return c.do(ctx, broker, protocol.CleanUnusedTopic, nil, nil)
}

// DeleteExpiredCommitLog removes files of the log whose time is over.
func (c *Client) DeleteExpiredCommitLog(ctx context.Context, broker string) error {
	return c.do(ctx, broker, protocol.DeleteExpiredCommitLog, nil, nil)
}

// statsRequest is the header of VIEW_BROKER_STATS_DATA. Java: ViewBrokerStatsDataRequestHeader.
type statsRequest struct {
	StatsName string `rmq:"statsName,required"`
	StatsKey  string `rmq:"statsKey,required"`
}

// Stats returns a figure of the last minute, hour and day: name as TOPIC_PUT_NUMS, key as the topic. One that is
// not there is an error of code SYSTEM_ERROR.
func (c *Client) Stats(ctx context.Context, broker, name, key string) (*body.BrokerStatsData, error) {
	return get[body.BrokerStatsData](ctx, c, broker, protocol.ViewBrokerStatsData, statsRequest{name, key}, nil)
}

// HAStatus returns the state of replication of a broker.
func (c *Client) HAStatus(ctx context.Context, broker string) (*body.HARuntimeInfo, error) {
	return get[body.HARuntimeInfo](ctx, c, broker, protocol.GetBrokerHAStatus, nil, nil)
}

// flushOffset is the header of RESET_MASTER_FLUSH_OFFSET. Java: ResetMasterFlushOffsetHeader.
type flushOffset struct {
	MasterFlushOffset int64 `rmq:"masterFlushOffset,required"`
}

// ResetMasterFlushOffset tells a slave how far its master has flushed.
func (c *Client) ResetMasterFlushOffset(ctx context.Context, broker string, physicalOffset int64) error {
	return c.do(ctx, broker, protocol.ResetMasterFlushOffset, flushOffset{physicalOffset}, nil)
}

// EpochCache is what a broker of a controller knows of its epochs. Java: EpochEntryCache.
type EpochCache struct {
	ClusterName string  `json:"clusterName"`
	BrokerName  string  `json:"brokerName"`
	BrokerID    int64   `json:"brokerId"`
	EpochList   []Epoch `json:"epochList"`
	MaxOffset   int64   `json:"maxOffset"`
}

// Epoch is the part of the log that one master has written, in physical offsets. Java: EpochEntry.
type Epoch struct {
	Epoch       int32 `json:"epoch"`
	StartOffset int64 `json:"startOffset"`
	EndOffset   int64 `json:"endOffset"`
}

// EpochCache returns the epochs of a broker; one without a controller refuses.
func (c *Client) EpochCache(ctx context.Context, broker string) (*EpochCache, error) {
	return get[EpochCache](ctx, c, broker, protocol.GetBrokerEpochCache, nil, nil)
}

// ColdDataInfo returns, as JSON, what limits the reading of cold data and how much was read.
func (c *Client) ColdDataInfo(ctx context.Context, broker string) ([]byte, error) {
	resp, err := c.ask(ctx, broker, protocol.GetColdDataFlowCtrInfo, nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// SetColdDataLimit limits the cold data that a group may read, in bytes as a text.
func (c *Client) SetColdDataLimit(ctx context.Context, broker, group, threshold string) error {
	return c.do(ctx, broker, protocol.UpdateColdDataFlowCtrConfig, nil, []byte(properties.Text([]properties.KV{{Key: group, Value: threshold}})))
}

// RemoveColdDataLimit takes back SetColdDataLimit.
func (c *Client) RemoveColdDataLimit(ctx context.Context, broker, group string) error {
	return c.do(ctx, broker, protocol.RemoveColdDataFlowCtrConfig, nil, []byte(group))
}

// SetReadAhead says whether the kernel reads ahead in the log ("0" as it likes, "1" not) and returns the
// broker's remark.
func (c *Client) SetReadAhead(ctx context.Context, broker, mode string) (string, error) {
	cmd := protocol.NewRequest(protocol.SetCommitLogReadMode, nil)
	cmd.Ext = protocol.Ext{{Key: "READ_AHEAD_MODE", Value: mode}} // no name that a header could have
	resp, err := c.send(ctx, broker, cmd)
	if err != nil {
		return "", err
	}
	return resp.Remark, nil
}

// SwitchTimerEngine chooses between the files ("F") and RocksDB ("R") for messages of any delay.
func (c *Client) SwitchTimerEngine(ctx context.Context, broker, engine string) error {
	cmd := protocol.NewRequest(protocol.SwitchTimerEngine, nil)
	cmd.Ext = protocol.Ext{{Key: "E_T", Value: engine}}
	_, err := c.send(ctx, broker, cmd)
	return err
}

// ExportPopRecords makes a broker write what it knows of popped messages into the revive log.
func (c *Client) ExportPopRecords(ctx context.Context, broker string) error {
	return c.do(ctx, broker, protocol.PopRollback, nil, nil)
}

// ConsumeQueue returns count entries of a queue from an offset on, with a group those of its subscription marked.
func (c *Client) ConsumeQueue(ctx context.Context, broker string, q header.QueryConsumeQueueRequest) (*body.QueryConsumeQueueResponseBody, error) {
	return get[body.QueryConsumeQueueResponseBody](ctx, c, broker, protocol.QueryConsumeQueue, q, nil)
}
