package admin

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// config returns the configuration as key=value lines, and its version as JSON in an ext field.
// Java: AdminBrokerProcessor.getBrokerConfig.
func (h *Handlers) config(*mux.Request) (*protocol.Command, error) {
	version, err := body.Marshal(h.o.ConfigVersion())
	if err != nil {
		return nil, err
	}
	text := properties.Text(h.o.Config())
	return protocol.Reply(header.GetBrokerConfigResponse{Version: string(version)}, []byte(text)), nil
}

// updateConfig changes the configuration. Java: AdminBrokerProcessor.updateBrokerConfig.
func (h *Handlers) updateConfig(r *mux.Request) (*protocol.Command, error) {
	if err := h.o.UpdateConfig(r.Cmd.Body, r.Conn.Remote().String()); err != nil {
		return nil, err
	}
	return protocol.Reply(nil, nil), nil
}

// viewBrokerStatsDataRequest is the header of VIEW_BROKER_STATS_DATA (315).
// Java: ViewBrokerStatsDataRequestHeader.
type viewBrokerStatsDataRequest struct {
	StatsName string `rmq:"statsName,required"`
	StatsKey  string `rmq:"statsKey,required"`
}

// viewStats returns one statistic over a minute, an hour and a day.
// Java: AdminBrokerProcessor.ViewBrokerStatsData.
func (h *Handlers) viewStats(_ *mux.Request, req *viewBrokerStatsDataRequest) (*protocol.Command, error) {
	data, ok := h.o.Stats.View(req.StatsName, req.StatsKey)
	if !ok {
		return nil, protocol.Errorf(protocol.SystemError, "The stats <%s> <%s> not exist", req.StatsName, req.StatsKey)
	}
	return body.Reply(nil, data)
}
